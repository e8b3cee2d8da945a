"""Records that their database does not take, although it takes others: by a slow trigger, or by one
that fails for a row without saying that a value is wrong."""

import sqlite3
import unittest

from harness import SLOWNESS, wait_until
from journal_suite import JournalSuite
from metrics import read_metrics, waiting

TRIGGER = """
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  %s
  RETURN NEW;
END $$;
CREATE TRIGGER judge BEFORE INSERT ON partner_conversions FOR EACH ROW EXECUTE FUNCTION judge();
"""
CALLS_WHAT_IS_NOT_THERE = "IF NEW.conversion_id = 'journal-700' THEN PERFORM gone(); END IF;"
ENDS_ITS_BACKEND = ("IF NEW.conversion_id = 'journal-300' THEN"
                    " PERFORM pg_terminate_backend(pg_backend_pid()); END IF;")


class Stuck(JournalSuite, unittest.TestCase):
    weight = 3

    def begin_with_triggers(self, *statements):
        """Both databases are there; the server has ended."""
        self.begin()
        for endpoint in (self.rector, self.involve):
            wait_until(lambda: self.works(endpoint), 10 * SLOWNESS, "all is well at first")
        self.away.sql(TRIGGER % "\n".join(statements), self.database_name())
        self.server.stop()

    def stuck(self, partner):
        return next((database["journal_stuck"] for database in
                     self.server.get("/health").json["databases"]
                     if database["partner"] == partner and "journal_stuck" in database), None)

    def test_a_slow_trigger_gets_batches_that_end_in_time(self):
        self.begin_with_triggers("PERFORM pg_sleep(0.002);")
        self.make_journal("rector", 1000)
        self.restart()
        self.wait_drained(30)
        self.assert_stored_once([f"journal-{number}" for number in range(1000)])
        self.expect(200, "success")

    def test_rows_that_fail_without_a_word_are_found_and_the_rest_goes_on(self):
        self.begin_with_triggers(CALLS_WHAT_IS_NOT_THERE, ENDS_ITS_BACKEND)
        with sqlite3.connect(self.server.folder / "involve.db") as database:
            database.execute("CREATE TRIGGER judge BEFORE INSERT ON partner_conversions"
                             " WHEN NEW.conversion_id = 'journal-30'"
                             " BEGIN SELECT abs(-9223372036854775808); END")
        database.close()
        self.make_journal("rector", 1000)
        self.make_journal("involve_asia", 100)
        self.restart()
        wait_until(lambda: waiting(self.server) <= 3, 30 * SLOWNESS, "the others are stored")
        wait_until(lambda: self.stuck("involve_asia"), 5 * SLOWNESS, "what is stuck is told")
        self.assertEqual(self.stuck("involve_asia")["conversion_id"], "journal-30")
        self.assertIn("integer overflow", self.stuck("involve_asia")["error"])
        self.assertIn("journal_stuck", self.server.get("/health").json["reasons"])
        wait_until(lambda: '"journal-30" fails by itself: SQLite' in
                   self.server.ctl("journal", "stat").stdout, 5 * SLOWNESS, "stat tells it too")
        wait_until(lambda: self.send(self.new_id(), self.rector) and
                   self.send(self.new_id(), self.involve) and waiting(self.server) == 0,
                   30 * SLOWNESS, "what comes live shows that the databases work")
        self.assert_stored_once([f"journal-{number}" for number in range(1000)
                                 if number not in (300, 700)])
        self.assertEqual(self.quarantined_ids("rector_db"), ["journal-300", "journal-700"])
        self.assertEqual(self.quarantined_ids("involve_db"), ["journal-30"])
        self.away.sql("DROP TRIGGER judge ON partner_conversions", self.database_name())
        self.assertEqual(self.send("journal-700"), (200, "success"), "its id is new again")
        wait_until(lambda: waiting(self.server) == 0, 10 * SLOWNESS, "the journal is drained")
        self.assertIsNone(read_metrics(self.server).imbalance())

    def quarantined_ids(self, name):
        rows = self.database(name).rows("SELECT conversion_id, reason FROM postback_quarantine")
        self.assertEqual({row["reason"] for row in rows}, {"database_refused"})
        return sorted(row["conversion_id"] for row in rows)
