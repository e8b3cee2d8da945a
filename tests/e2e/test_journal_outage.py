"""A partner's database is away, refuses or hangs: its postbacks are answered from the journal.

Numbers are rows of the table in tests/fault/README.md. Always: what got 200 is stored once, the
other partner notices nothing, the books balance.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from databases import Cluster
from gate import Gate
from harness import BUDGET_ANSWER_S_MAX, SLOWNESS, wait_until
from journal_suite import JournalSuite
from load import Load
from metrics import read_metrics, waiting
from mounts import MemoryDisk
from support import TEMPLATE_VARIABLE


class Outage(JournalSuite):
    def expect_accepted_in_time(self, count=3):
        """Answered within the budget, each of them."""
        names = []
        for _ in range(count):
            started = time.monotonic()
            names += self.expect_accepted()
            self.assert_in_time(time.monotonic() - started, BUDGET_ANSWER_S_MAX)
        return names

    def begin_well(self, **settings):
        self.begin(**settings)
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")

    def sql(self, text):
        return self.away.sql(text, self.database_name())

    def wait_for_state(self, *states):
        def reached():
            return any(database["partner"] == "rector" and database["state"] in states
                       for database in self.server.get("/health").json["databases"])
        wait_until(reached, 10 * SLOWNESS, f"the database is {states}")


class Away(Outage, unittest.TestCase):
    weight = 3

    def test_the_database_is_away_at_the_start(self):
        """Row 26."""
        self.gate.shut()
        self.begin()
        acknowledged = self.expect_accepted_in_time(5)
        self.expect_neighbour_unharmed()
        self.assertEqual(self.server.get("/health").json["status"], "degraded")
        self.assert_all_well(acknowledged)

    def test_a_stuck_database_costs_the_budget_at_most(self):
        self.begin_well()
        self.gate.stick()
        acknowledged = self.expect_accepted_in_time(5)
        self.expect_neighbour_unharmed()
        self.assert_all_well(acknowledged)

    def test_repeats_are_recognised_in_the_journal_and_behind_it(self):
        self.begin()
        first = self.go_away()
        self.assertEqual(self.send(first), (200, "duplicate"))
        acknowledged = self.expect_accepted(3)
        self.server.kill()
        self.restart()
        for name in acknowledged:
            self.assertEqual(self.send(name), (200, "duplicate"))
        self.assert_all_well([first, *acknowledged])
        for name in [first, *acknowledged]:
            self.assertEqual(self.send(name), (200, "duplicate"))
        self.assert_stored_once([first, *acknowledged])

    def test_what_cannot_be_a_conversion_reaches_the_quarantine_through_the_journal(self):
        self.begin()
        acknowledged = [self.go_away()]
        self.expect(422, "amount_invalid", usd_sale_amount="1,50")
        self.server.ctl("partner", "set", "rector", "on_invalid=accept")
        wait_until(lambda: self.send("also", usd_sale_amount="2,50") == (200, "quarantined"),
                   5 * SLOWNESS, "the partner has changed")
        self.server.kill()
        self.restart()
        self.assert_all_well(acknowledged)
        rows = self.database().rows(
            "SELECT reason, raw_data FROM postback_quarantine ORDER BY id")
        self.assertEqual({row["reason"] for row in rows}, {"amount_invalid"})
        amounts = [row["raw_data"]["usd_sale_amount"] for row in rows]
        self.assertEqual((amounts[0], amounts.count("1,50"), amounts[-1]), ("1,50", 1, "2,50"))

    def test_sigterm_while_it_hangs_loses_nothing_acknowledged(self):
        """Row 3."""
        self.begin_well()
        with Load(self.server, self.rector, 8, "term") as load:
            wait_until(lambda: len(load.account.acked) > 20, 10 * SLOWNESS, "load runs")
            self.gate.stick()
            time.sleep(0.5)  # Some postbacks are with the store, and some not yet late.
            status, took = self.server.stop(20)
        self.assertEqual(status, 0)
        self.assert_in_time(took, 8)
        self.gate.open()
        self.restart()
        self.assert_all_well(load.account.acked)

    def test_sigterm_while_it_drains_loses_nothing(self):
        self.begin(start=False)
        self.make_journal("rector", 20_000)
        self.server.start()
        wait_until(lambda: waiting(self.server) < 20_000, 10 * SLOWNESS, "the drain begins")
        status, took = self.server.stop(20)
        self.assertEqual(status, 0)
        self.assert_in_time(took, 8)
        self.restart()
        self.assert_all_well([f"journal-{number}" for number in range(20_000)])

    def test_a_flapping_database_stores_each_once(self):
        self.begin_well()
        with Load(self.server, self.rector, 8, "flap") as load:
            for _ in range(4):
                for change in (self.gate.shut, self.gate.open, self.gate.stick, self.gate.open):
                    change()
                    time.sleep(0.15)  # Shorter than what the server needs to see each.
        self.assert_nothing_refused(load.account)
        self.assert_in_time(load.account.slowest_s, BUDGET_ANSWER_S_MAX, within_s=60)
        self.assert_all_well(load.account.acked)

    def test_without_a_journal_it_is_503(self):
        self.begin(JOURNAL="off")
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        self.gate.shut()
        self.until(503, "database_unavailable")
        self.assertFalse((self.journal / "LOCK").exists())


class Refusing(Outage, unittest.TestCase):
    """PostgreSQL is there and does not store."""

    weight = 3

    def test_read_only(self):
        """Row 35."""
        self.begin_well()
        self.sql(f"ALTER DATABASE {self.database_name()} SET default_transaction_read_only = on")
        self.end_connections()
        self.until(200, "accepted")
        acknowledged = self.expect_accepted_in_time()
        self.expect_neighbour_unharmed()
        self.away.sql(f"ALTER DATABASE {self.database_name()} SET default_transaction_read_only"
                      " = off")
        self.end_connections()
        self.assert_all_well(acknowledged)

    def end_connections(self):
        self.away.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      f" WHERE datname = '{self.database_name()}' AND application_name <> 'test'")

    def test_a_lock_on_the_table(self):
        """Row 37."""
        self.begin_well()
        with self.locked_table():
            acknowledged = self.expect_accepted_in_time()
            self.expect_neighbour_unharmed()
        self.assert_all_well(acknowledged)

    @contextlib.contextmanager
    def locked_table(self):
        holder = subprocess.Popen(
            [self.away.programs / "psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(self.away.port),
             "-U", "postgres", "-d", self.database_name()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        try:
            holder.stdin.write("BEGIN; LOCK TABLE partner_conversions; SELECT 'locked';\n")
            holder.stdin.flush()
            while "locked" not in holder.stdout.readline():
                pass
            yield
        finally:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()

    def test_the_unique_index_is_missing(self):
        """Row 39."""
        self.begin_well()
        index = self.sql("SELECT indexdef FROM pg_indexes WHERE indexname ="
                         " 'partner_conversions_once'").strip()
        self.assertTrue(index)
        self.sql("DROP INDEX partner_conversions_once")
        self.end_connections()
        self.wait_for_state("schema_wrong")
        acknowledged = self.expect_accepted_in_time()
        self.expect_neighbour_unharmed()
        self.sql(index)
        self.assert_all_well(acknowledged)

    def test_a_column_of_another_type(self):
        """Row 40."""
        self.begin_well()
        self.sql("ALTER TABLE partner_conversions ALTER COLUMN click_id TYPE bytea"
                 " USING click_id::bytea")
        acknowledged = [self.until(200, "accepted")]
        acknowledged += self.expect_accepted_in_time()
        self.expect_neighbour_unharmed()
        self.sql("ALTER TABLE partner_conversions ALTER COLUMN click_id TYPE varchar(255)"
                 " USING encode(click_id, 'escape')")
        self.assert_all_well(acknowledged)

    def test_a_record_that_the_database_refuses(self):
        """Row 41: one quarantine row, the others are stored."""
        self.begin(start=False)
        self.make_journal("rector", 2000, "--poison", 1234)
        self.server.start()
        self.wait_drained()
        self.assert_stored_once([f"journal-{number}" for number in range(2000) if number != 1234])
        refused = self.database().rows("SELECT conversion_id, reason FROM postback_quarantine")
        self.assertEqual([row["conversion_id"] for row in refused], ["journal-1234"])
        self.assertEqual(read_metrics(self.server).imbalance(), None)


class DatabaseDiskFull(Outage, unittest.TestCase):
    def test_postgresql_has_no_space_left(self):
        """Row 34: its table space, not that of its log, without which it would end."""
        disk = MemoryDisk(self, self.folder / f"space-{self.number}", "40M")
        place = disk.path / "tables"
        place.mkdir()
        self.folder.chmod(0o755)  # PostgreSQL runs as another user.
        if os.getuid() == 0:
            shutil.chown(place, "postgres", "postgres")
        self.away.sql(f"CREATE TABLESPACE small_{self.number} LOCATION '{place}'")
        self.away.sql(f"CREATE DATABASE {self.database_name()} TABLESPACE small_{self.number}")
        self.begin_well()
        filler = disk.fill()
        with Load(self.server, self.rector, 4, "full", offer_name="x" * 2000) as load:
            wait_until(lambda: waiting(self.server) > 50, 20 * SLOWNESS, "they are journaled")
            self.expect_neighbour_unharmed()
        self.assertIn("No space left on device", self.server.output())
        self.assert_nothing_refused(load.account)
        filler.unlink()
        self.assert_all_well(load.account.acked)


class TooManyConnections(Outage, unittest.TestCase):
    def test_postgresql_has_no_connection_left(self):
        """Row 36."""
        self.away = Cluster(template=os.environ.get(TEMPLATE_VARIABLE))
        self.addCleanup(self.away.destroy)
        limits = ["superuser_reserved_connections=0", "max_wal_senders=0"]
        self.away.start("max_connections=20", *limits)
        self.gate.shut()
        self.gate = Gate(self.away.port)
        self.addCleanup(self.gate.shut)
        self.begin_well()
        self.gate.shut()
        self.away.stop(signal.SIGINT)
        self.away.start("max_connections=2", *limits)
        wait_until(self.takes_all_connections, 10 * SLOWNESS, "no connection is left")
        self.gate.open()
        acknowledged = [self.until(200, "accepted"), *self.expect_accepted_in_time()]
        self.expect_neighbour_unharmed()
        wait_until(lambda: "too many clients" in self.server.output(), 10 * SLOWNESS,
                   "the reason is told")
        self.away.stop(signal.SIGINT)
        self.away.start("max_connections=20", *limits)
        self.assert_all_well(acknowledged)

    def takes_all_connections(self):
        """One to postgres, one to the partner's database. pg_isready's may not have ended yet."""
        try:
            self.away.sql("SELECT 1")
            self.sql("SELECT 1")
            return True
        except RuntimeError:
            return False


class SqliteLocked(Outage, unittest.TestCase):
    """Row 44: another process writes to the file, and does not stop."""

    def test_a_lock_that_is_held_by_another_process(self):
        self.begin()
        wait_until(lambda: self.works(self.involve), 10 * SLOWNESS, "all is well at first")
        holder = sqlite3.connect(self.server.folder / "involve.db", isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        acknowledged = []
        for _ in range(3):
            started = time.monotonic()
            acknowledged.append(self.expect(200, "accepted", self.involve))
            self.assert_in_time(time.monotonic() - started, BUDGET_ANSWER_S_MAX)
        self.assertTrue(self.works(self.rector))
        holder.execute("ROLLBACK")
        wait_until(lambda: self.works(self.involve), 10 * SLOWNESS, "the database is back")
        self.wait_drained()
        self.assert_stored_once(acknowledged, "involve")
