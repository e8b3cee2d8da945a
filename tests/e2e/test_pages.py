"""What operators look at: /conversions, /stats, /health, /info, /metrics, the log."""

import json
import pathlib
import re
import stat

from harness import Decimal, STORES, Suite, over, wait_until

SAMPLE = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})?'
    r" (-?[0-9.]+(?:[eE][-+]?[0-9]+)?|NaN|[+-]Inf)$")


# What steers a terminal, or reorders what is read on it.
HOSTILE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"


@over(stores=STORES)
class Pages(Suite):
    def page(self, search=""):
        answer = self.server.get(f"/partner{self.involve}/conversions{search}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def test_conversions_are_paged_to_the_end_while_new_ones_come(self):
        ids = [self.new_id("page") for _ in range(57)]
        for conversion_id in ids:
            self.server.postback(self.involve, {"conversion_id": conversion_id})
        found, cursor, pages = [], None, 0
        while True:
            page = self.page("?limit=5" + (f"&cursor={cursor}" if cursor is not None else ""))
            found += [row["conversion_id"] for row in page["conversions"]]
            self.assertLessEqual(len(page["conversions"]), 5)
            pages += 1
            cursor = page["next_cursor"]
            if cursor is None:
                break
            self.server.postback(self.involve, {"conversion_id": self.new_id("later")})
        found = [conversion_id for conversion_id in found if conversion_id.startswith("page")]
        self.assertEqual(found, ids[::-1])
        self.assertGreaterEqual(pages, 12)

    def test_default_page_has_ten_rows_newest_first(self):
        for _ in range(12):
            self.server.postback(self.involve, {"conversion_id": self.new_id("ten")})
        rows = self.page()["conversions"]
        self.assertEqual(len(rows), 10)
        row_ids = [row["id"] for row in rows]
        self.assertEqual(row_ids, sorted(row_ids, reverse=True))

    def test_page_shows_what_is_stored(self):
        conversion_id = self.new_id("shown")
        self.server.postback(self.involve, {
            "conversion_id": conversion_id, "aff_sub": "線 \"x\"\n", "usd_payout": "0.10",
            "datetime_conversion": "2025-01-15 10:20:30", "other": "y"})
        row = self.page("?limit=1")["conversions"][0]
        self.assertEqual((row["conversion_id"], row["sub_id"], row["usd_earning"]),
                         (conversion_id, "線 \"x\"\n", Decimal("0.10")))
        self.assertIsNone(row["usd_sale_amount"])
        self.assertTrue(row["conversion_datetime"].startswith("2025-01-15T10:20:30"))

    def test_wrong_arguments_of_pages_are_refused(self):
        for search in ("conversions?limit=x", "conversions?limit=0", "conversions?limit=-1",
                       "conversions?limit=100000", "conversions?cursor=x", "stats?hours=x",
                       "stats?hours=0", "stats?hours=-3", "stats?hours=99999999999999999999"):
            with self.subTest(search=search):
                answer = self.server.get(f"/partner{self.involve}/{search}")
                self.assertIn(answer.status, (400, 422), answer)
                self.assert_error(answer, answer.status)

    def test_pages_take_get_only(self):
        for page in ("stats", "conversions"):
            answer = self.server.exchange("POST", f"/partner{self.involve}/{page}", body="")
            self.assertEqual(answer.status, 405)
            self.assertIn("GET", answer.header("allow"))

    def test_stats_are_exact_and_survive_a_restart(self):
        def stats():
            return self.server.get(f"/partner{self.rector}/stats").json["stats"]

        amounts = ["0.10", "0.20", "1000000.01", "-0.30", "0.000001"]
        ids = [self.new_id("stat") for _ in amounts]
        for conversion_id, amount in zip(ids, amounts):
            self.server.postback(self.rector, {
                "conversion_id": conversion_id, "usd_sale_amount": amount, "usd_earning": "0.1"})
        for conversion_id in ids[:3]:
            self.server.postback(self.rector, {"conversion_id": conversion_id})
        self.server.postback(self.rector, {"sub_id": "no id"})
        expected = {"total_conversions": 5, "duplicate_conversions": 3, "quarantined": 1,
                    "total_sale_amount": sum(map(Decimal, amounts)),
                    "total_earning": Decimal("0.5"), "hours": 24}

        def as_expected():
            found = stats()
            return {name: found[name] for name in expected} == expected

        wait_until(as_expected, 5, f"stats are {expected}")
        before = stats()
        self.assertEqual(self.server.stop()[0], 0)
        self.server.start()
        after = stats()
        for name in (*expected, "first_conversion_at", "last_conversion_at"):
            self.assertEqual(after[name], before[name], name)
        self.assertLessEqual(after["first_conversion_at"], after["last_conversion_at"])
        hour = self.server.get(f"/partner{self.rector}/stats?hours=1").json["stats"]
        self.assertEqual((hour["hours"], hour["total_conversions"]), (1, 5))


@over(stores=STORES, settings={"LOG_POSTBACKS": "true"})
class Observability(Suite):
    def samples(self):
        answer = self.server.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.header("content-type").startswith("text/plain"))
        self.assertTrue(answer.text.endswith("\n"))
        found, types = {}, {}
        for line in answer.text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, types, "one TYPE line per metric")
                self.assertIn(kind, ("counter", "gauge", "histogram", "summary", "untyped"))
                types[name] = kind
            elif not line.startswith("# HELP ") and line:
                match = SAMPLE.match(line)
                self.assertTrue(match, f"not a sample: {line!r}")
                key = match.group(1) + (match.group(2) or "")
                self.assertNotIn(key, found, "each sample once")
                family = re.sub(r"_(bucket|sum|count)$", "", match.group(1))
                self.assertTrue(match.group(1) in types or family in types, f"no TYPE: {line}")
                found[key] = float(match.group(3))
        return found

    def test_metrics_can_be_parsed_and_count(self):
        def outcomes():
            samples = self.samples()
            return [samples.get(f'postback_requests_total{{partner="rector",lane="0",outcome='
                                f'"{outcome}"}}', 0) for outcome in (
                                    "success", "duplicate", "quarantined", "unavailable")]

        before = outcomes()
        conversion_id = self.new_id()
        for _ in range(3):
            self.server.postback(self.rector, {"conversion_id": conversion_id})
        self.server.postback(self.rector, {"sub_id": "no id"})
        self.assertEqual([now - then for now, then in zip(outcomes(), before)], [1, 2, 1, 0])

    def test_histograms_add_up(self):
        self.server.postback(self.rector, {"conversion_id": self.new_id()})
        samples = self.samples()
        label = 'partner="rector",lane="0"'
        buckets = [value for key, value in samples.items()
                   if key.startswith(f"postback_latency_seconds_bucket{{{label}")]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual(buckets[-1], samples[f"postback_latency_seconds_count{{{label}}}"])
        self.assertGreater(samples[f"postback_latency_seconds_sum{{{label}}}"], 0)

    def test_health_names_each_database(self):
        for endpoint in (self.involve, self.rector):
            self.server.postback(endpoint, {"conversion_id": self.new_id()})
        answer = self.server.get("/health")
        self.assertEqual(answer.status, 200)
        for word in ("involve_asia", "rector"):
            self.assertIn(word, answer.text)

    def test_info_has_version_engine_partners_and_settings(self):
        info = self.server.get("/info").json
        self.assertRegex(info["version"], r"^\d+\.\d+")
        self.assertEqual(info["event_loop"]["engine"], self.loop)
        self.assertIn("InvolveAsia", json.dumps(info["partners"]))
        self.assertEqual(info["settings"]["IO_ENGINE"], self.loop)

    def test_info_and_log_hide_passwords(self):
        self.server.ctl("partner", "add", "-", stdin=self.partner_file(
            "secretive", database_url="postgresql://u:hunter2@127.0.0.1:1/x"))
        wait_until(lambda: self.server.get("/partner/secretive/event?conversion_id=1").status
                   == 503, 5, "the partner is served, its database is away")
        for path in ("/info", "/health", "/metrics", "/partner/secretive/event/stats"):
            self.assertNotIn("hunter2", self.server.get(path).text)
        self.assertNotIn("hunter2", self.server.log())
        self.assertNotIn("hunter2", self.server.output())
        self.server.ctl("partner", "remove", "secretive")

    def test_log_goes_to_the_file_and_hides_ids_and_addresses(self):
        conversion_id = "verylongidentifier123"
        self.server.postback(self.rector, {"conversion_id": conversion_id, "sub_id": "person77"})
        line = wait_until(lambda: next((line for line in self.server.log().splitlines()
                                        if "very" in line), None), 5, "the line of the postback")
        self.assertIn("Rector", line)
        self.assertNotIn(conversion_id, self.server.log())
        self.assertNotIn("person77", self.server.log())
        self.assertNotIn("127.0.0.1", line)
        self.assertIn(line, self.server.output())
        self.assertTrue(stat.S_ISREG(pathlib.Path(self.server.settings["LOG_FILE"]).stat().st_mode))


@over(settings={"LOG_LEVEL": "DEBUG"})
class StepLog(Suite):
    def test_each_step_of_a_postback_is_logged(self):
        self.server.postback(self.involve, {
            "aff_sub": "test123", "usd_payout": "9.99", "conversion_id": "conv001"})
        wait_until(lambda: re.search(
            r"partner=InvolveAsia conversion_id=conv001 time=\d+\.\d+ms", self.server.log()), 5,
            "the closing line")
        log = self.server.log()
        for word in ("sub_id -> aff_sub = test123", "usd_payout -> usd_payout = 9.99",
                     "/involve/event", "InvolveAsia", "duplicate"):
            self.assertIn(word, log)

    def test_quarantined_postback_has_no_duplicate_check(self):
        self.server.postback(self.involve, {"conversion_id": "{broken}"})
        wait_until(lambda: "conversion_id={broken} time=" in self.server.log(), 5,
                   "the closing line")
        log = self.server.log()
        steps = log[log.index("quarantine reason=conversion_id_macro"):]
        steps = steps[:steps.index("conversion_id={broken} time=")]
        self.assertIn("as quarantined", steps)
        self.assertNotIn("duplicate check", steps)

    def test_hostile_bytes_do_not_reach_the_terminal(self):
        self.server.postback(self.involve, {"conversion_id": "hostile",
                                            "sub_id": "a\x1b[31m\nFAKE LINE\r\x07b"
                                                      "\x9b2J\u202egnp.exe\u2066\u2028"})
        wait_until(lambda: "conversion_id=hostile" in self.server.log(), 5, "the closing line")
        for text in (self.server.log(), self.server.output()):
            self.assertNotRegex(text, HOSTILE)
            self.assertNotRegex(text, r"(?m)^FAKE LINE")

    def test_partner_without_logging_is_not_logged(self):
        self.server.ctl("partner", "set", "rector", "enable_logging=false")

        def quiet():
            marker = self.new_id("quiet")
            self.server.postback(self.rector, {"conversion_id": marker})
            self.server.postback(self.involve, {"conversion_id": marker + "-fence"})
            wait_until(lambda: f"{marker}-fence" in self.server.log(), 5, "the fence")
            return f"conversion_id={marker} " not in self.server.log()

        wait_until(quiet, 5, "Rector's steps are not logged")


@over(loops=("epoll",), settings={"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"})
class JsonLog(Suite):
    def test_every_line_is_an_object_with_severity(self):
        self.server.postback(self.involve, {"conversion_id": "j1",
                                            "sub_id": 'a"b\\\n\x9b\u202e'})
        wait_until(lambda: "conversion_id=j1" in self.server.log(), 5, "the closing line")
        self.assertNotRegex(self.server.log(), HOSTILE)
        for line in self.server.log().splitlines():
            self.assertIn(json.loads(line)["severity"], ("DEBUG", "INFO", "WARNING", "ERROR"))
