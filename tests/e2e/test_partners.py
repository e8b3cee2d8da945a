"""Partners: routing, changes that are served without a restart, postbackctl."""

import itertools
import json
import signal
import threading

from harness import SLOWNESS, STORES, Suite, over, wait_until
from load import Load, run_wrk

# The promise is two seconds; the rest is for a busy machine.
SERVED_WITHIN_S = 2.5 * SLOWNESS


@over(stores=STORES)
class Partners(Suite):
    def found(self, path):
        return self.server.get(f"/partner{path}").status != 404

    def add(self, code, **fields):
        self.server.ctl("partner", "add", "-", stdin=self.partner_file(code, **fields))

    def test_new_partner_of_the_documents_is_served_within_two_seconds(self):
        self.server.ctl("partner", "add", "-", stdin=json.dumps({
            "partner_code": "new_partner", "partner_name": "New Partner",
            "endpoint_path": "/new/event", "cloud_run_service_name": "new-partner-service",
            "database_name": "new_partner_db",
            "parameter_mapping": {"param1": "mapped_param1", "param2": "mapped_param2"}}))
        wait_until(lambda: self.found("/new/event/stats"), SERVED_WITHIN_S, "/new/event is served")
        answer = self.server.get("/partner/new/event?conversion_id=n1&mapped_param1=a&param2=b")
        self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)
        raw = self.conversion("n1", "new_partner_db")["raw_data"]
        self.assertEqual({name: raw.get(name) for name in ("param1", "mapped_param1", "param2")},
                         {"param1": "a", "mapped_param1": "a", "param2": "b"})
        if self.cluster:
            self.assertIn("new_partner_db", self.cluster.databases())

    def test_paths_with_many_slashes_and_the_pages_below_them(self):
        self.add("deep", endpoint_path="/a/b/c/d/e")
        # A partner whose own path ends like a page of another one.
        self.add("shadow", endpoint_path="/a/b/c/d/e/extra")
        wait_until(lambda: self.found("/a/b/c/d/e/extra/stats"), SERVED_WITHIN_S, "both are served")
        self.assertEqual(self.server.postback("/a/b/c/d/e", {"conversion_id": "x"}).json["status"],
                         "success")
        stats = self.server.get("/partner/a/b/c/d/e/stats").json
        self.assertEqual((stats["partner"], stats["endpoint"]), ("Deep", "/a/b/c/d/e"))
        self.assertEqual(stats["stats"]["total_conversions"], 1)
        page = self.server.get("/partner/a/b/c/d/e/conversions").json
        self.assertEqual([row["conversion_id"] for row in page["conversions"]], ["x"])
        other = self.server.get("/partner/a/b/c/d/e/extra/conversions").json
        self.assertEqual((other["partner"], other["conversions"]), ("Shadow", []))

    def test_changes_are_served_without_a_lost_request(self):
        self.add("lively", parameter_mapping={"sub_id": "first_name"})
        wait_until(lambda: self.found("/lively/event/stats"), SERVED_WITHIN_S, "it is served")
        with Load(self.server, "/lively/event", 4) as load:
            wait_until(lambda: len(load.account.acked) > 50, 10 * SLOWNESS, "load runs")
            self.server.ctl("partner", "set", "lively",
                            'parameter_mapping={"sub_id":"second_name"}')

            def mapped():
                conversion_id = self.new_id("map")
                answer = self.server.postback(
                    "/lively/event", {"conversion_id": conversion_id, "second_name": "s"})
                return answer.json["conversion"]["sub_id"] == "s"

            wait_until(mapped, SERVED_WITHIN_S, "the new mapping is used")
            # Partners come and go beside it.
            for number in range(5):
                self.add(f"beside{number}")
            wait_until(lambda: self.found("/beside4/event/stats"), SERVED_WITHIN_S, "the last one")
            for number in range(5):
                self.server.ctl("partner", "remove", f"beside{number}")
            wait_until(lambda: not self.found("/beside4/event/stats"), SERVED_WITHIN_S, "it is gone")
        account = load.account
        self.assertEqual((account.errors, account.refused), ([], []))
        stored = {row["conversion_id"] for row in self.conversions("lively_db")}
        self.assertEqual(set(account.acked) - stored, set())

    def test_disabled_partner_answers_404_and_comes_back(self):
        self.add("switch")
        wait_until(lambda: self.found("/switch/event/stats"), SERVED_WITHIN_S, "it is served")
        self.assertEqual(self.server.postback("/switch/event", {"conversion_id": "1"}).status, 200)
        self.server.ctl("partner", "disable", "switch")
        wait_until(lambda: self.server.postback("/switch/event", {"conversion_id": "2"}).status
                   == 404, SERVED_WITHIN_S, "it answers 404")
        self.assert_error(self.server.postback("/switch/event", {"conversion_id": "3"}), 404)
        self.server.ctl("partner", "enable", "switch")
        wait_until(lambda: self.found("/switch/event/stats"), SERVED_WITHIN_S, "it is back")
        again = self.server.postback("/switch/event", {"conversion_id": "1"}).json
        self.assertEqual(again["status"], "duplicate")

    def test_removed_and_added_again_is_the_same_partner(self):
        self.add("returning")
        wait_until(lambda: self.found("/returning/event/stats"), SERVED_WITHIN_S, "it is served")
        answer = self.server.postback("/returning/event", {"conversion_id": "1"})
        self.assertEqual(answer.json["status"], "success")
        self.server.ctl("partner", "remove", "returning")
        wait_until(lambda: not self.found("/returning/event/stats"), SERVED_WITHIN_S, "it is gone")
        self.add("between")
        self.add("returning")
        wait_until(lambda: self.found("/returning/event/stats"), SERVED_WITHIN_S, "it is back")
        answer = self.server.postback("/returning/event", {"conversion_id": "1"})
        self.assertEqual((answer.status, answer.json["status"]), (200, "duplicate"))
        self.assertEqual(len(self.conversions("returning_db")), 1)

    def test_on_invalid_can_be_changed(self):
        self.add("strict")
        wait_until(lambda: self.found("/strict/event/stats"), SERVED_WITHIN_S, "it is served")
        self.assertEqual(self.server.postback("/strict/event", {"a": "1"}).status, 422)
        self.server.ctl("partner", "set", "strict", "on_invalid=accept")
        wait_until(lambda: self.server.postback("/strict/event", {"a": "1"}).status == 200,
                   SERVED_WITHIN_S, "it accepts")

    def test_several_lanes_keep_ids_unique(self):
        self.add("wide", lanes=4)
        wait_until(lambda: self.found("/wide/event/stats"), SERVED_WITHIN_S, "it is served")
        for status in ("success", "duplicate"):
            for number in range(40):
                answer = self.server.postback("/wide/event", {"conversion_id": f"w{number}"})
                self.assertEqual((answer.status, answer.json["status"]), (200, status), answer)
        self.assertEqual(len(self.conversions("wide_db")), 40)
        wait_until(lambda: self.server.get("/partner/wide/event/stats").json["stats"][
            "duplicate_conversions"] == 40, 5, "the lanes' statistics add up")

    def test_lanes_are_added_and_taken_away_without_a_refused_request(self):
        self.add("elastic", lanes=4)
        wait_until(lambda: self.found("/elastic/event/stats"), SERVED_WITHIN_S, "it is served")
        counts = []
        count = 60_000 // SLOWNESS
        sender = threading.Thread(target=lambda: counts.append(
            run_wrk(self.server, "/elastic/event", count, connections=128)[0]))
        sender.start()
        for lanes in itertools.cycle((1, 4)):
            self.server.ctl("partner", "set", "elastic", f"lanes={lanes}")
            self.server.process.send_signal(signal.SIGHUP)
            sender.join(0.1)
            if not sender.is_alive():
                break
        self.assertEqual(counts, [{"success": count, "duplicate": 0, "other": 0,
                                   "socket_errors": 0}])

    def test_a_change_of_the_database_goes_to_the_new_one(self):
        self.add("moving", database_name="moving_old_db")
        wait_until(lambda: self.found("/moving/event/stats"), SERVED_WITHIN_S, "it is served")
        self.assertEqual(self.server.postback("/moving/event", {"conversion_id": "1"}).json[
            "status"], "success")
        refused = self.server.ctl("partner", "set", "moving", "database_name=moving_new_db",
                                  check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, "does not know its conversion ids.*give --yes")
        self.server.ctl("partner", "set", "moving", "--yes", "database_name=moving_new_db")

        statuses = []

        def moved():
            """A 503 while the new database is made may have its row all the same."""
            answer = self.server.postback("/moving/event", {"conversion_id": "1"})
            statuses.append(answer.status)
            return answer.status == 200 and (answer.json["status"] == "success" or 503 in statuses)

        wait_until(moved, SERVED_WITHIN_S, "the new database takes the conversion")
        for name in ("moving_old_db", "moving_new_db"):
            self.assertEqual([row["conversion_id"] for row in self.conversions(name)], ["1"])

    def test_date_without_a_zone_is_of_the_partners_zone(self):
        self.add("taipei", timezone="Asia/Taipei",
                 parameter_mapping={"conversion_datetime": "when"})
        wait_until(lambda: self.found("/taipei/event/stats"), SERVED_WITHIN_S, "it is served")
        self.server.postback("/taipei/event", {"conversion_id": "z", "when": "2025-01-15 10:20:30"})
        row = self.conversion("z", "taipei_db")
        self.assertEqual(row["conversion_datetime"].isoformat(), "2025-01-15T02:20:30+00:00")


@over(loops=("epoll",), stores=STORES)
class Ctl(Suite):
    """postbackctl by itself."""

    def test_init_may_be_run_again_and_changes_nothing(self):
        self.server.ctl("partner", "set", "rector", "partner_name=Changed")
        try:
            self.server.ctl("init")
            shown = json.loads(self.server.ctl("partner", "show", "rector", "--json").stdout)
            self.assertEqual(shown["partner_name"], "Changed")
        finally:
            self.server.ctl("partner", "set", "rector", "partner_name=Rector")

    def test_shipped_partners_are_as_documented(self):
        listed = self.server.ctl("partner", "list").stdout
        self.assertIn("involve_asia", listed)
        self.assertIn("rector", listed)
        involve = json.loads(self.server.ctl("partner", "show", "involve_asia", "--json").stdout)
        expected = {
            "partner_code": "involve_asia", "partner_name": "InvolveAsia",
            "endpoint_path": "/involve/event", "cloud_run_service_name": "bytec-public-postback",
            "cloud_run_region": "asia-southeast1", "database_name": "involve_asia_db",
            "on_invalid": "accept", "is_active": True, "enable_logging": True,
            "max_daily_requests": 100000, "data_retention_days": 30,
            "dedupe_retention_days": 400, "timezone": "UTC", "lanes": 1,
            "parameter_mapping": {
                "sub_id": "aff_sub", "media_id": "aff_sub2", "click_id": "aff_sub3",
                "usd_sale_amount": "usd_sale_amount", "usd_payout": "usd_payout",
                "offer_name": "offer_name", "conversion_id": "conversion_id",
                "conversion_datetime": "datetime_conversion"}}
        self.assertEqual({name: involve[name] for name in expected}, expected)
        rector = json.loads(self.server.ctl("partner", "show", "rector", "--json").stdout)
        self.assertEqual((rector["endpoint_path"], rector["database_name"], rector["on_invalid"],
                          rector["cloud_run_service_name"]),
                         ("/rector/event", "rector_db", "refuse", "rector-postback"))
        self.assertEqual(rector["parameter_mapping"], {name: name for name in (
            "media_id", "sub_id", "usd_sale_amount", "usd_earning", "offer_name", "conversion_id",
            "conversion_datetime", "click_id")})

    def test_wrong_partners_are_refused_with_one_line(self):
        for fields in ({"endpoint_path": "no-slash"}, {"partner_code": ""}, {"timezone": "Mars/X"},
                       {"lanes": 0}, {"on_invalid": "maybe"}, {"parameter_mapping": []},
                       {"endpoint_path": "/rector/event"}, {"database_url": "mysql://x/y"},
                       {"unknown_field": 1}):
            with self.subTest(fields=fields):
                done = self.server.ctl("partner", "add", "-", check=False,
                                       stdin=self.partner_file("wrong", **fields))
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for arguments in (("partner", "show", "nobody"), ("partner", "set", "rector", "lanes=x"),
                          ("partner", "enable", "nobody"), ("nonsense",), ("partner", "add",
                                                                         "/no/such/file")):
            with self.subTest(arguments=arguments):
                done = self.server.ctl(*arguments, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr.strip())
        self.assertNotIn("wrong", self.server.ctl("partner", "list").stdout)

    def test_quarantine_is_listed_and_shown(self):
        marker = self.new_id("mark")
        self.server.postback(self.rector, {"conversion_id": "{macro}", "sub_id": marker})
        row = self.quarantined("rector_db")[-1]
        for listed in (self.server.ctl("quarantine", "list").stdout,
                       self.server.ctl("quarantine", "list", "--partner", "rector", "--reason",
                                       "conversion_id_macro").stdout):
            self.assertIn("conversion_id_macro", listed)
            self.assertIn(str(row["id"]), listed)
        other = self.server.ctl("quarantine", "list", "--partner", "involve_asia").stdout
        self.assertNotIn(str(row["id"]), other)
        shown = self.server.ctl("quarantine", "show", str(row["id"])).stdout
        self.assertIn(marker, shown)
        self.assertIn("conversion_id_macro", shown)
        shown = json.loads(self.server.ctl("quarantine", "show", str(row["id"]), "--json").stdout)
        self.assertEqual((shown["id"], shown["reason"]), (row["id"], "conversion_id_macro"))
        unknown = self.server.ctl("quarantine", "show", "1", check=False)
        self.assertEqual(unknown.returncode, 1)

    def test_changes_by_hand_in_the_control_database_are_served(self):
        if not self.cluster:
            import sqlite3
            path = self.server.settings["DATABASE_URL"].removeprefix("sqlite:")
            with sqlite3.connect(path, timeout=10) as control:
                control.execute("UPDATE partners SET is_active=0 WHERE partner_code='rector'")
            control.close()
        else:
            self.cluster.sql("UPDATE partners SET is_active=false WHERE partner_code='rector'",
                             "control")
        try:
            wait_until(lambda: self.server.get("/partner/rector/event/stats").status == 404,
                       SERVED_WITHIN_S, "it is gone")
        finally:
            self.server.ctl("partner", "enable", "rector")
        wait_until(lambda: self.server.get("/partner/rector/event/stats").status == 200,
                   SERVED_WITHIN_S, "it is back")
