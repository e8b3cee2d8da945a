"""Limits on a process by a control group of the test's own. Needs root."""

import os
import pathlib
import unittest

ROOT = pathlib.Path("/sys/fs/cgroup")


class ControlGroup:
    """An empty one. `test`: removed at its end; skipped where this machine does not let us."""

    def __init__(self, test, controller):
        self.is_version_2 = (ROOT / "cgroup.controllers").exists()
        folder = ROOT if self.is_version_2 else ROOT / controller
        self.folder = folder / f"postback-test-{os.getpid()}"
        try:
            self.folder.mkdir()
            test.addCleanup(self.folder.rmdir)
            if self.is_version_2:
                (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError as error:
            self.refused(error)

    def refused(self, error):
        raise unittest.SkipTest(f"no such control group here: {error}") from error

    def write(self, name, value):
        (self.folder / name).write_text(str(value))

    def put_in(self, pid):
        """The process with all its threads, until it ends."""
        self.write("cgroup.procs", pid)


class CpuLimit(ControlGroup):
    """So much of one CPU for the processes that are put in."""

    PERIOD_US = 100_000

    def __init__(self, test, share):
        super().__init__(test, "cpu")
        quota_us = int(share * self.PERIOD_US)
        try:
            if self.is_version_2:
                self.write("cpu.max", f"{quota_us} {self.PERIOD_US}")
            else:
                self.write("cpu.cfs_period_us", self.PERIOD_US)
                self.write("cpu.cfs_quota_us", quota_us)
        except OSError as error:
            self.refused(error)

    def throttled(self):
        """How often its processes had to wait for the next period."""
        for line in (self.folder / "cpu.stat").read_text().splitlines():
            name, value = line.split()
            if name == "nr_throttled":
                return int(value)
        raise AssertionError("cpu.stat has no nr_throttled")


class MemoryLimit(ControlGroup):
    """The kernel kills the processes that are put in when they need more than was set. Counted is
    what they take from then on."""

    def __init__(self, test):
        super().__init__(test, "memory")
        try:
            self.set(1 << 30)
        except OSError as error:
            self.refused(error)

    def set(self, size):
        self.write("memory.max" if self.is_version_2 else "memory.limit_in_bytes", size)
