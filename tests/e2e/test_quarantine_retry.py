"""postbackctl quarantine retry and export, beside a running server and without one."""

import base64
import json
import sqlite3
import subprocess
import threading
import unittest
from decimal import Decimal

from harness import BUILD, SLOWNESS, STORES, Suite, over, wait_until

REST = '"usd_sale_amount": "amount", "usd_earning": "payout", "click_id": "click_id"}'
WRONG = '{"conversion_id": "order", ' + REST
RIGHT = '{"conversion_id": "txn", ' + REST


@over(loops=("epoll",), stores=STORES)
class QuarantineRetry(Suite):
    """Each test has a partner of its own, whose mapping is wrong until it is corrected."""

    short = True

    def setUp(self):
        self.code = f"p{next(self.sequence)}"
        self.endpoint = f"/{self.code}/event"
        self.name = f"{self.code}_db"
        self.server.ctl("partner", "add", "-", stdin=self.partner_file(
            self.code, parameter_mapping=json.loads(WRONG)))
        wait_until(lambda: self.server.get(f"/partner{self.endpoint}/stats").status == 200, 10,
                   "the partner is served")

    def bad(self, conversion_id, **parameters):
        """A postback that the wrong mapping does not understand; returns nothing."""
        answer = self.server.postback(self.endpoint, {"txn": conversion_id, **parameters})
        self.assert_error(answer, 422, "conversion_id_missing")

    def correct(self):
        self.server.ctl("partner", "set", self.code, f"parameter_mapping={RIGHT}",
                        "partner_name=Corrected")

    def wait_until_served(self):
        """Until the server has the corrected mapping, which it shows by the partner's name."""
        wait_until(lambda: self.server.get(f"/partner{self.endpoint}/stats").json["partner"] ==
                   "Corrected", 10, "the corrected mapping is served")

    def retry(self, *arguments, check=True):
        """The report of our partner, None where it has none."""
        done = self.server.ctl("quarantine", "retry", "--partner", self.code, "--json",
                               *arguments, check=check)
        reports = json.loads(done.stdout, parse_float=Decimal)["partners"]
        return reports[0] if reports else None

    def stats(self):
        answer = self.server.get(f"/partner{self.endpoint}/stats").json["stats"]
        return [answer[name] for name in ("total_conversions", "duplicate_conversions",
                                          "quarantined")]

    def ids(self):
        return [row["conversion_id"] for row in self.conversions(self.name)]

    def execute(self, sql):
        """Changes the partner's database. SQLite: the server must be off."""
        if self.cluster:
            self.cluster.sql(sql, self.name)
        else:
            connection = sqlite3.connect(self.database(self.name).path)
            with connection:
                connection.execute(sql)
            connection.close()

    def test_what_the_corrected_mapping_understands_becomes_a_conversion(self):
        self.bad("a", amount="10.10", payout="1.01", coupon="x")
        self.bad("b", amount="0.20", payout="0.02")
        kept = self.quarantined(self.name)
        self.correct()
        report = self.retry()
        self.assertEqual((report["rows"], report["stored"], report["duplicates"]), (2, 2, 0))
        self.assertEqual((report["usd_sale_amount"], report["usd_earning"], report["staying"]),
                         (Decimal("10.30"), Decimal("1.03"), {}))
        self.assertEqual(self.quarantined(self.name), [])
        rows = self.conversions(self.name)
        for row, old in zip(rows, kept):
            for name in ("id", "partner_id", "received_at", "request_headers", "request_ip"):
                self.assertEqual(row[name], old[name], name)
            self.assertGreater(row["created_at"], row["received_at"])
        self.assertEqual([row["conversion_id"] for row in rows], ["a", "b"])
        self.assertEqual(rows[0]["usd_sale_amount"], Decimal("10.10"))
        self.assertEqual(rows[0]["raw_data"], {
            "txn": "a", "amount": "10.10", "payout": "1.01", "coupon": "x", "conversion_id": "a",
            "usd_sale_amount": "10.10", "usd_earning": "1.01"})

    def test_stats_are_as_if_the_mapping_had_been_right(self):
        self.bad("a", amount="10.10", payout="1.01")
        self.bad("b", amount="-0.20")
        self.bad("b", amount="5")
        self.bad("", amount="7")
        self.assertEqual(self.stats(), [0, 0, 4])
        received = self.quarantined(self.name)
        self.correct()
        self.retry()
        self.assertEqual(self.stats(), [2, 1, 1])
        shown = json.loads(self.server.get(f"/partner{self.endpoint}/stats").body,
                           parse_float=Decimal)["stats"]
        self.assertEqual((shown["total_sale_amount"], shown["total_earning"]),
                         (Decimal("9.90"), Decimal("1.01")))
        first, last = (received[i]["received_at"].isoformat().replace("+00:00", "Z")
                       for i in (0, 1))
        self.assertEqual((shown["first_conversion_at"], shown["last_conversion_at"]), (first, last))

    def test_a_running_server_takes_a_repeat_of_a_retried_conversion_for_a_duplicate(self):
        self.bad("a", amount="1")
        self.correct()
        self.retry()
        self.wait_until_served()
        for _ in range(2):
            answer = self.server.postback(self.endpoint, {"txn": "a"})
            self.assertEqual(answer.json["status"], "duplicate")
        self.assertEqual(self.ids(), ["a"])

    def test_dry_run_tells_what_retry_then_does_and_changes_nothing(self):
        for conversion_id, amount in (("a", "1.5"), ("b", "2"), ("a", "4"), ("{x}", "8"),
                                      ("c", "1,5")):
            self.bad(conversion_id, amount=amount)
        self.correct()
        before = self.quarantined(self.name)
        foreseen = self.retry("--dry-run")
        self.assertEqual(self.quarantined(self.name), before)
        self.assertEqual((self.ids(), self.stats()), ([], [0, 0, 5]))
        self.assertEqual(foreseen, {
            "partner": self.code, "rows": 5, "stored": 2, "usd_sale_amount": Decimal("3.5"),
            "usd_earning": 0, "duplicates": 1, "taken_by_another": 0,
            "staying": {"amount_invalid": 1, "conversion_id_macro": 1}})
        self.assertEqual(self.retry(), foreseen)
        self.assertEqual(self.retry()["staying"], foreseen["staying"])
        text = self.server.ctl("quarantine", "retry", "--partner", self.code, "--dry-run").stdout
        self.assertEqual(text, f"{self.code}: 2 rows in quarantine; 0 conversions would be stored "
                         "(usd_sale_amount 0, usd_earning 0), 0 duplicates would be removed, 2 "
                         "would stay (amount_invalid 1, conversion_id_macro 1)\n")

    def test_a_row_that_repeats_a_stored_conversion_is_removed_as_a_duplicate(self):
        self.bad("a", amount="1")
        self.correct()
        self.wait_until_served()
        self.server.postback(self.endpoint, {"txn": "a", "amount": "2"})
        self.assertEqual(self.retry("--dry-run")["duplicates"], 1)
        report = self.retry()
        self.assertEqual((report["stored"], report["duplicates"], report["usd_sale_amount"]),
                         (0, 1, 0))
        self.assertEqual(self.conversion("a", self.name)["usd_sale_amount"], Decimal("2"))
        self.assertEqual(self.quarantined(self.name), [])

    def test_bodies_are_read_by_their_content_type(self):
        for content_type, body in (("application/x-www-form-urlencoded", "txn=form&amount=1.00"),
                                   ("application/json; charset=utf-8",
                                    '{"txn":"json","amount":2.50}'), (None, '{"txn":"bare"}')):
            headers = [("content-TYPE", content_type)] if content_type else []
            answer = self.server.exchange("POST", f"/partner{self.endpoint}?source=q", headers,
                                          body.encode())
            self.assert_error(answer, 422, "conversion_id_missing")
        answer = self.server.exchange("POST", f"/partner{self.endpoint}",
                                      [("Content-Type", "text/xml")], b"<txn>x</txn>")
        self.assert_error(answer, 415, "unsupported_media_type")
        self.correct()
        report = self.retry()
        self.assertEqual((report["stored"], report["usd_sale_amount"], report["staying"]),
                         (3, Decimal("3.50"), {"unsupported_media_type": 1}))
        self.assertEqual(self.ids(), ["form", "json", "bare"])
        self.assertEqual({row["raw_data"]["source"] for row in self.conversions(self.name)}, {"q"})

    def test_only_the_chosen_rows_are_retried(self):
        self.bad("a")
        self.bad("b")
        self.assert_error(self.server.postback(self.endpoint, {"order": "{x}", "txn": "c"}), 422,
                          "conversion_id_macro")
        self.correct()
        second = self.quarantined(self.name)[1]["id"]
        self.assertEqual(self.retry("--id", str(second))["stored"], 1)
        self.assertEqual(self.ids(), ["b"])
        self.assertEqual(self.retry("--reason", "conversion_id_macro")["stored"], 1)
        self.assertEqual(self.ids(), ["b", "c"])
        done = self.server.ctl("quarantine", "retry", "--id", str(second), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"has the id {second}", done.stderr)
        for arguments in (("--reason", "x"), ("--id", "x"), ("--limit", "1"), ("--dry-run=1",)):
            done = self.server.ctl("quarantine", "retry", *arguments, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)

    def test_many_rows_are_moved_page_by_page_once_by_two_retries_at_once(self):
        with self.server.connect() as connection:
            for i in range(350):
                connection.exchange("GET", f"/partner{self.endpoint}?txn=id{i}&amount=0.01", [])
        self.correct()
        command = [BUILD / "postbackctl", "quarantine", "retry", "--partner", self.code, "--json"]
        running = [subprocess.Popen(command, env=self.server.environment(), cwd=self.server.folder,
                                    stdout=subprocess.PIPE, text=True) for _ in range(2)]
        reports = []
        for process in running:
            output = process.communicate(timeout=60 * SLOWNESS)[0]
            self.assertEqual(process.returncode, 0)
            reports += json.loads(output, parse_float=Decimal)["partners"]
        self.assertEqual(sum(report["stored"] for report in reports), 350)
        self.assertEqual(sum(report["usd_sale_amount"] for report in reports), Decimal("3.50"))
        self.assertEqual(sum(report["duplicates"] for report in reports), 0)
        self.assertEqual(len(set(self.ids())), 350)
        self.assertEqual(self.stats(), [350, 0, 0])

    def test_retries_beside_a_server_under_load_lose_and_double_nothing(self):
        quarantined, senders, each = 400, 4, 200
        with self.server.connect() as connection:
            for i in range(quarantined):
                connection.exchange("GET", f"/partner{self.endpoint}?txn=q{i}&amount=0.01", [])
        self.correct()
        self.wait_until_served()
        self.server.postback(self.endpoint, {"txn": "first"})
        statuses = []

        def send(sender):
            """New ids, and ids that stand in the quarantine: whoever is first stores them."""
            with self.server.connect() as connection:
                for i in range(each):
                    conversion_id = f"s{sender}-{i}" if i % 2 else f"q{quarantined - 1 - i}"
                    target = f"/partner{self.endpoint}?txn={conversion_id}&amount=0.01"
                    statuses.append(connection.exchange("GET", target, []).status)

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
        for thread in threads:
            thread.start()
        report = self.retry()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * each * senders)
        self.assertEqual(report["stored"] + report["duplicates"], quarantined)
        distinct = 1 + quarantined + senders * each // 2
        self.assertEqual((len(self.ids()), len(set(self.ids()))), (distinct, distinct))
        received = 1 + quarantined + senders * each
        self.assertEqual(self.stats(), [distinct, received - distinct, 0])
        if not self.cluster:
            self.assertEqual(self.database(self.name).rows("PRAGMA integrity_check"),
                             [{"integrity_check": "ok"}])

    def test_what_the_database_refused_is_retried_from_its_raw_data(self):
        self.correct()
        self.wait_until_served()
        self.server.postback(self.endpoint, {"txn": "first"})
        self.server.stop()
        self.execute("ALTER TABLE partner_conversions ADD CONSTRAINT few CHECK "
                     "(click_id <> 'bad')" if self.cluster else
                     "CREATE TRIGGER few BEFORE INSERT ON partner_conversions WHEN "
                     "NEW.click_id = 'bad' BEGIN SELECT RAISE(ABORT, 'few'); END")
        self.server.start()
        target = (f"/partner{self.endpoint}?txn=r&txn=r&amount=2.50&coupon=%22%F0%9F%8E%81%22"
                  "&click_id=bad")
        self.assert_error(self.server.get(target), 422, "database_refused")
        kept = self.refused_row()
        done = self.server.ctl("quarantine", "retry", "--partner", self.code, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("few", done.stderr)
        self.assertIn("0 conversions stored", done.stdout)
        self.assertIn("1 stay (database_refused 1)", done.stdout)
        self.assertEqual(self.refused_row(), kept)
        self.server.stop()
        self.execute("ALTER TABLE partner_conversions DROP CONSTRAINT few" if self.cluster else
                     "DROP TRIGGER few")
        self.assertEqual(self.retry()["stored"], 1, "without a server")
        row = self.conversion("r", self.name)
        self.assertEqual((row["id"], row["received_at"]), (kept["id"], kept["received_at"]))
        self.assertEqual((row["usd_sale_amount"], row["click_id"]), (Decimal("2.50"), "bad"))
        self.assertEqual(row["raw_data"], json.loads(bytes.fromhex(kept["body"])))
        self.assertEqual((row["raw_data"]["txn"], row["raw_data"]["coupon"]),
                         ("r", '"\U0001f381"'))
        self.server.start()
        self.assertEqual(self.stats(), [2, 0, 0])
        self.assertEqual(self.server.postback(self.endpoint, {"txn": "r"}).json["status"],
                         "duplicate")

    def refused_row(self):
        """The only quarantined row, without the database's message."""
        body = "encode(body, 'hex')" if self.cluster else "hex(body)"
        row, = self.database(self.name).rows(
            f"SELECT id, reason, received_at, {body} AS body FROM postback_quarantine")
        return row

    def test_a_row_whose_id_a_conversion_has_is_stored_under_another_id(self):
        """As when another server made the id in the same microsecond."""
        self.bad("a", amount="10.10", payout="1.01")
        taken = self.quarantined(self.name)[0]["id"]
        self.correct()
        self.wait_until_served()
        self.assertEqual(self.server.postback(self.endpoint, {"txn": "b"}).json["status"],
                         "success")
        if not self.cluster:
            self.server.stop()
        self.execute(f"UPDATE partner_conversions SET id = {taken}")
        if not self.cluster:
            self.server.start()
        self.assertEqual(self.retry()["stored"], 1)
        self.assertEqual({row["conversion_id"]: row["id"] for row in self.conversions(self.name)},
                         {"a": taken + 1, "b": taken})
        self.assertEqual(self.quarantined(self.name), [])

    def test_schema_of_another_version_is_refused(self):
        self.bad("a")
        self.server.stop()
        self.execute("UPDATE postback_schema SET version = version + 1")
        done = self.server.ctl("quarantine", "retry", "--partner", self.code, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("schema version", done.stderr)
        self.assertEqual(len(self.quarantined(self.name)), 1)
        self.execute("UPDATE postback_schema SET version = version - 1")
        self.server.start()

    def test_export_prints_every_row_with_everything(self):
        with self.server.connect() as connection:
            for i in range(120):
                connection.exchange("GET", f"/partner{self.endpoint}?txn=e{i}", [])
        path = f"/partner{self.endpoint}?a=%7B"
        self.server.exchange("POST", path, [("Content-Type", "text/xml")], b"\xff\x00<")
        self.server.exchange("POST", path, [("Content-Type", "text/xml")], "<é>".encode())
        self.server.exchange("POST", path, [("Content-Type", "text/xml")], b"a\x00b")
        command = ("quarantine", "export", "--partner", self.code)
        output = self.server.ctl(*command, "--json").stdout
        lines = [json.loads(line) for line in output.splitlines()]
        kept = self.quarantined(self.name)
        self.assertEqual([line["id"] for line in lines], [row["id"] for row in kept])
        self.assertEqual(len(lines), 123)
        for line, row in zip(lines, kept):
            for name in ("reason", "field", "message", "conversion_id", "method", "target",
                         "raw_data", "request_headers", "request_ip"):
                self.assertEqual(line[name], row[name], name)
            self.assertEqual(line["partner"], self.code)
        bodies = [(line["body"], line["body_base64"]) for line in lines[119:]]
        self.assertEqual(bodies, [(None, None), (None, base64.b64encode(b"\xff\x00<").decode()),
                                  ("<é>", None), (None, base64.b64encode(b"a\x00b").decode())])
        chosen = self.server.ctl(*command, "--reason", "unsupported_media_type").stdout
        self.assertEqual(chosen.splitlines(), output.splitlines()[120:])


if __name__ == "__main__":
    unittest.main()
