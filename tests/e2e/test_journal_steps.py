"""A part of tests/fault/steps with every run of the tests: rows 52 and 53."""

import subprocess
import unittest

from harness import REPOSITORY

STEPS = REPOSITORY / "tests" / "fault" / "steps"


class Steps(unittest.TestCase):
    weight = 4
    # The whole program looks at every N.
    every = 12

    def check(self, fault):
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", STEPS, "--fault", fault, "--every", str(self.every)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n$")

    def test_killed_before_an_operation(self):
        self.check("crash")

    def test_an_operation_fails(self):
        self.check("fail")

    def test_all_operations_fail_from_one_on(self):
        self.check("persist")

    def test_a_write_stops_halfway(self):
        self.check("short")

    def test_a_read_fails(self):
        self.check("reads")
