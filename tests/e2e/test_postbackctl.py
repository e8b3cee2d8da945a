"""postbackctl as a program, without a server: what it prints, refuses and leaves in the databases."""

import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from databases import Cluster
from harness import BUILD

NEW_PARTNER = {
    "partner_code": "new_partner",
    "partner_name": "New Partner",
    "endpoint_path": "/new/event",
    "cloud_run_service_name": "new-partner-service",
    "database_name": "new_partner_db",
    "parameter_mapping": {"param1": "mapped_param1", "param2": "mapped_param2"},
}

QUARANTINE = """CREATE TABLE IF NOT EXISTS postback_quarantine (
  id INTEGER PRIMARY KEY, partner_id INTEGER NOT NULL, received_at TEXT NOT NULL,
  reason TEXT NOT NULL, field TEXT, message TEXT NOT NULL, conversion_id TEXT, method TEXT,
  target TEXT, raw_data TEXT, request_headers TEXT, body BLOB, request_ip TEXT,
  created_at TEXT NOT NULL)"""


class Ctl(unittest.TestCase):
    """A folder of its own with the control database in data/, registered by init."""

    short = True

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-ctl-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.settings = {}
        self.ctl("init")

    def run_ctl(self, *arguments, stdin=""):
        kept = {name: value for name, value in os.environ.items()
                if name == "PATH" or name.endswith("SAN_OPTIONS")}
        return subprocess.run([BUILD / "postbackctl", *map(str, arguments)], cwd=self.folder,
                              env={**kept, **self.settings}, input=stdin, capture_output=True,
                              text=True, check=False, timeout=60)

    def ctl(self, *arguments, stdin=""):
        done = self.run_ctl(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def ctl_json(self, *arguments, stdin=""):
        return json.loads(self.ctl(*arguments, "--json", stdin=stdin))

    def refused(self, *arguments, code=1, stdin=""):
        """The one line that an error is."""
        done = self.run_ctl(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"\Apostbackctl: [^\n]+\n\Z")
        return done.stderr

    def sql(self, text, path="data/control.db", values=()):
        connection = sqlite3.connect(self.folder / path, timeout=10)
        try:
            with connection:
                return connection.execute(text, values).fetchall()
        finally:
            connection.close()


class Init(Ctl):
    def test_init_registers_the_shipped_partners(self):
        partners = self.ctl_json("partner", "list")
        self.assertEqual([p["partner_code"] for p in partners], ["involve_asia", "rector"])
        self.assertEqual([p["on_invalid"] for p in partners], ["accept", "refuse"])
        self.assertEqual(partners[0]["parameter_mapping"]["conversion_datetime"],
                         "datetime_conversion")
        self.assertEqual(partners[1]["endpoint_path"], "/rector/event")

    def test_init_again_leaves_what_an_operator_changed(self):
        self.ctl("partner", "set", "rector", "partner_name=Ours", "endpoint_path=/elsewhere")
        self.assertIn("is there already", self.ctl("init"))
        self.assertEqual(self.ctl_json("init"), {"control_database": "sqlite:data/control.db",
                                                 "registered": [],
                                                 "present": ["involve_asia", "rector"],
                                                 "removed": []})
        shown = self.ctl_json("partner", "show", "rector")
        self.assertEqual((shown["partner_name"], shown["endpoint_path"]), ("Ours", "/elsewhere"))

    def test_init_leaves_away_what_an_operator_removed(self):
        self.ctl("partner", "remove", "rector")
        self.assertEqual(self.ctl_json("init")["removed"], ["rector"])
        self.assertIn("partner rector was removed or renamed before and stays away; register it "
                      "again with: postbackctl init --restore", self.ctl("init"))
        self.assertEqual(len(self.ctl_json("partner", "list")), 1)

    def test_init_restore_brings_it_back_with_its_id(self):
        self.ctl("partner", "remove", "rector")
        self.ctl("partner", "add", "-", stdin=json.dumps(NEW_PARTNER))
        self.assertEqual(self.ctl_json("init", "--restore")["registered"], ["rector"])
        self.assertEqual([(p["id"], p["partner_code"]) for p in self.ctl_json("partner", "list")],
                         [(1, "involve_asia"), (2, "rector"), (3, "new_partner")])

    def test_database_of_an_older_program_is_brought_up_to_date(self):
        self.sql("DROP TABLE postback_registry")
        self.sql("DROP TABLE partner_ids")
        self.sql("ALTER TABLE partners DROP COLUMN dedupe_retention_days")
        self.sql("ALTER TABLE partners DROP COLUMN memory_epoch")
        self.sql("UPDATE postback_control_schema SET version = 1")
        self.assertEqual(self.ctl_json("partner", "show", "rector")["dedupe_retention_days"], 400)
        self.ctl("partner", "remove", "rector")
        self.assertEqual(self.ctl_json("init")["removed"], ["rector"])

    def test_init_names_a_partner_whose_path_is_taken(self):
        self.ctl("partner", "remove", "rector")
        self.ctl("partner", "set", "involve_asia", "endpoint_path=/rector/event")
        self.ctl("init")
        error = self.refused("init", "--restore")
        self.assertIn("/rector/event belongs to partner involve_asia", error)

    def test_without_init_the_remedy_is_named(self):
        self.settings["DATABASE_URL"] = "sqlite:other/control.db"
        self.assertIn("make it with: postbackctl init", self.refused("partner", "list"))
        self.assertFalse((self.folder / "other").exists())


class Partners(Ctl):
    def test_partner_is_added_from_a_file_or_from_standard_input(self):
        path = self.folder / "new.json"
        path.write_text(json.dumps(NEW_PARTNER))
        self.assertIn("endpoint /partner/new/event", self.ctl("partner", "add", path))
        shown = self.ctl_json("partner", "show", "new_partner")
        for name, value in NEW_PARTNER.items():
            self.assertEqual(shown[name], value)
        self.ctl("partner", "remove", "new_partner")
        added = self.ctl_json("partner", "add", "-", stdin=json.dumps(NEW_PARTNER))
        self.assertEqual(added["id"], 3, "the id stays with the code")
        added = self.ctl_json("partner", "add", "-", stdin=json.dumps({
            **NEW_PARTNER, "partner_code": "newer", "endpoint_path": "/newer/event"}))
        self.assertEqual(added["id"], 4, "an id is never given to another code")

    def test_what_show_prints_can_be_added_again(self):
        shown = self.ctl_json("partner", "show", "rector")
        self.ctl("partner", "remove", "rector")
        added = self.ctl_json("partner", "add", "-", stdin=json.dumps(shown))
        for name in ("created_at", "updated_at"):
            added.pop(name)
            shown.pop(name)
        self.assertEqual(added, shown)

    def test_wrong_partner_is_refused_with_its_field(self):
        for field, value in (("partner_code", "A B"), ("endpoint_path", "/x/stats"),
                             ("timezone", "Mars"), ("lanes", 65), ("on_invalid", "x"),
                             ("parameter_mapping", {"a": 1}), ("database_name", "../x"),
                             ("database_name", "control"), ("nonsense", 1),
                             ("partner_name", None), ("endpoint_path", "/rector/event"),
                             ("partner_code", "rector")):
            with self.subTest(field=field, value=value):
                wrong = {**NEW_PARTNER, field: value}
                self.assertIn(field, self.refused("partner", "add", "-", stdin=json.dumps(wrong)))
        self.assertEqual(len(self.ctl_json("partner", "list")), 2)

    def test_file_that_cannot_be_read_is_named(self):
        self.assertIn("none.json: cannot be opened", self.refused("partner", "add", "none.json"))
        self.assertIn("cannot be read", self.refused("partner", "add", "data"))
        self.assertIn("not JSON", self.refused("partner", "add", "-", stdin="{"))
        self.assertIn("longer than 64 KiB", self.refused("partner", "add", "-", stdin=" " * 70000))

    def test_set_changes_fields_and_says_which(self):
        self.assertEqual(self.ctl("partner", "set", "rector", "lanes=2", "timezone=Asia/Taipei"),
                         "partner rector changed: timezone: UTC -> Asia/Taipei, lanes: 1 -> 2\n")
        self.assertEqual(self.ctl("partner", "set", "rector", "lanes=2"),
                         "partner rector is unchanged\n")
        self.ctl("partner", "set", "rector", 'parameter_mapping={"conversion_id": "b", "a": "c"}')
        shown = self.ctl_json("partner", "show", "rector")
        self.assertEqual(list(shown["parameter_mapping"].items()),
                         [("conversion_id", "b"), ("a", "c")])
        self.assertGreater(shown["updated_at"], shown["created_at"])

    def test_set_checks_the_whole_partner(self):
        for argument in ("lanes=0", "lanes=x", "is_active=maybe", "timezone=Mars",
                         "endpoint_path=/involve/event", "partner_code=involve_asia",
                         "database_name=", "parameter_mapping=[]", "endpoint_path=x"):
            with self.subTest(argument=argument):
                error = self.refused("partner", "set", "rector", argument)
                self.assertIn("partner rector is unchanged: " + argument.split("=")[0], error)

    def test_wrong_use_of_set_is_a_usage_error(self):
        self.assertIn("did you mean lanes", self.refused("partner", "set", "rector", "lnes=1",
                                                         code=2))
        self.assertIn("give KEY=VALUE", self.refused("partner", "set", "rector", "lanes", code=2))
        self.assertIn("stands twice", self.refused("partner", "set", "rector", "lanes=1",
                                                   "lanes=2", code=2))
        self.assertIn("given by the database", self.refused("partner", "set", "rector", "id=9",
                                                            code=2))
        self.assertIn("too few", self.refused("partner", "set", "rector", code=2))

    def test_enable_and_disable(self):
        self.ctl("partner", "disable", "rector")
        self.assertFalse(self.ctl_json("partner", "show", "rector")["is_active"])
        self.assertTrue(self.ctl_json("partner", "enable", "rector")["is_active"])

    def test_remove_says_where_the_rows_stay(self):
        self.assertIn("its rows are kept in sqlite:data/rector_db.db",
                      self.ctl("partner", "remove", "rector"))
        self.assertEqual(len(self.ctl_json("partner", "list")), 1)

    def test_unknown_partner_suggests_the_nearest(self):
        for command in ("show", "enable", "disable", "remove"):
            self.assertIn("did you mean rector?", self.refused("partner", command, "rectr"))
        self.assertIn("partner list shows", self.refused("partner", "show", "zzzzzz"))

    def test_password_is_masked_unless_asked_for(self):
        self.ctl("partner", "set", "--yes", "rector", "database_url=postgresql://u:s3cret@h/db")
        for arguments in (("list",), ("list", "--json"), ("show", "rector"),
                          ("show", "rector", "--json"), ("set", "rector", "lanes=3", "--json")):
            with self.subTest(arguments=arguments):
                self.assertNotIn("s3cret", self.ctl("partner", *arguments))
        self.assertIn("s3cret", self.ctl("partner", "show", "rector", "--show-secrets"))
        masked = self.ctl("partner", "show", "rector", "--json")
        self.ctl("partner", "remove", "rector")
        self.assertIn("masked", self.refused("partner", "add", "-", stdin=masked))

    def test_row_broken_with_sql_is_named_and_can_be_put_right(self):
        self.sql("UPDATE partners SET timezone = 'Mars' WHERE partner_code = 'rector'")
        done = self.run_ctl("partner", "list")
        self.assertEqual(done.returncode, 1)
        self.assertIn("involve_asia", done.stdout)
        self.assertIn("partner rector is wrong in the control database: timezone", done.stderr)
        shown = self.run_ctl("partner", "show", "rector")
        self.assertEqual(shown.returncode, 1)
        self.assertIn("Mars", shown.stdout)
        self.ctl("partner", "set", "rector", "timezone=UTC")
        self.ctl("partner", "list")

    def test_table_is_aligned_for_wide_characters_and_free_of_control_characters(self):
        self.ctl("partner", "set", "rector", "partner_name=廣告聯盟")
        lines = self.ctl("partner", "list").splitlines()
        column = lines[0].index("ENDPOINT")
        self.assertEqual(lines[1].index("/involve"), column)
        self.assertEqual(lines[2].index("/rector"), column - 4, "four characters of two columns")
        self.sql("UPDATE partners SET partner_code = 'a' || char(27) || '[31m' WHERE id = 2")
        done = self.run_ctl("partner", "list")
        self.assertNotIn("\x1b", done.stdout + done.stderr)


class CommandLine(Ctl):
    def test_help_is_everywhere(self):
        self.assertIn("partner add FILE.json|-", self.ctl("--help"))
        self.assertIn("DATABASE_URL", self.ctl("--help"))
        self.assertIn("partner add", self.ctl("partner", "--help"))
        self.assertNotIn("quarantine list", self.ctl("partner", "--help").split("Settings")[0])
        for command in re.findall(r"^  (init|partner \w+|quarantine \w+) ", self.ctl("--help"),
                                  re.MULTILINE):
            self.assertIn(f"Usage: postbackctl {command}", self.ctl(*command.split(), "-h"))
        self.assertRegex(self.ctl("--version"), r"\Apostbackctl \d+\.\d+\.\d+\n\Z")

    def test_wrong_command_line_is_told_from_failure(self):
        for arguments in ((), ("partner",), ("partner", "lst"), ("nonsense",), ("--nonsense",),
                          ("partner", "list", "--limit", "5"), ("partner", "show"),
                          ("partner", "list", "x"), ("quarantine", "list", "--limit", "0"),
                          ("quarantine", "list", "--limit"), ("init", "--json=x"),
                          ("quarantine", "list", "--reason", "x"), ("quarantine", "show", "x"),
                          ("--port", "80000", "init"), ("--database-url", "mysql://h", "init")):
            with self.subTest(arguments=arguments):
                self.refused(*arguments, code=2)

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([BUILD / "postbackctl", "--help"], stdout=full, check=False,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not be written", done.stderr)


class Quarantine(Ctl):
    def setUp(self):
        super().setUp()
        self.put("involve_asia_db", 10, 1, "2025-01-15T10:00:00.000000Z", "conversion_id_macro")
        self.put("rector_db", 20, 2, "2025-01-15T11:00:00.000000Z", "amount_invalid",
                 body=b"\xff\x00\x1b[31m")
        self.put("involve_asia_db", 30, 1, "2025-01-15T12:00:00.000000Z", "amount_invalid")

    def put(self, database, row_id, partner_id, received_at, reason, body=None):
        path = f"data/{database}.db"
        self.sql(QUARANTINE, path)
        self.sql("INSERT INTO postback_quarantine VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", path,
                 (row_id, partner_id, received_at, reason, "field", "what \x1b[31m is wrong",
                  f"conv{row_id}", "GET", "/partner/x?a=1", '{"a":"1"}', '{"h":["v"]}', body,
                  "192.0.2.1", received_at))

    def listed(self, *arguments):
        return [row["id"] for row in self.ctl_json("quarantine", "list", *arguments)]

    def test_rows_of_all_partners_come_newest_first(self):
        self.assertEqual(self.listed(), [30, 20, 10])
        self.assertEqual(self.listed("--limit", "2"), [30, 20])
        self.assertEqual(self.listed("--partner", "rector"), [20])
        self.assertEqual(self.listed("--partner=involve_asia"), [30, 10])
        self.assertEqual(self.listed("--reason", "amount_invalid"), [30, 20])
        self.assertEqual(self.listed("--reason", "invalid_json"), [])
        text = self.ctl("quarantine", "list")
        self.assertIn("conv30", text)
        self.assertNotIn("\x1b", text)
        self.assertEqual(self.ctl("quarantine", "list", "--reason", "invalid_json"),
                         "nothing in quarantine\n")

    def test_one_row_is_shown_with_everything(self):
        row = self.ctl_json("quarantine", "show", "20")
        self.assertEqual(row["raw_data"], {"a": "1"})
        self.assertEqual(row["request_headers"], {"h": ["v"]})
        self.assertEqual(row["body_hex"], "ff001b5b33316d")
        self.assertEqual(row["partner"], "rector")
        self.assertIsNone(self.ctl_json("quarantine", "show", "10")["body"])
        text = self.ctl("quarantine", "show", "20")
        self.assertIn("\\xff\\x00\\x1b[31m", text)
        self.assertNotIn("\x1b", text)

    def test_unknown_row_or_partner_is_a_failure(self):
        self.assertIn("has the id 99", self.refused("quarantine", "show", "99"))
        self.assertIn("has the id 20", self.refused("quarantine", "show", "20", "--partner",
                                                    "involve_asia"))
        self.assertIn("did you mean rector", self.refused("quarantine", "list", "--partner",
                                                          "rectr"))

    def test_partner_without_a_database_has_nothing_in_quarantine(self):
        (self.folder / "data/rector_db.db").unlink()
        self.assertEqual(self.listed(), [30, 10])

    def test_database_that_is_away_is_named(self):
        (self.folder / "data/rector_db.db").write_bytes(b"not a database" * 1000)
        done = self.run_ctl("quarantine", "list", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([row["id"] for row in json.loads(done.stdout)], [30, 10])
        self.assertIn("partner rector left out: ", done.stderr)


class CtlOverPostgres(Ctl):
    def setUp(self):
        self.cluster = Cluster(template=os.environ.get("POSTBACK_TEST_PG_TEMPLATE")).start()
        self.addCleanup(self.cluster.destroy)
        self.addCleanup(setattr, self, "settings", {})
        super().setUp()
        shutil.rmtree(self.folder / "data")
        self.settings = {"DATABASE_URL": self.cluster.url("control")}
        self.ctl("init")

    def test_partners_are_kept_in_a_database_that_init_made(self):
        self.assertIn("control", self.cluster.databases())
        self.ctl("partner", "set", "rector", "partner_name=廣告 'x'", "is_active=false")
        shown = self.ctl_json("partner", "show", "rector")
        self.assertEqual((shown["partner_name"], shown["is_active"]), ("廣告 'x'", False))
        self.ctl("partner", "add", "-", stdin=json.dumps(NEW_PARTNER))
        self.assertIn("/new_partner_db", self.ctl("partner", "list"))
        self.ctl("partner", "remove", "new_partner")
        self.assertEqual(self.cluster.sql("SELECT count(*) FROM partners", "control").strip(), "2")
        self.assertEqual(self.ctl_json("init")["registered"], [])

    def test_quarantine_is_read_from_the_partners_databases(self):
        self.assertEqual(self.ctl_json("quarantine", "list"), [], "no database of theirs yet")
        self.cluster.sql("CREATE DATABASE rector_db")
        self.assertEqual(self.ctl_json("quarantine", "list"), [], "no table of theirs yet")
        self.cluster.sql(
            "CREATE TABLE postback_quarantine (id bigint, partner_id integer, received_at "
            "timestamptz, reason varchar(50), field text, message text, conversion_id varchar(255),"
            " method varchar(10), target text, raw_data json, request_headers json, body bytea, "
            "request_ip varchar(45), created_at timestamptz)", "rector_db")
        self.cluster.sql(
            "INSERT INTO postback_quarantine VALUES (7, 2, '2025-01-15T10:00:00+08', "
            "'amount_invalid', 'usd_earning', 'no amount', 'c', 'GET', '/x', '{\"a\":1}', '{}', "
            "'\\xff00', '::1', now())", "rector_db")
        rows = self.ctl_json("quarantine", "list", "--reason", "amount_invalid")
        self.assertEqual([(row["id"], row["received_at"]) for row in rows],
                         [(7, "2025-01-15T02:00:00.000000Z")])
        self.assertEqual(self.ctl_json("quarantine", "show", "7")["body_hex"], "ff00")

    def test_server_that_is_away_is_named_with_a_remedy(self):
        self.cluster.stop(signal.SIGINT)
        error = self.refused("partner", "list")
        self.assertIn("check that the server runs", error)


if __name__ == "__main__":
    unittest.main()
