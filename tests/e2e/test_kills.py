"""A short run of tests/fault on each store, and its oracle put to the test."""

import random
import subprocess
import sys
import types
import unittest

from harness import Decimal, REPOSITORY

FAULT = REPOSITORY / "tests" / "fault"
sys.path.insert(0, str(FAULT))

from oracle import Oracle  # pylint: disable=wrong-import-position


class Kills(unittest.TestCase):
    def run_faults(self, store, kills=30, *options):
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", FAULT / "run", "--store", store, "--kills",
             str(kills), *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n$")


class KillsOfSqlite(Kills):
    weight = 6

    def test_kills_lose_and_double_nothing_acknowledged(self):
        self.run_faults("sqlite")


class KillsOfPostgresql(Kills):
    weight = 8

    def test_kills_and_crashes_of_the_database_lose_and_double_nothing_acknowledged(self):
        self.run_faults("postgresql")


class KillsOfSqliteInOutages(Kills):
    weight = 4

    def test_kills_while_files_are_locked_and_the_journal_drains(self):
        self.run_faults("sqlite", 10, "--during", "outage,drain")


class KillsOfPostgresqlInOutages(Kills):
    weight = 4

    def test_kills_while_it_is_away_and_the_journal_drains(self):
        self.run_faults("postgresql", 10, "--during", "outage,drain")


class OracleSeesWhatIsWrong(unittest.TestCase):
    """Id 0 is Involve Asia's, 1 and 3 are Rector's."""

    def setUp(self):
        self.acks = [(0, "success"), (1, "success"), (1, "duplicate"), (3, "duplicate")]
        self.rows = {"involve_asia": [self.row(0)], "rector": [self.row(1), self.row(3)]}
        self.account = {"statuses": {"success": 2, "duplicate": 2, "503": 7}, "errors": [],
                        "slowest_s": 1.7}
        self.answer = {"status": "duplicate"}
        self.stats = {}  # Where /stats tells another number than the rows.
        self.quarantine = []
        self.metrics = {"received": 5, "recovered": 1, "stored": 3, "duplicate": 2,
                        "quarantined": 0, "unavailable": 1, "discarded": 0}
        self.verified = 0

    @staticmethod
    def row(number):
        return {"conversion_id": f"id-{number}", "usd_sale_amount": Decimal(number) / 100,
                "usd_earning": Decimal(number) / 100}

    def get(self, target):
        if target == "/metrics":
            lines = [f'postback_{name}_total{{partner="p"}} {value}\n'
                     for name, value in self.metrics.items()] + ["postback_journaled 0\n"]
            return types.SimpleNamespace(status=200, text="".join(lines))
        if "/stats" not in target:
            return types.SimpleNamespace(status=200, json=self.answer)
        rows = self.rows["involve_asia" if "involve" in target else "rector"]
        sums = {"total_conversions": len(rows),
                "total_sale_amount": sum(row["usd_sale_amount"] for row in rows),
                "total_earning": sum(row["usd_earning"] for row in rows)}
        return types.SimpleNamespace(json={"stats": {**sums, **self.stats}})

    def database(self, code):
        return types.SimpleNamespace(rows=lambda sql: (
            self.quarantine if "quarantine" in sql
            else [{"integrity_check": "ok"}] if "integrity" in sql else self.rows[code]))

    def failed(self):
        verified = types.SimpleNamespace(returncode=self.verified, stdout="", stderr="")
        server = types.SimpleNamespace(get=self.get, ctl=lambda *_, **__: verified)
        campaign = types.SimpleNamespace(
            account=self.account, acks=lambda: self.acks, cluster=None, database=self.database,
            dice=random.Random(1), server=server, slowness=1, started=0.0,
            was_away=lambda when: 10 <= when <= 11, was_sent=lambda number: number < 9)
        return [name for name, complaints in Oracle(campaign).checks() if list(complaints)]

    def test_nothing_wrong(self):
        self.account["errors"] = [[10.5, "reset"]]
        self.assertEqual(self.failed(), [])

    def test_lost_row(self):
        del self.rows["rector"][1]
        self.assertEqual(self.failed(), ["every acknowledged id is stored"])

    def test_row_in_the_wrong_database(self):
        self.rows["involve_asia"].append(self.rows["rector"].pop())
        self.assertEqual(self.failed(), ["every acknowledged id is stored",
                                         "every row is as it was sent"])

    def test_row_stored_twice(self):
        self.rows["rector"].append(self.row(1))
        self.assertEqual(self.failed(), ["no id is stored twice"])

    def test_row_with_another_amount(self):
        self.rows["rector"][0]["usd_earning"] = Decimal("0.02")
        self.assertEqual(self.failed(), ["every row is as it was sent"])

    def test_row_that_nobody_sent(self):
        self.rows["rector"].append(self.row(9))
        self.assertEqual(self.failed(), ["every row is as it was sent"])

    def test_row_lost_and_stored_again_by_its_repeat(self):
        self.acks.append((3, "success"))
        self.assertEqual(self.failed(), ["no id is new after it was acknowledged"])

    def test_sums_that_are_off_by_a_cent(self):
        self.stats = {"total_sale_amount": Decimal("0.05")}
        self.assertEqual(self.failed(), ["/stats tells the rows' count and sums"])

    def test_quarantined_postback(self):
        self.quarantine = [{"conversion_id": "id-1", "reason": "x", "message": "y"}]
        self.assertEqual(self.failed(), ["nothing is in quarantine"])

    def test_answer_that_is_neither_200_nor_503(self):
        self.account["statuses"]["500"] = 1
        self.assertEqual(self.failed(), ["answers were 200 or 503, and in time"])

    def test_answer_that_came_late(self):
        self.account["slowest_s"] = 6.0
        self.assertEqual(self.failed(), ["answers were 200 or 503, and in time"])

    def test_postback_that_nobody_accounts_for(self):
        self.metrics["stored"] = 2
        self.assertEqual(self.failed(), ["what was received is accounted for"])

    def test_damaged_journal(self):
        self.verified = 1
        self.assertEqual(self.failed(), ["the journal is whole"])

    def test_accepted_again_after_a_restart_is_no_fault(self):
        self.acks.append((3, "accepted"))
        self.account["statuses"]["accepted"] = 1
        self.assertEqual(self.failed(), [])

    def test_connection_that_broke_while_the_server_was_up(self):
        self.account["errors"] = [[11.5, "reset"]]
        self.assertEqual(self.failed(), ["no connection broke while the server was up"])

    def test_repeat_that_is_taken_as_new(self):
        self.answer = {"status": "success"}
        self.assertEqual(self.failed(), ["acknowledged ids are duplicates"])
