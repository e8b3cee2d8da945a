"""The journal's disk is full, broken, slow or gone, while a database is away.

Numbers are rows of the table in tests/fault/README.md. Always: no 200 without durability, what got
200 arrives in the database once, the other partner notices nothing, and when the database is back
postbacks go to it whatever the journal does.
"""

import os
import subprocess
import time
import unittest

from harness import ANSWER_S_MAX, BUDGET_ANSWER_S_MAX, SLOWNESS, wait_until
from journal_suite import JournalSuite
from load import Load
from mounts import LoopDisk, MemoryDisk

LARGE = "x" * 2000  # A hundred such postbacks fill a segment of 1 MiB.
BLOCK = 4096


def used_bytes(segment):
    """Where the next frame will be written."""
    content = segment.read_bytes().rstrip(b"\0")
    return -(-len(content) // BLOCK) * BLOCK


class JournalDisk(JournalSuite):
    def expect_refused(self):
        started = time.monotonic()
        self.expect(503, "database_unavailable")
        self.assert_in_time(time.monotonic() - started, ANSWER_S_MAX)

    def load_until_refused(self, count=5):
        """Ids that were acknowledged before postbacks were refused."""
        with Load(self.server, self.rector, 4, "large", offer_name=LARGE) as load:
            wait_until(lambda: len(load.account.refused) >= count, 30 * SLOWNESS, "it is refused")
        self.assertEqual(load.account.errors, [])
        self.assertEqual({status for _, status in load.account.refused}, {503})
        return load.account.acked

    def degraded(self):
        return self.server.get("/health").json["status"] == "degraded"


class BrokenDisk(JournalDisk, unittest.TestCase):
    """Rows 10 and 11: fdatasync fails, as it does when the kernel cannot write a page back."""

    weight = 2

    def break_disk(self, broken_count):
        """Accepts some, then lets so many segments fail at their next sync."""
        # Without a log of the file system's own, which would fail as well and take all with it.
        self.disk = LoopDisk(self, self.folder / f"disk-{self.number}",
                             options=["-O", "^has_journal"])
        self.begin(data_dir=self.disk.path / "data")
        self.go_away()
        self.acknowledged = self.expect_accepted(5)
        wait_until(lambda: len(self.segments()) == 2, 10 * SLOWNESS, "a spare segment is ready")
        subprocess.run(["sync", "-f", self.disk.path], check=True)  # Of this disk only.
        for segment in self.segments()[:broken_count]:
            self.disk.punch(segment, used_bytes(segment), 1 << 20)
        self.filler = self.disk.memory.fill()

    def segments(self):
        return sorted(self.journal.glob("*.segment"))

    def reboot(self):
        """What only the page cache had is gone."""
        self.server.kill()
        self.filler.unlink()
        self.disk.unmount()
        self.disk.mount()
        self.restart()

    def test_a_failed_sync_costs_its_postbacks_and_the_spare_segment_takes_over(self):
        self.break_disk(1)
        self.expect_refused()
        self.acknowledged += self.expect_accepted(20)
        self.assertTrue(self.degraded())
        self.reboot()
        self.assert_all_well(self.acknowledged)

    def test_a_second_failure_ends_the_journal_and_not_the_way_to_the_database(self):
        self.break_disk(2)
        for _ in range(5):
            self.expect_refused()
        self.expect_neighbour_unharmed()
        self.assertTrue(self.degraded())
        self.gate.open()
        self.acknowledged.append(self.until(200, "success"))
        self.assertTrue(self.degraded())
        self.reboot()
        self.assert_all_well(self.acknowledged)


class FullDisk(JournalDisk, unittest.TestCase):
    """Rows 12, 13 and 14."""

    weight = 3

    def test_without_space_it_says_so_fills_what_it_has_and_refuses_before_the_disk_does(self):
        disk = MemoryDisk(self, self.folder / f"disk-{self.number}", "24M")
        self.begin(data_dir=disk.path / "data")
        self.go_away()
        acknowledged = self.expect_accepted(5)
        filler = disk.fill(leave_bytes=1 << 20)
        wait_until(lambda: "journal_space" in self.server.get("/health").json["reasons"],
                   5 * SLOWNESS, "it is told before a postback is refused")
        more = self.load_until_refused()
        self.assertGreater(len(more), 20, "the files that are prepared take some")
        acknowledged += more
        self.expect_neighbour_unharmed()
        self.assertTrue(self.degraded())
        filler.unlink()
        wait_until(lambda: self.server.get("/health").json["journal"]["state"] == "ready",
                   10 * SLOWNESS, "the space is seen without a postback")
        acknowledged.append(self.until(200, "accepted"))
        self.assert_all_well(acknowledged)

    def test_a_journal_that_fills_its_disk_is_drained_and_takes_postbacks_again(self):
        disk = MemoryDisk(self, self.folder / f"disk-{self.number}", "12M")
        self.begin(data_dir=disk.path / "data")
        self.go_away()
        acknowledged = self.load_until_refused()
        self.assertGreater(len(acknowledged), 300)
        self.assert_all_well(acknowledged)
        self.gate.shut()
        acknowledged.append(self.until(200, "accepted"))
        self.assert_all_well(acknowledged)

    def test_it_starts_on_a_full_disk(self):
        disk = MemoryDisk(self, self.folder / f"disk-{self.number}", "12M")
        self.begin(data_dir=disk.path / "data", start=False)
        filler = disk.fill()
        self.server.start()
        stored = self.until(200, "success")
        self.gate.shut()
        self.until(503, "database_unavailable")
        filler.unlink()
        accepted = self.until(200, "accepted")
        self.assert_all_well([stored, accepted])

    def test_without_inodes_it_writes_what_it_has_and_then_refuses(self):
        disk = LoopDisk(self, self.folder / f"disk-{self.number}", options=["-N", "32"])
        self.begin(data_dir=disk.path / "data")
        self.go_away()
        taken = []
        try:
            while True:
                taken.append(disk.path / f"file-{len(taken)}")
                taken[-1].touch()
        except OSError:
            taken.pop()
        acknowledged = self.load_until_refused()
        self.assertGreater(len(acknowledged), 50)
        self.expect_neighbour_unharmed()
        for path in taken:
            path.unlink()
        acknowledged.append(self.until(200, "accepted"))
        self.assert_all_well(acknowledged)

    def test_a_limit_on_file_sizes_is_no_death(self):
        self.begin(wrapper=["prlimit", "--fsize=600000:unlimited"])
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        self.gate.shut()
        self.until(503, "database_unavailable")
        self.expect_neighbour_unharmed()
        subprocess.run(["prlimit", f"--pid={self.server.process.pid}", "--fsize=unlimited:"],
                       check=True)
        self.assert_all_well([self.until(200, "accepted")])


class NoDescriptors(JournalDisk, unittest.TestCase):
    def test_without_descriptors_it_writes_what_it_has_and_then_refuses(self):
        """Row 15."""
        self.begin()
        self.go_away()
        pid = self.server.process.pid
        with Load(self.server, self.rector, 4, "large", offer_name=LARGE) as load:
            wait_until(lambda: len(load.account.acked) > 20, 10 * SLOWNESS, "load runs")
            taken = len(os.listdir(f"/proc/{pid}/fd"))
            subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={taken}:"], check=True)
            late = [self.server.connect() for _ in range(30)]
            wait_until(lambda: len(load.account.refused) > 5, 30 * SLOWNESS, "it is refused")
            subprocess.run(["prlimit", f"--pid={pid}", "--nofile=4096:"], check=True)
            count = len(load.account.acked)
            wait_until(lambda: len(load.account.acked) > count + 20, 10 * SLOWNESS, "goes on")
        for connection in late:
            self.assertIn(connection.exchange("GET", "/health").status, (200, 503))
            connection.close()
        self.assertEqual(load.account.errors, [])
        self.assert_all_well(load.account.acked)


class MovedFolder(JournalDisk, unittest.TestCase):
    def test_a_folder_that_was_moved_away_is_noticed_before_anything_is_acknowledged(self):
        """Row 17."""
        self.begin()
        self.go_away()
        acknowledged = self.expect_accepted(5)
        moved = self.journal.rename(self.journal.with_name("moved"))
        self.expect_refused()
        self.expect_refused()
        self.assertTrue(self.degraded())
        self.gate.open()
        acknowledged.append(self.until(200, "success"))
        self.assertEqual(self.server.stop()[0], 0)
        if self.journal.exists():
            self.journal.rename(self.journal.with_name("other"))
        moved.rename(self.journal)
        self.restart()
        self.assert_all_well(acknowledged)


class RemovedSegments(JournalDisk, unittest.TestCase):
    def test_nothing_is_acknowledged_in_a_segment_that_was_removed(self):
        """Row 17, by file: somebody frees space under the running server."""
        self.begin()
        self.go_away()
        for segment in self.journal.glob("*.segment"):
            segment.unlink()
        self.expect_refused()
        self.assertTrue(self.degraded())
        acknowledged = [self.until(200, "accepted"), *self.expect_accepted(5)]
        self.server.kill()
        self.restart()
        self.gate.open()
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the database is back")
        self.wait_drained()
        self.assert_stored_once(acknowledged)


class SlowDisk(JournalDisk, unittest.TestCase):
    """Rows 24 and 25."""

    weight = 3

    def test_a_slow_disk_costs_time_and_not_postbacks(self):
        self.begin(PB_SLOW_SYNC_MS=150)
        self.go_away()
        with Load(self.server, self.rector, 16, "slow") as load:
            wait_until(lambda: len(load.account.acked) > 100, 20 * SLOWNESS, "load runs")
        self.assert_nothing_refused(load.account)
        self.assert_in_time(load.account.slowest_s, BUDGET_ANSWER_S_MAX, within_s=60)
        self.assert_all_well(load.account.acked)

    def test_a_disk_that_is_too_slow_is_answered_503_in_time(self):
        self.begin(PB_SLOW_SYNC_MS=2500)
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        self.gate.shut()
        self.until(503, "database_unavailable")
        self.expect_refused()
        self.expect_neighbour_unharmed()
        self.gate.open()
        self.until(200, "success")

    def test_a_disk_that_hangs_takes_nothing_else_along(self):
        self.begin(PB_HANG_IO_AT=80)
        self.go_away()
        acknowledged = self.load_until_refused()
        refused = self.expect(503, "database_unavailable")
        self.expect_neighbour_unharmed()
        self.assertTrue(self.degraded())
        self.gate.open()
        acknowledged.append(self.until(200, "success"))
        # What the disk was to take is not bound to it: the database takes the repeat.
        self.assertEqual(self.send(refused), (200, "success"))
        acknowledged.append(refused)
        status, took = self.server.stop(20)
        self.assertEqual(status, 0)
        self.assert_in_time(took, 8.5)
        self.restart(PB_HANG_IO_AT="")
        self.assert_all_well(acknowledged)


class Shared(JournalDisk, unittest.TestCase):
    def test_a_second_server_does_not_start_on_the_same_journal(self):
        """Row 23."""
        first = self.begin()
        self.go_away()
        acknowledged = self.expect_accepted(5)
        second = self.make_server(f"second-{self.number}", **{
            name: first.settings[name] for name in (
                "DATA_DIR", "DATABASE_URL", "JOURNAL", "JOURNAL_SEGMENT_MIB")})
        second.spawn()
        self.assertEqual(second.process.wait(10 * SLOWNESS), 1)
        self.assertRegex(second.output(), "journal .* is in use by another process; stop it, or")
        acknowledged += self.expect_accepted(5)
        self.assert_all_well(acknowledged)
