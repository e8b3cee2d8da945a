"""A short run of tests/fault/outage: a database away, and one that hangs, under a steady load."""

import subprocess
import unittest

from harness import REPOSITORY, SANITIZED

OUTAGE = REPOSITORY / "tests" / "fault" / "outage"


class ShortOutage(unittest.TestCase):
    exclusive = True  # 1000 postbacks a second, whatever else happens.

    def check(self, how):
        if SANITIZED:
            self.skipTest("times under a sanitizer say nothing")
        # The long run judges times; here the machine's disk may stand still for somebody else, and
        # that every answer is 200 says that none took longer than 1.7 s in the server.
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", OUTAGE, "--how", how, "--rate", "1000", "--seconds",
             "3", "--neighbour", "sqlite", "--neighbour-factor", "500", "--latest-ms", "5000"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n$")

    def test_a_stopped_database_costs_no_postback(self):
        self.check("stop")

    def test_a_hung_database_costs_no_postback(self):
        self.check("hang")
