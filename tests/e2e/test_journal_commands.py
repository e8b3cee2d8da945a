"""postbackctl journal as a program, without a server, over the golden journal of format version 1."""

import json
import os
import pathlib
import shutil
import subprocess

from harness import BUILD
from test_postbackctl import Ctl

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "data" / "journal"
FIRST_FRAME = 8192


class Journal(Ctl):
    """With the golden journal in data/journal."""

    def setUp(self):
        super().setUp()
        self.journal = self.folder / "data" / "journal"
        shutil.copytree(GOLDEN / "v1", self.journal)
        self.segment = self.journal / "0000000000000001.segment"

    def change(self, offset, value):
        content = bytearray(self.segment.read_bytes())
        content[offset:offset + len(value)] = value
        self.segment.write_bytes(content)

    def test_without_a_journal_there_is_nothing_to_tell(self):
        shutil.rmtree(self.journal)
        self.assertIn("the journal is whole; 0 records", self.ctl("journal", "verify"))
        self.assertEqual(self.ctl_json("journal", "stat")["records"], 0)
        self.assertEqual(self.ctl("journal", "export"), "")

    def test_a_data_dir_that_is_not_there_is_an_error(self):
        shutil.rmtree(self.journal.parent)
        for command in ("verify", "stat", "export"):
            self.assertIn("there is no folder", self.refused("journal", command))

    def test_a_whole_journal_is_called_whole_and_left_as_it_is(self):
        before = {path.name: path.read_bytes() for path in self.journal.iterdir()}
        self.assertIn("the journal is whole; 4 records in 1 segments",
                      self.ctl("journal", "verify"))
        verified = self.ctl_json("journal", "verify")
        self.assertEqual((verified["damaged"], verified["gaps"]), (False, []))
        self.ctl("journal", "stat")
        self.ctl("journal", "export")
        after = {path.name: path.read_bytes() for path in self.journal.iterdir()}
        self.assertEqual(before, after)

    def test_stat_counts_by_partner_and_segment(self):
        stat = self.ctl_json("journal", "stat")
        self.assertEqual((stat["records"], stat["undrained_records"]), (4, 3))
        self.assertEqual(len(stat["partners"]), 4)
        self.assertEqual(sum(partner["undrained_records"] for partner in stat["partners"]), 3)
        self.assertEqual([segment["records"] for segment in stat["segments"]], [4])
        self.assertRegex(self.ctl("journal", "stat"), r"records +4\nnot drained yet +3\n")

    def test_stat_can_be_watched(self):
        with subprocess.Popen([BUILD / "postbackctl", "journal", "stat", "--watch"],
                              cwd=self.folder, env={**os.environ, "DATA_DIR": "data"},
                              stdout=subprocess.PIPE, text=True) as watching:
            lines = [watching.stdout.readline() for _ in range(2)]
            watching.kill()
        for line in lines:
            self.assertRegex(line, r"^\S+Z  not drained 3  \+0/s  partner \d+: 1")

    def test_export_gives_every_record_with_every_byte(self):
        exported = self.ctl("journal", "export")
        self.assertEqual(exported, (GOLDEN / "v1.jsonl").read_text(encoding="utf-8"))
        records = [json.loads(line) for line in exported.splitlines()]
        self.assertEqual([record["drained"] for record in records], [True, False, False, False])
        self.assertEqual(records[0]["conversion_id"], "conversion-1")
        self.assertEqual(records[0]["usd_earning"], "9.95")

    def test_damage_is_told_exactly_and_the_rest_is_exported(self):
        # In a record of frame 2, whose other two are saved.
        self.change(FIRST_FRAME + 4096 + 64 + 40, b"\xff\x00\xff")
        done = self.run_ctl("journal", "verify")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"gap: segment 1 offset {FIRST_FRAME + 4096} ", done.stdout)
        self.assertIn("frames 2 to 2 records lost 1: the CRC", done.stdout)
        verified = json.loads(self.run_ctl("journal", "verify", "--json").stdout)
        self.assertEqual(verified["gaps"][0]["records_lost"], 1)
        exported = self.run_ctl("journal", "export")
        self.assertEqual(exported.returncode, 1)
        self.assertIn("postbackctl: gap: segment 1 offset", exported.stderr)
        self.assertEqual(len(exported.stdout.splitlines()), 3)

    def test_a_torn_tail_is_no_damage(self):
        content = self.segment.read_bytes()
        self.segment.write_bytes(content[:FIRST_FRAME + 4096 + 200])
        verified = self.ctl("journal", "verify")
        self.assertIn("torn tail: segment 1 offset 12288 bytes 200", verified)
        self.assertIn("the journal is whole; 1 records", verified)

    def test_an_unknown_version_is_refused_with_the_remedy(self):
        # Both copies of the header, with the CRC-32C that belongs to version 3.
        for copy in (0, 4096):
            content = bytearray(self.segment.read_bytes()[copy:copy + 4096])
            content[8] = 3
            content[4092:] = crc32c(content[:4092]).to_bytes(4, "little")
            self.change(copy, content)
        for command in ("verify", "stat", "export"):
            error = self.refused("journal", command)
            self.assertIn("has format version 3, this program reads versions up to 2", error)


def crc32c(content):
    crc = 0xffffffff
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
