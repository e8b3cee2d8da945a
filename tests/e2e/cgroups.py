"""Limits on a process by a control group of the test's own. Needs root."""

import os
import pathlib
import unittest

ROOT = pathlib.Path("/sys/fs/cgroup")


class CpuLimit:
    """So much of one CPU for the processes that are put in. `test`: undone at its end; skipped
    where this machine does not let us."""

    PERIOD_US = 100_000

    def __init__(self, test, share):
        quota_us = int(share * self.PERIOD_US)
        name = f"postback-test-{os.getpid()}"
        try:
            if (ROOT / "cgroup.controllers").exists():  # Version 2.
                self.folder = ROOT / name
                self.folder.mkdir()
                test.addCleanup(self.folder.rmdir)
                (ROOT / "cgroup.subtree_control").write_text("+cpu")
                (self.folder / "cpu.max").write_text(f"{quota_us} {self.PERIOD_US}")
            else:
                self.folder = ROOT / "cpu" / name
                self.folder.mkdir()
                test.addCleanup(self.folder.rmdir)
                (self.folder / "cpu.cfs_period_us").write_text(str(self.PERIOD_US))
                (self.folder / "cpu.cfs_quota_us").write_text(str(quota_us))
        except OSError as error:
            raise unittest.SkipTest(f"no control group for CPU time here: {error}") from error

    def put_in(self, pid):
        """The process with all its threads, until it ends."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def throttled(self):
        """How often its processes had to wait for the next period."""
        for line in (self.folder / "cpu.stat").read_text().splitlines():
            name, value = line.split()
            if name == "nr_throttled":
                return int(value)
        raise AssertionError("cpu.stat has no nr_throttled")
