"""Retention: postbackctl purge, and the purge that the server runs by itself."""

import datetime
import json
import signal
import sqlite3
import subprocess
import threading
import unittest
from decimal import Decimal

from harness import BUILD, STORES, Suite, over, wait_until

DAY_US = 86_400_000_000
# More than a purge takes within a stall of this machine: 2,500 a second.
INTERRUPTED_ROWS = 4_000


@over(loops=("epoll",), stores=STORES)
class Purge(Suite):
    """Each test has a partner of its own. Rows are made old by moving them, while the server is
    off, to where they would stand had they come earlier."""

    short = True

    def setUp(self):
        if self.server.process.poll() is not None:
            self.server.start()
        self.code = f"p{next(self.sequence)}"
        self.endpoint = f"/{self.code}/event"
        self.name = f"{self.code}_db"
        self.server.ctl("partner", "add", "-", stdin=self.partner_file(self.code))
        wait_until(lambda: self.server.get(f"/partner{self.endpoint}/stats").status == 200, 10,
                   "the partner is served")

    def send(self, *conversion_ids):
        """The statuses of the answers."""
        statuses = []
        with self.server.connect() as connection:
            for conversion_id in conversion_ids:
                target = (f"/partner{self.endpoint}?conversion_id={conversion_id}"
                          "&usd_sale_amount=1.10&extra=kept")
                statuses.append(connection.exchange("GET", target, []).json["status"])
        return statuses

    def quarantine(self):
        answer = self.server.exchange("POST", f"/partner{self.endpoint}",
                                      [("Content-Type", "text/xml")], b"<x/>")
        self.assertEqual(answer.status, 415)

    def execute(self, sql):
        if self.cluster:
            self.cluster.sql(sql, self.name)
        else:
            connection = sqlite3.connect(self.database(self.name).path)
            with connection:
                connection.executescript(sql)
            connection.close()

    def age(self, days, where="true"):
        """Moves rows into the past. The server must be off."""
        ids = days * DAY_US << 12
        for table in ("partner_conversions", "postback_quarantine"):
            if table == "postback_quarantine" and where != "true":
                continue
            columns = ["received_at", "created_at"]
            if self.cluster:
                moved = ", ".join(f"{c} = {c} - interval '{days} days'" for c in columns)
            else:
                moved = ", ".join(
                    f"{c} = strftime('%Y-%m-%dT%H:%M:%f', {c}, '-{days} days') || '000Z'"
                    for c in columns)
            self.execute(f"UPDATE {table} SET id = id - {ids}, {moved} WHERE {where}")

    def leave_to_the_operator(self, days_ago=0):
        """The server takes it that the partner was purged just now, and that nothing was found: its
        own purge may have looked at the rows while they were young. It must be off."""
        then = (f"now() - interval '{days_ago} days'" if self.cluster else
                f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '-{days_ago} days') || '000Z'")
        self.execute(f"INSERT INTO postback_purge (partner_id, finished_at, as_of) SELECT DISTINCT "
                     f"partner_id, {then}, {then} FROM partner_conversions WHERE true ON CONFLICT "
                     "(partner_id) DO UPDATE SET finished_at = excluded.finished_at, "
                     "as_of = excluded.as_of, floor_id = 0")

    def make_due(self):
        """The last purge was yesterday, and found nothing. The server must be off."""
        self.leave_to_the_operator(days_ago=1)

    def purge(self, *arguments):
        done = self.server.ctl("purge", "--partner", self.code, "--json", *arguments)
        report, = json.loads(done.stdout)["partners"]
        return report

    def shown(self):
        page = self.server.get(f"/partner{self.endpoint}/conversions?limit=1000").json
        return [row["conversion_id"] for row in page["conversions"]]

    def stats(self):
        answer = self.server.get(f"/partner{self.endpoint}/stats?hours=87840").json["stats"]
        return {name: answer[name] for name in (
            "total_conversions", "duplicate_conversions", "quarantined", "total_sale_amount",
            "first_conversion_at", "last_conversion_at")}

    def test_purged_conversions_are_shown_no_more_and_their_repeats_are_duplicates(self):
        self.assertEqual(self.send("a", "b", "a"), ["success", "success", "duplicate"])
        self.quarantine()
        before = self.stats()
        self.server.stop()
        self.age(31)
        self.leave_to_the_operator()
        self.server.start()
        self.send("young")
        self.assertEqual(self.shown(), ["young", "b", "a"])
        foreseen = self.purge("--dry-run")
        today = datetime.datetime.now(datetime.timezone.utc)
        days = {str((today - datetime.timedelta(days=31, minutes=m)).date()) for m in (0, 10)}
        self.assertIn(foreseen.pop("first_day"), days)
        self.assertIn(foreseen.pop("last_day"), days)
        self.assertIn(foreseen.pop("days"), (1, 2))
        self.assertEqual(foreseen, {
            "partner": self.code, "data_retention_days": 30, "dedupe_retention_days": 400,
            "conversions": 2, "quarantined": 1, "ids_forgotten": 0,
            "stats_hours_merged": 0, "stats_days_merged": 0})
        self.assertEqual(self.shown(), ["young", "b", "a"], "nothing was changed")
        self.assertEqual(self.purge(), foreseen)
        self.assertEqual(self.shown(), ["young"])
        self.assertEqual(self.quarantined(self.name), [])
        row = self.conversion("a", self.name)
        for column in ("usd_sale_amount", "raw_data", "request_headers", "request_ip", "click_id"):
            self.assertIsNone(row[column], column)
        self.server.stop()  # What follows is not from memory.
        self.server.start()
        self.assertEqual(self.send("a", "b", "c"), ["duplicate", "duplicate", "success"])
        after = self.stats()
        self.assertEqual(after["total_conversions"], before["total_conversions"] + 2)
        self.assertEqual(after["duplicate_conversions"], before["duplicate_conversions"] + 2)
        self.assertEqual(after["quarantined"], before["quarantined"])
        self.assertEqual(after["total_sale_amount"], Decimal("4.40"))
        self.assertEqual(after["first_conversion_at"], before["first_conversion_at"])

    def test_old_statistics_are_merged_and_stay_exact(self):
        self.send("a", "b", "a")
        self.quarantine()
        self.stats()  # Repeats are filed before it is read.
        self.server.stop()
        moved = ("minute - interval '40 days'" if self.cluster else
                 "strftime('%Y-%m-%dT%H:%M:%f', minute, '-40 days') || '000Z'")
        self.execute(f"UPDATE postback_stats SET minute = {moved}")
        self.leave_to_the_operator()
        self.server.start()
        before = self.stats()
        foreseen = self.purge("--dry-run")
        self.assertGreaterEqual(foreseen["stats_hours_merged"], 1)
        done = self.purge()
        for name in ("stats_hours_merged", "stats_days_merged"):
            self.assertEqual(done[name], foreseen[name])
        self.assertEqual(self.stats(), before)
        rows = self.database(self.name).rows("SELECT DISTINCT writer FROM postback_stats")
        self.assertEqual([row["writer"] for row in rows], [0])
        for hours, form in ((48, r":00Z$"), (49, r":00:00Z$"), (841, r"T00:00:00Z$")):
            answer = self.server.get(f"/partner{self.endpoint}/stats?hours={hours}").json["stats"]
            self.assertRegex(answer["since"], form)
        self.send("c")
        self.assertEqual(self.stats()["total_conversions"], before["total_conversions"] + 1)

    def test_an_id_is_new_again_after_dedupe_retention_days(self):
        self.send("x", "y")
        self.server.stop()
        self.age(401, "conversion_id = 'x'")
        self.age(399, "conversion_id = 'y'")
        self.leave_to_the_operator()
        self.server.start()
        report = self.purge()
        self.assertEqual((report["conversions"], report["ids_forgotten"]), (2, 1))
        self.assertEqual(self.send("x", "y"), ["success", "duplicate"])
        self.assertEqual(self.shown(), ["x"])
        self.assertEqual(self.stats()["total_conversions"], 3)

    def test_the_settings_of_the_partner_count(self):
        self.send("a")
        self.server.stop()
        self.age(10)
        self.leave_to_the_operator()
        self.server.ctl("partner", "set", self.code, "data_retention_days=9",
                        "dedupe_retention_days=10")
        self.server.start()
        self.assertEqual(self.purge("--dry-run")["ids_forgotten"], 1)
        self.server.ctl("partner", "set", self.code, "dedupe_retention_days=11")
        report = self.purge()
        self.assertEqual((report["conversions"], report["ids_forgotten"]), (1, 0))
        self.assertEqual(self.send("a"), ["duplicate"])
        text = self.server.ctl("purge", "--partner", self.code).stdout
        self.assertEqual(text, f"{self.code}: 0 conversions and 0 quarantined postbacks older than "
                         "9 days purged; 0 ids older than 11 days forgotten; statistics of 0 "
                         "hours and 0 days merged\n")

    def test_the_server_purges_by_itself_once_a_day(self):
        self.send("a", "b")
        self.server.stop()
        self.age(31)
        self.make_due()
        self.server.start()
        wait_until(lambda: self.shown() == [], 20, "the server purges")
        wait_until(lambda: f"partner={self.code} purged 2 conversions" in self.server.log(), 10,
                   "the purge is logged")
        metric = "postback_purged_rows_total 2"
        self.assertIn(metric, self.server.get("/metrics").body.decode())
        self.assertEqual(self.send("a"), ["duplicate"])
        # A server that starts again soon leaves it to the next day.
        self.send("c")
        self.server.stop()
        self.age(31, "conversion_id = 'c'")
        self.server.start()
        partner_count = len(json.loads(self.server.ctl("partner", "list", "--json").stdout))
        wait_until(lambda: self.server.purge_looks() >= partner_count, 20,
                   "every partner was looked at")
        self.assertEqual(self.conversion("c", self.name)["usd_sale_amount"], Decimal("1.10"))

    def test_postbacks_are_stored_while_it_purges(self):
        self.send(*(f"o{i}" for i in range(600)))
        self.server.stop()
        self.age(31)
        self.leave_to_the_operator()
        self.server.start()
        statuses = []
        done = threading.Event()

        def sender():
            while not done.is_set():
                statuses.extend(self.send(*(f"n{len(statuses) + i}" for i in range(20))))

        thread = threading.Thread(target=sender)
        thread.start()
        try:
            report = self.purge()
        finally:
            done.set()
            thread.join()
        self.assertEqual(report["conversions"], 600)
        self.assertEqual(set(statuses), {"success"})
        self.assertEqual(self.stats()["total_conversions"], 600 + len(statuses))
        self.assertEqual(self.send("o0", "o599", "n0"), ["duplicate"] * 3)

    def test_an_interrupted_purge_may_be_run_again_at_once(self):
        self.send("i0")
        self.server.stop()
        self.multiply(INTERRUPTED_ROWS)
        self.age(31)
        self.leave_to_the_operator()
        purge = subprocess.Popen(
            [BUILD / "postbackctl", "purge", "--partner", self.code], cwd=self.server.folder,
            env=self.server.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)
        wait_until(self.purged, 20, "it has begun")
        purge.send_signal(signal.SIGINT)
        output, error = purge.communicate(timeout=20)
        self.assertEqual(purge.returncode, 1, output + error)
        self.assertIn("interrupted; run it again to go on", error)
        before = self.purged()
        self.assertLess(before, INTERRUPTED_ROWS)
        self.assertEqual(self.purge()["conversions"], INTERRUPTED_ROWS - before)

    def test_what_came_late_from_a_journal_is_purged_by_hand_as_the_dry_run_says(self):
        self.send("floor", "late")
        self.server.stop()
        self.age(31, "conversion_id = 'floor'")
        self.leave_to_the_operator()
        self.server.start()
        self.assertEqual(self.purge()["conversions"], 1)
        self.server.stop()  # As if a disabled partner's journal were drained after two months.
        self.age(60, "conversion_id = 'late'")
        self.server.start()
        self.assertEqual(self.purge("--dry-run")["conversions"], 1)
        self.assertEqual(self.purge()["conversions"], 1)
        self.assertIsNone(self.conversion("late", self.name)["raw_data"])
        self.assertEqual(self.purge("--dry-run")["conversions"], 0)
        self.assertEqual(self.send("late", "floor"), ["duplicate", "duplicate"])

    def multiply(self, count):
        """Makes the only conversion the first of so many. The server must be off."""
        series = (f"generate_series(1, {count - 1}) AS n(i)" if self.cluster else
                  "(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i <"
                  f" {count - 1}) SELECT i FROM n)")
        self.execute(
            "INSERT INTO partner_conversions (id, partner_id, conversion_id, raw_data, received_at,"
            " created_at, updated_at) SELECT id + i, partner_id, 'm' || i, raw_data, received_at,"
            f" created_at, updated_at FROM partner_conversions, {series}")

    def purged(self):
        return self.database(self.name).rows(
            "SELECT count(*) AS n FROM partner_conversions WHERE purged_at IS NOT NULL")[0]["n"]

    def test_a_stop_does_not_wait_for_a_purge(self):
        self.send(*(f"s{i}" for i in range(400)))
        self.server.stop()
        self.age(31)
        self.make_due()
        self.server.start()
        wait_until(lambda: len(self.shown()) < 400, 20, "it has begun")
        status, seconds = self.server.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 8)
        self.server.start()
        wait_until(lambda: self.shown() == [], 30, "the next one goes on at once")
        self.assertEqual(self.send("s0", "s399"), ["duplicate"] * 2)


if __name__ == "__main__":
    unittest.main()
