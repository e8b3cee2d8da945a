"""The power goes while postbacks are acknowledged from the journal: rows 5, 6, 7, 11 and 16."""

import os
import random
import time
import unittest

from harness import SANITIZED, SLOWNESS, wait_until
from journal_suite import JournalSuite
from load import Load
from mounts import LoopDisk

# Makes a segment of 1 MiB full within some hundred postbacks.
LARGE = "x" * 2000


class PowerCut(JournalSuite, unittest.TestCase):
    weight = 6

    def segments(self):
        return {name for name in os.listdir(self.journal) if name.endswith(".segment")}

    def wait_for_new_segment(self):
        before = self.segments()
        deadline = time.monotonic() + 20 * SLOWNESS
        while not self.segments() - before:  # Without a pause: the moment counts.
            self.assertLess(time.monotonic(), deadline, "no new segment")

    def check_cuts(self, rounds, wait_for_moment):
        # Large enough for the fastest machine: what is written takes memory, what is not does not.
        disk = LoopDisk(self, self.folder / f"disk-{self.number}", size="600M", memory="700M")
        self.begin(data_dir=disk.path / "data")
        self.go_away()
        acknowledged = []
        for _ in range(rounds):
            with Load(self.server, self.rector, 4, "power", offer_name=LARGE) as load:
                wait_until(lambda: len(load.account.acked) > 50, 10 * SLOWNESS, "load runs")
                wait_for_moment()
                disk.cut_power()
                # Not one 200 more, but for those that were on their way: one of each client.
                count = len(load.account.acked)
                refused = len(load.account.refused)
                wait_until(lambda: len(load.account.refused) > refused + 8, 20 * SLOWNESS,
                           "the load is refused")
                self.assertLessEqual(len(load.account.acked), count + 4)
                self.expect_neighbour_unharmed()
            acknowledged += load.account.acked
            self.assertEqual({status for _, status in load.account.refused}, {503})
            self.server.kill()
            disk.unmount()
            disk.mount()
            self.restart()
            self.assertEqual(self.verify()[0], 0, self.verify())
        self.assert_all_well(acknowledged)

    def test_right_after_a_segment_was_made(self):
        self.check_cuts(2 if SANITIZED else 4, self.wait_for_new_segment)

    def test_at_any_moment(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        dice = random.Random(seed)
        self.check_cuts(2 if SANITIZED else 4, lambda: time.sleep(dice.uniform(0, 0.3)))

    def test_a_dead_disk_is_no_obstacle_for_the_database(self):
        disk = LoopDisk(self, self.folder / f"disk-{self.number}")
        self.begin(data_dir=disk.path / "data")
        self.go_away()
        acknowledged = self.expect_accepted(5)
        disk.cut_power()
        self.until(503, "database_unavailable")
        for _ in range(10):
            status, _ = self.send(self.new_id())
            self.assertEqual(status, 503)
        self.assertEqual(self.server.get("/health").json["status"], "degraded")
        self.gate.open()
        stored = self.until(200, "success")
        self.assert_stored_once([stored])
        self.server.kill()
        disk.unmount()
        disk.mount()
        self.restart()
        self.assert_all_well([*acknowledged, stored])
