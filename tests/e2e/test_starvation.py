"""The server gets a small part of one CPU, with its database and without.

Row 47 of the table in tests/fault/README.md.
"""

import unittest

from cgroups import CpuLimit
from harness import ANSWER_S_MAX, SANITIZED, SLOWNESS, wait_until
from journal_suite import JournalSuite
from load import Load

SHARE = 0.03
COUNT = 150


class CpuStarvation(JournalSuite, unittest.TestCase):
    weight = 2

    def test_three_percent_of_a_cpu(self):
        """What cannot be answered 200 in time is answered 503; what got 200 is kept."""
        if SANITIZED:
            self.skipTest("a sanitizer needs more")
        limit = CpuLimit(self, SHARE)  # Before the server, which must have left it at the end.
        self.begin()
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        limit.put_in(self.server.process.pid)
        with Load(self.server, self.rector, 64, "starved") as load:
            for act in (lambda: None, self.gate.stick, self.gate.shut):
                act()
                count = len(load.account.acked)
                wait_until(lambda: len(load.account.acked) > count + COUNT, 20 * SLOWNESS,
                           "postbacks are taken")
            wait_until(limit.throttled, 20 * SLOWNESS, "the server gets less than it wants")
        self.assertEqual(load.account.errors, [])
        self.assertLessEqual({status for _, status in load.account.refused}, {503})
        self.assert_in_time(load.account.slowest_s, (ANSWER_S_MAX + 1), within_s=60)
        self.assert_all_well(load.account.acked)
