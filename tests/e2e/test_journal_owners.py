"""Whose the journal's records are: a control database that was made anew, a partner that is
switched off, and what postbackctl journal assign and discard do beside a running server."""

import json
import pathlib
import shutil
import unittest

from harness import SLOWNESS, wait_until
from journal_suite import JournalSuite
from metrics import read_metrics, waiting


class Owners(JournalSuite, unittest.TestCase):
    def held(self):
        return self.server.get("/health").json["journal"].get("held", [])

    def stat(self):
        """What `postbackctl journal stat` says of those that are not drained."""
        stat = json.loads(self.server.ctl("journal", "stat", "--json").stdout)
        return [partner for partner in stat["partners"] if partner["undrained_records"]]

    def quarantined(self):
        return self.database().rows("SELECT id FROM postback_quarantine")

    def point_at_database(self):
        self.server.ctl("partner", "set", "--yes", "rector", "database_url="
                        f"postgresql://postgres@127.0.0.1:{self.gate.port}/{self.database_name()}")

    def test_records_of_a_lost_control_database_wait_for_a_word(self):
        self.begin()
        acknowledged = [self.go_away(), *self.expect_accepted(3)]
        lost = self.registry_id()
        self.server.stop()
        # Made anew, with the same ids and codes: which partner has which id is chance.
        pathlib.Path(self.server.settings["DATABASE_URL"].removeprefix("sqlite:")).unlink()
        self.server.ctl("init")
        self.point_at_database()
        self.gate.open()
        self.server.start()
        wait_until(self.held, 10 * SLOWNESS, "the records are held")
        health = self.server.get("/health").json
        self.assertEqual((health["status"], health["reasons"]), ("degraded", ["journal_held"]))
        self.assertEqual([(held["partner"], held["registry_id"], held["reason"])
                          for held in self.held()],
                         [("rector", lost, "other_control_database")])
        count = self.held()[0]["records"]
        self.assertGreaterEqual(count, len(acknowledged))
        self.assertIn(f"{count} postbacks of partner rector (id 2 of control database "
                      f"{lost}) are held in the journal", self.server.log())
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the database is up")
        self.assertEqual(set(self.stored_ids()) & set(acknowledged), set())
        self.assertEqual([(partner["state"], partner["reason"]) for partner in self.stat()],
                         [("held", "other_control_database")])

        asked = self.server.ctl("journal", "assign", "--from", "rector", "--to", "rector").stdout
        self.assertIn(f"{count} records of rector (id 2 of control database {lost})",
                      asked)
        self.assertIn("nothing was changed", asked)
        self.server.ctl("journal", "assign", "--from", "rector", "--to", "rector", "--yes")
        self.wait_drained()
        self.assert_stored_once(acknowledged)
        self.assertEqual(self.server.get("/health").json["reasons"], [])
        self.assertIsNone(read_metrics(self.server).imbalance())
        again = self.server.ctl("journal", "assign", "--from", "rector", "--to", "involve_asia",
                                "--yes", check=False)
        self.assertEqual(again.returncode, 1)

    def test_records_of_a_partner_that_is_switched_off_are_told_and_may_be_given_up(self):
        self.begin()
        self.go_away()
        given_up = self.expect_accepted(2)
        self.server.ctl("partner", "disable", "rector")
        wait_until(self.held, 10 * SLOWNESS, "the records are held")
        self.assertEqual(self.held()[0]["reason"], "inactive")
        self.assertEqual(self.server.get("/health").json["reasons"], ["journal_held"])
        export = self.server.folder / "rector.jsonl"
        refused = self.server.ctl("journal", "discard", "--partner", "rector", "--yes",
                                  check=False)
        self.assertEqual(refused.returncode, 2)
        self.server.ctl("journal", "discard", "--partner", "rector", "--export", str(export),
                        "--yes")
        wait_until(lambda: waiting(self.server) == 0, 10 * SLOWNESS, "they are given up")
        records = [json.loads(line) for line in export.read_text().splitlines()]
        self.assertLessEqual(set(given_up), {record["conversion_id"] for record in records})
        self.assertEqual(self.stat(), [])
        self.assertEqual(self.server.get("/health").json["reasons"], [])
        # Nobody has them: their ids are new.
        self.gate.open()
        self.server.ctl("partner", "enable", "rector")
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the partner is back")
        self.assertEqual(self.send(given_up[0]), (200, "success"))

    def test_a_quarantined_postback_that_was_retried_stays_away_after_a_crash(self):
        """A server that dies between storing a record and noting it stores it once more."""
        self.begin()
        self.go_away()
        answer = self.server.postback(self.rector, {"theirs": "late-1"})
        self.assertEqual(answer.status, 422, "and it is in the quarantine, as the journal sees it")
        self.server.kill()
        before = self.server.folder / "journal-before"
        shutil.copytree(self.journal, before)
        self.gate.open()
        self.restart()
        self.wait_drained()
        self.server.kill()
        shutil.rmtree(self.journal)
        shutil.copytree(before, self.journal)
        self.server.ctl("partner", "set", "rector",
                        'parameter_mapping={"conversion_id": "theirs"}')
        self.server.ctl("quarantine", "retry", "--partner", "rector")
        self.restart()
        self.wait_drained()
        places = [*self.quarantined(), *(name for name in self.stored_ids() if name == "late-1")]
        self.assertEqual(len(places), 1, "it is in the quarantine although it is stored")
        self.server.stop()  # All is noted.
        self.server.ctl("quarantine", "retry", "--partner", "rector")
        self.assertEqual((self.quarantined(), self.stored_ids().count("late-1")), ([], 1))
