"""A short run of tests/fault/outage: a database away, and one that hangs, under a steady load."""

import subprocess
import unittest

from harness import REPOSITORY, SANITIZED

OUTAGE = REPOSITORY / "tests" / "fault" / "outage"


class ShortOutage(unittest.TestCase):
    exclusive = True  # Every answer's time is looked at.

    def check(self, how):
        if SANITIZED:
            self.skipTest("times under a sanitizer say nothing")
        # The neighbour's p99 of so short a time is only shown; the long run judges it.
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", OUTAGE, "--how", how, "--rate", "1000", "--seconds",
             "3", "--neighbour", "sqlite", "--neighbour-factor", "100"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n$")

    def test_a_stopped_database_costs_no_postback(self):
        self.check("stop")

    def test_a_hung_database_costs_no_postback(self):
        self.check("hang")
