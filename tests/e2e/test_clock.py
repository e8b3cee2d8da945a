"""The wall clock jumps while postbacks come: by an hour, a day, forwards and back.

Row 48 of the table in tests/fault/README.md. libfaketime tells the server another time; the monotonic
clock it leaves alone, as a kernel whose clock is set does.
"""

import pathlib
import time
import unittest

from harness import SANITIZED, SLOWNESS, wait_until
from journal_suite import JournalSuite
from load import Load

HOUR_S = 3600
DAY_S = 24 * HOUR_S


def library():
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else None


class ClockJumps(JournalSuite, unittest.TestCase):
    weight = 2

    def begin_with_clock(self):
        if library() is None:
            self.skipTest("faketime is not installed")
        if SANITIZED:
            self.skipTest("the sanitizer's runtime must be loaded first")
        self.clock = self.folder / f"clock-{self.number}"
        self.jump(0)
        self.begin(LD_PRELOAD=library(), FAKETIME_TIMESTAMP_FILE=self.clock, FAKETIME_NO_CACHE=1,
                   FAKETIME_DONT_FAKE_MONOTONIC=1, IO_ENGINE="auto")

    def jump(self, seconds):
        """To so many seconds from the true time."""
        new = self.clock.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.clock)

    def received_days(self):
        """How far in days the rows' times are from now, rounded."""
        now = time.time()
        return {round((row["received_at"].timestamp() - now) / DAY_S)
                for row in self.database().rows("SELECT received_at FROM partner_conversions")}

    def check_jumps(self, jumps):
        """Under load, through the database and through the journal: nothing is refused, late,
        lost or stored twice."""
        self.begin_with_clock()
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        with Load(self.server, self.rector, 4, "clock") as load:
            for away in (False, True):
                if away:
                    self.gate.shut()
                for seconds in jumps:
                    self.jump(seconds)
                    count = len(load.account.acked)
                    wait_until(lambda: len(load.account.acked) > count + 50, 10 * SLOWNESS,
                               "postbacks are taken after the jump")
            self.gate.open()
            wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the database is back")
        self.assert_nothing_refused(load.account)
        self.assert_all_well(load.account.acked)

    def test_forwards_and_back(self):
        self.check_jumps([HOUR_S, DAY_S, 0])
        self.assertIn(1, self.received_days(), "the server's clock did jump")

    def test_back_and_forwards(self):
        self.check_jumps([-HOUR_S, -DAY_S, 0])
        self.assertIn(-1, self.received_days(), "the server's clock did jump")
