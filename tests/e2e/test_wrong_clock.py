"""A wrong wall clock, over restarts and beside servers whose clocks are right, loses no row; a right
one still purges.

libfaketime tells the program another time; the time since the boot, which nobody can set, it has
from the kernel.
"""

import datetime
import json
import sqlite3
import unittest

from harness import SANITIZED, STORES, Suite, over, wait_until
from test_clock import library

DAY_US = 86_400_000_000


class WrongClock(Suite):
    """Mixed into the suites below."""

    @classmethod
    def setUpClass(cls):
        if library() is None:
            raise unittest.SkipTest("faketime is not installed")
        if SANITIZED:
            raise unittest.SkipTest("the sanitizer's runtime must be loaded first")
        super().setUpClass()

    @staticmethod
    def by_clock(faketime):
        return {"LD_PRELOAD": library(), "FAKETIME": faketime, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def start_by(self, faketime, server=None):
        server = server or self.server
        before = dict(server.settings)
        if faketime:
            server.settings.update(self.by_clock(faketime))
        server.start()
        server.settings = before

    def send(self, conversion_id, server=None):
        answer = (server or self.server).postback(
            self.involve, {"conversion_id": conversion_id, "usd_sale_amount": "1.10"})
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json["status"]

    def wait_for_purge(self, server=None):
        """Until both partners were looked at for a purge."""
        wait_until(lambda: (server or self.server).purge_looks() >= 2, 20, "the purge has looked")

    def health(self, server=None):
        return (server or self.server).get("/health").json

    def execute(self, sql):
        if self.cluster:
            self.cluster.sql(sql, "involve_asia_db")
        else:
            connection = sqlite3.connect(self.database().path)
            with connection:
                connection.executescript(sql)
            connection.close()

    def make_purge_due(self):
        """The last purge was yesterday."""
        yesterday = ("now() - interval '1 day'" if self.cluster else
                     "strftime('%Y-%m-%dT%H:%M:%f', 'now', '-1 day') || '000Z'")
        self.execute(f"UPDATE postback_purge SET finished_at = {yesterday}, as_of = {yesterday}")

    def shown(self, server=None):
        page = (server or self.server).get("/partner/involve/event/conversions?limit=1000").json
        return [row["conversion_id"] for row in page["conversions"]]

    def assert_whole(self, ids, in_order=True):
        """Every row is there with all it says, shown in the order of receipt, which servers that
        differ by milliseconds do not tell."""
        order = list if in_order else sorted
        self.assertEqual(order(reversed(self.shown())), order(ids))
        rows = self.conversions()
        self.assertEqual(order(row["conversion_id"] for row in rows), order(ids))
        for row in rows:
            self.assertIsNone(row["purged_at"])
            self.assertIsNotNone(row["raw_data"])
        now = datetime.datetime.now(datetime.timezone.utc)
        for row in rows:
            made = datetime.timedelta(microseconds=row["id"] >> 12)
            since = now - datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
            self.assertLess(abs(made - since), datetime.timedelta(hours=1), "the id tells the time")


@over(loops=("epoll",), stores=STORES)
class WrongClockOverARestart(WrongClock):
    settings = {"JOURNAL": "on"}
    weight = 2

    def test_no_start_by_a_wrong_clock_loses_or_hides_a_row(self):
        self.wait_for_purge()
        ids = [self.new_id() for _ in range(2)]
        for conversion_id in ids:
            self.assertEqual(self.send(conversion_id), "success")
        self.assertEqual(self.health()["reasons"], [])
        self.server.stop()
        self.make_purge_due()
        for clock in ("+3650d", "@2001-01-01 00:00:00", "-60d"):
            with self.subTest(clock):
                self.start_by(clock)
                ids.append(self.new_id())
                self.assertEqual(self.send(ids[-1]), "success")
                self.assertEqual(self.send(ids[0]), "duplicate")
                self.wait_for_purge()
                health = self.health()
                self.assertEqual((health["status"], health["reasons"]), ("degraded", ["clock"]))
                self.assertIn("nothing is purged", health["clock"]["error"])
                self.assertIn("postback_clock_agreed 0\n", self.server.get("/metrics").text)
                refused = self.server_ctl_by(clock, "purge", "--partner", "involve_asia")
                self.assertEqual(refused.returncode, 1)
                self.assertIn("Nothing was purged", refused.stderr)
                self.server.kill()  # Neither a stop nor a kill makes a difference.
                self.start_by(None)  # The clock is set right: its purge is due.
                self.wait_for_purge()
                wait_until(lambda: self.health()["reasons"] == [], 10, "the clock is believed")
                self.assert_whole(ids)
                self.server.stop()
                self.make_purge_due()
        self.start_by(None)
        self.assertEqual({self.send(conversion_id) for conversion_id in ids}, {"duplicate"})
        log = self.server.log()
        self.assertIn("the clock says 20", log)

    def server_ctl_by(self, clock, *arguments):
        before = dict(self.server.settings)
        self.server.settings.update(self.by_clock(clock))
        try:
            return self.server.ctl(*arguments, check=False)
        finally:
            self.server.settings = before

    def test_what_a_wrong_clock_once_wrote_is_mended(self):
        conversion_id = self.new_id()
        self.send(conversion_id)
        self.server.stop()
        future = "'2036-01-01T00:00:00.000000Z'"
        self.execute(f"UPDATE postback_purge SET floor_id = {10 * 365 * DAY_US << 12},"
                     f" finished_at = {future}, as_of = {future}, held_until = {future}, holder = 9")
        self.server.start()
        wait_until(lambda: conversion_id in self.shown(), 20, "the row is shown again")
        self.wait_for_purge()
        self.assertEqual(self.health()["reasons"], [])


class OneWrongClockAmongThree(WrongClock, unittest.TestCase):
    """Three servers with folders of their own on one PostgreSQL."""

    loop = "epoll"
    store = "postgresql"
    weight = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.others = [cls.make_server(f"other-{i}") for i in range(2)]

    def test_loses_and_hides_nothing(self):
        self.others[0].start().wait_for_databases()
        self.wait_for_purge(self.others[0])
        ids = []
        for clock in ("+3650d", "-60d", "@2001-01-01 00:00:00"):
            with self.subTest(clock):
                self.make_purge_due()
                self.start_by(clock, self.others[1])
                for server in (self.server, *self.others):
                    ids.append(self.new_id())
                    self.assertEqual(self.send(ids[-1], server), "success")
                self.wait_for_purge(self.others[1])
                self.assertEqual(self.health(self.others[1])["reasons"], ["clock"])
                self.assertEqual(self.health()["reasons"], [])
                purge = self.others[0].ctl("purge", "--json")
                self.assertEqual({partner["conversions"] for partner in
                                  json.loads(purge.stdout)["partners"]}, {0})
                self.others[1].stop()
                self.assert_whole(ids, in_order=False)
        # The right ones do purge.
        self.server.stop()
        ids_of_a_month = 31 * DAY_US << 12
        self.execute(f"UPDATE partner_conversions SET id = id - {ids_of_a_month}, received_at ="
                     " received_at - interval '31 days', created_at = created_at -"
                     " interval '31 days'")
        self.make_purge_due()
        self.server.start()
        wait_until(lambda: self.shown() == [], 20, "the purge by a right clock")


if __name__ == "__main__":
    unittest.main()
