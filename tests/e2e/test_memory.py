"""Memory ends under load: the kernel kills the server, or malloc fails in it.

Rows 45 and 46 of the table in tests/fault/README.md.
"""

import pathlib
import re
import resource
import signal
import unittest

from cgroups import MemoryLimit
from harness import SANITIZED, SLOWNESS, wait_until
from journal_suite import JournalSuite
from load import Load

BODY_B = 60_000  # Of a call whose last byte does not come, so that the server keeps it.
BODIES = 1500
MIB = 1 << 20


class MemoryEnds(JournalSuite, unittest.TestCase):
    weight = 2

    def setUp(self):
        if SANITIZED:
            self.skipTest("a sanitizer has memory of its own")
        super().setUp()

    def address_space(self):
        """Bytes."""
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"^VmSize:\s+(\d+) kB$", status, re.M).group(1)) * 1024

    def use_up(self):
        """Bodies that are never complete, until the server ends; the signal that ended it."""
        head = ("POST /partner/rector/event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                f"\r\nContent-Length: {BODY_B + 1}\r\n\r\n").encode()
        held = []
        try:
            while len(held) < BODIES and self.server.process.poll() is None:
                held.append(self.server.connect())
                held[-1].send(head + b" " * BODY_B)
            wait_until(lambda: self.server.process.poll() is not None, 20 * SLOWNESS, "it ends")
        except OSError:
            pass  # It ended while we sent.
        finally:
            for connection in held:
                connection.close()
        return -self.server.process.wait(20)

    def check(self, limit, end):
        self.begin()
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        acked = []
        for act in (self.gate.open, self.gate.shut):
            wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the database is up")
            act()
            with Load(self.server, self.rector, 16, "memory") as load:
                wait_until(lambda: len(load.account.acked) > 50, 20 * SLOWNESS, "load runs")
                limit()
                self.assertEqual(self.use_up(), end)
            if end == signal.SIGABRT:
                self.assertIn("postbackd: out of memory", self.server.output(this_run=True))
            acked += load.account.acked
            self.gate.open()
            self.server.start()
        self.assert_all_well(acked)

    def test_the_kernel_kills_it(self):
        group = MemoryLimit(self)

        def limit():
            group.put_in(self.server.process.pid)
            group.set(16 * MIB)

        self.check(limit, signal.SIGKILL)

    def test_malloc_fails(self):
        def limit():
            most = self.address_space() + MIB
            resource.prlimit(self.server.process.pid, resource.RLIMIT_AS, (most, most))

        self.check(limit, signal.SIGABRT)


if __name__ == "__main__":
    unittest.main()
