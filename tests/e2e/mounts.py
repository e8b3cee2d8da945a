"""File systems of a test's own, to fill, to break and to cut the power of. Needs root."""

import fcntl
import os
import pathlib
import struct
import subprocess
import unittest

# _IOR('X', 125, __u32) of linux/fs.h; 2: what is not in the file system's own log is lost too.
FS_IOC_SHUTDOWN = 0x8004587d
NOLOGFLUSH = 2


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True).stdout


def mount(*arguments):
    """SkipTest where this machine does not let us."""
    try:
        run("mount", *arguments)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise unittest.SkipTest(f"mounting is not allowed here: {reason}") from error


class MemoryDisk:
    """A tmpfs of this size. `test`: undone at its end."""

    def __init__(self, test, path, size):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True)
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path)
        test.addCleanup(run, "umount", "--lazy", self.path)

    def fill(self, leave_bytes=0):
        """Takes what is free, but for so much; returns the file to remove."""
        filler = self.path / "filler"
        status = os.statvfs(self.path)
        size = status.f_bavail * status.f_frsize - leave_bytes
        run("fallocate", "-l", size, filler)
        return filler


class LoopDisk:
    """An ext4 over a loop device over an image in memory, whose memory can be used up."""

    def __init__(self, test, folder, size="48M", memory="64M", options=()):
        """`options`: more for mkfs.ext4."""
        folder = pathlib.Path(folder)
        self.memory = MemoryDisk(test, folder / "memory", memory)
        self.image = self.memory.path / "image"
        run("truncate", "-s", size, self.image)
        run("mkfs.ext4", "-q", "-F", "-m", "0", *options, self.image)
        self.path = folder / "disk"
        self.path.mkdir()
        try:
            self.device = run("losetup", "--show", "--find", self.image).strip()
        except (OSError, subprocess.CalledProcessError) as error:
            raise unittest.SkipTest(f"no loop device here: {error}") from error
        test.addCleanup(run, "losetup", "--detach", self.device)
        test.addCleanup(self.unmount)
        self.mounted = False
        self.mount()

    def mount(self):
        mount("-o", "errors=continue", self.device, self.path)
        self.mounted = True

    def unmount(self):
        """Nobody may have a file open."""
        if self.mounted:
            run("umount", self.path)
            self.mounted = False

    def cut_power(self):
        """From now on every operation fails; what was not synced is gone at the next mount."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(descriptor)

    def punch(self, path, offset, size):
        """Takes the memory below this part of a file away. Written again, it wants new memory."""
        offset_blocks, block = offset // 4096, 4096
        for line in run("filefrag", "-e", "-v", "-b4096", path).splitlines():
            fields = line.replace(":", " ").replace("..", " ").split()
            if not fields or not fields[0].isdigit():
                continue
            first, last, physical = (int(field) for field in fields[1:4])
            start = max(first, offset_blocks)
            end = min(last + 1, (offset + size) // block)
            if start < end:
                run("fallocate", "--punch-hole", "--keep-size", "-o",
                    (physical + start - first) * block, "-l", (end - start) * block, self.image)
