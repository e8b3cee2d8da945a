"""A server finds a journal that was damaged, cut short, written by others or is large.

Numbers are rows of the table in tests/fault/README.md. The journals are made by
tests/support/journal_maker: "journal-N" with N mod 10007 cents and N mod 101 cents.
"""

import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import unittest

from databases import SqliteDatabase
from harness import REPOSITORY, SANITIZED, SLOWNESS, Decimal, InTime, Server, wait_until
from journal_suite import MAKER, JournalSuite
from load import expected_sums
from metrics import waiting
from mounts import MemoryDisk

GOLDEN = REPOSITORY / "tests" / "data" / "journal" / "v1"
FRAMES = 8192  # Where the first frame of a segment stands.
BLOCK = 4096
INVOLVE_ID = 1


class Recovery(InTime, unittest.TestCase):
    """SQLite only; a server per test."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-recovery-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(self.folder, JOURNAL="on", JOURNAL_SEGMENT_MIB=1)
        self.addCleanup(self.server.destroy)
        self.journal = pathlib.Path(self.server.settings["DATA_DIR"]) / "journal"

    def failure_context(self):
        return f"\n-- end of the server's output --\n{self.server.output()[-6000:]}"

    def make(self, count, *options, folder=None):
        self.server.ctl("init")
        control = SqliteDatabase(self.server.settings["DATABASE_URL"].removeprefix("sqlite:"))
        registry = control.rows("SELECT registry_id FROM postback_registry")[0]["registry_id"]
        subprocess.run([MAKER, folder or self.journal, str(INVOLVE_ID), str(count), "--code",
                        "involve_asia", "--registry", registry, *map(str, options)], check=True)

    def segments(self):
        return sorted(self.journal.glob("*.segment"))

    def start(self):
        self.server.ctl("init")
        self.server.start()
        wait_until(lambda: waiting(self.server) == 0, 20 * SLOWNESS, "the journal is drained")

    def rows(self, columns="conversion_id"):
        path = pathlib.Path(self.server.settings["DATA_DIR"]) / "involve_asia_db.db"
        return SqliteDatabase(path).rows(f"SELECT {columns} FROM partner_conversions")

    def stored(self):
        names = [row["conversion_id"] for row in self.rows()]
        self.assertEqual(len(names), len(set(names)), "an id is stored twice")
        return {int(name.removeprefix("journal-")) for name in names}

    def stats(self):
        return self.server.get("/partner/involve/event/stats").json["stats"]

    def health(self):
        return self.server.get("/health").json["status"]

    def change(self, path, offset, value):
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(value)

    def flip(self, path, offset):
        byte = path.read_bytes()[offset]
        self.change(path, offset, bytes([byte ^ 0xff]))

    def frame_offsets(self, path):
        content = path.read_bytes()
        return [offset for offset in range(FRAMES, len(content), BLOCK)
                if content[offset:offset + 4] == b"PBJF"]


class Damaged(Recovery):
    weight = 2

    def check_flip(self, place):
        """Twenty frames of ten records; `place`: offset in the eighth frame. Records it held are
        lost and told, the others arrive."""
        self.make(200, "--frame-records", 10)
        segment = self.segments()[0]
        offsets = self.frame_offsets(segment)
        self.assertGreaterEqual(len(offsets), 20)
        self.flip(segment, offsets[7] + place)
        self.start()
        stored = self.stored()
        lost = set(range(200)) - stored
        self.assertLessEqual(lost, set(range(70, 80)), "rows of other frames are lost")
        self.assertEqual(stored - set(range(200)), set())
        self.assertEqual(self.stats()["total_conversions"], len(stored))
        if lost:
            self.assertEqual(self.health(), "degraded")
            self.assertRegex(self.server.output(), rf"are lost: segment 1 offset {offsets[7]} .*"
                                                   rf"frames 8 to 8 records lost {len(lost)}\b")
            wait_until(lambda: list(self.journal.glob("*.damaged")), 10 * SLOWNESS,
                       "the segment is kept for a person")
        return lost

    def test_a_bit_in_a_frames_head(self):
        """Row 19."""
        self.assertEqual(self.check_flip(52 + 3), set(range(70, 80)))  # Its payload's length.

    def test_a_bit_in_a_record(self):
        """Row 18."""
        lost = self.check_flip(64 + 100)
        self.assertLessEqual(len(lost), 1)

    def test_a_bit_at_any_place(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        self.check_flip(random.Random(seed).randrange(64 + 2000))

    def test_a_damaged_header_of_a_segment_costs_nothing(self):
        self.make(200)
        self.flip(self.segments()[0], 8 + 32)
        self.start()
        self.assertEqual(self.stored(), set(range(200)))

    def test_a_torn_tail_was_never_acknowledged(self):
        """Row 8."""
        self.make(50, "--frame-records", 10)
        segment = self.segments()[0]
        last = self.frame_offsets(segment)[-1]  # The closing frame.
        self.change(segment, last, b"PBJF" + b"\xff" * 100)
        self.start()
        self.assertEqual(self.stored(), set(range(50)))
        self.assertEqual(self.health(), "healthy")
        self.assertTrue(list(self.journal.glob("*.torn")))

    def test_stale_bytes_behind_the_end_are_no_frames(self):
        """Row 20: of another segment, with another salt."""
        self.make(30, "--frame-records", 10)
        segment = self.segments()[0]
        content = segment.read_bytes()
        other = self.folder / "other"
        self.make(500, "--first", 1000, folder=other)
        frame = sorted(other.glob("*.segment"))[0].read_bytes()[FRAMES:FRAMES + 4 * BLOCK]
        end = self.frame_offsets(segment)[-1] + BLOCK
        self.assertEqual(content[end:end + len(frame)].strip(b"\0"), b"")
        self.change(segment, end, frame)
        self.start()
        self.assertEqual(self.stored(), set(range(30)))


class Checkpoints(Recovery):
    """Rows 21 and 22: drained twice, stored once."""

    weight = 2

    def drained_before(self):
        """A journal that was drained to the end, as it was before and after; the server is off."""
        self.make(3000, "--frame-records", 100)
        before = {path.name: path.read_bytes() for path in self.journal.iterdir()}
        self.start()
        self.assertEqual(len(self.stored()), 3000)
        self.assertEqual(self.server.stop()[0], 0)
        return before

    def bring_back(self, files):
        for name, content in files.items():
            (self.journal / name).write_bytes(content)

    def check_again(self):
        self.start()
        self.assertEqual(self.stored(), set(range(3000)))
        stats = self.stats()
        sale, earning = expected_sums(3000)
        self.assertEqual((stats["total_conversions"], stats["total_sale_amount"],
                          stats["total_earning"]),
                         (3000, Decimal(sale) / 100, Decimal(earning) / 100))
        self.assertEqual(self.health(), "healthy")

    def test_a_lost_checkpoint_is_absorbed_by_the_unique_index(self):
        before = self.drained_before()
        for path in self.journal.iterdir():
            path.unlink()
        self.bring_back(before)
        self.check_again()

    def test_a_damaged_checkpoint_is_as_good_as_none(self):
        self.drained_before()
        checkpoint = self.journal / "checkpoint"
        self.assertTrue(checkpoint.exists())
        for offset in (0, 12, checkpoint.stat().st_size - 1):
            self.flip(checkpoint, offset)
            self.check_again()
            self.assertEqual(self.server.stop()[0], 0)

    def test_segments_that_the_checkpoint_names_are_missing(self):
        self.drained_before()
        for segment in self.segments():
            segment.unlink()
        self.check_again()

    def test_a_segment_that_is_missing_in_the_middle_is_told_as_a_gap(self):
        self.make(12000, "--frame-records", 100)
        segments = self.segments()
        self.assertGreaterEqual(len(segments), 3)
        segments[1].unlink()
        self.start()
        stored = self.stored()
        self.assertGreater(len(stored), 4000)
        self.assertLess(len(stored), 12000)
        self.assertEqual(self.health(), "degraded")
        self.assertRegex(self.server.output(), rf"records lost {12000 - len(stored)}\b")


class SegmentsLostWhenDrained(JournalSuite, unittest.TestCase):
    """Row 22: the checkpoint is ahead of the frames that are left."""

    def test_what_is_accepted_afterwards_is_stored(self):
        self.begin()
        acknowledged = [self.go_away(), *self.expect_accepted(20)]
        self.gate.open()
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the database is back")
        self.wait_drained()
        wait_until(lambda: (self.journal / "checkpoint").exists(), 10 * SLOWNESS, "a checkpoint")
        self.assertEqual(self.server.stop()[0], 0)
        for segment in self.journal.glob("*.segment"):
            segment.unlink()
        self.restart()
        acknowledged += [self.go_away(), *self.expect_accepted(5)]
        self.assert_all_well(acknowledged)


class Found(Recovery):
    weight = 3

    def test_a_journal_of_the_first_format_version(self):
        """Row 55. Its records are of partners that nobody knows: they are kept and told."""
        shutil.copytree(GOLDEN, self.journal)
        self.server.ctl("init")
        self.server.start()
        self.assertEqual(waiting(self.server), 3)
        answer = self.server.postback("/involve/event", {"conversion_id": "beside"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.server.stop()[0], 0)
        stat = self.server.ctl("journal", "stat", "--json").stdout
        self.assertIn('"undrained_records":3', stat.replace(" ", ""))

    def test_a_hundred_thousand_postbacks_are_drained_beside_new_ones(self):
        if SANITIZED:
            self.skipTest("a sanitizer's figures say nothing")
        count = 100_000
        disk = MemoryDisk(self, self.folder / "memory", "300M")
        self.server.settings["DATA_DIR"] = str(disk.path / "data")
        self.journal = disk.path / "data" / "journal"
        self.make(count)
        self.server.ctl("init")
        started = time.monotonic()
        self.server.start()
        self.assert_in_time(time.monotonic() - started, 5)
        answer = self.server.postback("/involve/event", {"conversion_id": "beside"})
        self.assertEqual(answer.status, 200)
        wait_until(lambda: waiting(self.server) == 0, 30, "the journal is drained")
        stats = self.stats()
        sale, earning = expected_sums(count)
        self.assertEqual((stats["total_conversions"], stats["total_sale_amount"],
                          stats["total_earning"]),
                         (count + 1, Decimal(sale) / 100, Decimal(earning) / 100))
        wait_until(lambda: len(self.segments()) < 5, 10, "drained segments are removed")
