"""The control database is away while the server starts: it serves the partners it had before."""

import datetime
import pathlib

from harness import SLOWNESS, Suite, over, wait_until


@over(stores=("postgresql",), weight=2)
class ControlDatabaseAway(Suite):
    @classmethod
    def prepare(cls):
        cls.path = pathlib.Path(cls.server.settings["DATA_DIR"]) / "partners.cache"

    def add(self, code):
        """A partner whose rows do not need the cluster."""
        database = f"sqlite:{self.server.folder}/data/{code}.db"
        self.server.ctl("partner", "add", "-", stdin=self.partner_file(code, database_url=database))

    def served(self, code):
        return self.server.get(f"/partner/{code}/event/stats").status == 200

    def send(self, code, conversion_id):
        answer = self.server.postback(f"/{code}/event", {"conversion_id": conversion_id})
        return answer.status, answer.json["status"]

    def check_away(self):
        health = self.server.get("/health").json
        self.assertEqual(health["status"], "degraded")
        control = health["control_database"]
        self.assertEqual((control["kind"], control["state"]), ("postgresql", "down"))
        self.assertIn("refused", control["error"])
        age = (datetime.datetime.now(datetime.timezone.utc)
               - datetime.datetime.fromisoformat(control["partners_as_of"].replace("Z", "+00:00")))
        self.assertLess(abs(age), datetime.timedelta(minutes=5))
        self.assertRegex(self.server.output(this_run=True), r"WARNING partner: serving the \d+ "
                         rf"partners kept in {self.path}, which is \d+ (s|min) old")
        # It may have been added meanwhile: a 404 would make its sender give up.
        for endpoint in ("/nobody/event", "/disabled/event"):
            answer = self.server.postback(endpoint, {"conversion_id": "1"})
            self.assert_error(answer, 503, "registry_unavailable")
            self.assertTrue(answer.header("Retry-After"))

    def test_serves_the_partners_of_before_until_it_is_back(self):
        for code in ("kept", "disabled"):
            self.add(code)
        wait_until(lambda: self.served("kept") and self.served("disabled"), 10, "both are served")
        self.server.ctl("partner", "disable", "disabled")
        wait_until(lambda: not self.served("disabled"), 10, "one is disabled")
        self.assertEqual(self.send("kept", "before"), (200, "success"))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.server.stop()[0], 0)
        self.cluster.stop()
        try:
            self.server.start()
            self.assertEqual(self.send("kept", "during"), (200, "success"))
            self.assertEqual(self.send("kept", "before"), (200, "duplicate"))
            self.assert_error(self.server.postback(self.rector, {"conversion_id": "1"}), 503,
                              "database_unavailable")
            self.check_away()
        finally:
            self.cluster.start()
        self.add("later")
        self.server.ctl("partner", "enable", "disabled")
        wait_until(lambda: self.served("later") and self.served("disabled"), 10 * SLOWNESS,
                   "what changed since is picked up")
        wait_until(lambda: self.server.get("/health").json["status"] == "healthy", 10 * SLOWNESS,
                   "all is well")
        self.assertNotIn("partners_as_of", self.server.get("/health").text)
        self.assertEqual(self.server.postback("/nobody/event", {"conversion_id": "1"}).status, 404)
        for conversion_id in ("before", "during"):
            self.assertEqual(self.send("kept", conversion_id), (200, "duplicate"))
        self.assertEqual(self.send("later", "after"), (200, "success"))
