"""The witness by which limits on time are judged."""

import os
import time
import unittest
from unittest import mock

import machine


class Stalls(unittest.TestCase):
    def test_a_disk_that_stands_still_is_known_while_it_does_and_afterwards(self):
        real = os.fdatasync
        ends = time.monotonic() + 1

        def slow(descriptor):
            time.sleep(max(0, ends - time.monotonic()))
            real(descriptor)

        with mock.patch("os.fdatasync", slow):
            witness = machine.Witness()
            time.sleep(0.6)  # It is in the middle of its first sync.
            self.assertGreater(witness.stalled_s(60), 0.2)
            time.sleep(0.6)
        stalled = witness.stalled_s(60)
        self.assertGreater(stalled, 0.6)
        self.assertLess(witness.stalled_s(0), stalled, "what is longer ago does not count")


if __name__ == "__main__":
    unittest.main()
