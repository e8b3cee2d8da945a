"""What the tests of the journal share: a server of which one partner's database goes away."""

import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile

from databases import PostgresDatabase, SqliteDatabase
from gate import Gate
from harness import BUILD, SLOWNESS, Suite, wait_until
from metrics import read_metrics, waiting

MAKER = BUILD / "tests" / "support" / "journal_maker"


class JournalSuite(Suite):
    """Rector's rows go to PostgreSQL behind a gate, Involve Asia's and the registry's to SQLite.

    One cluster for the class; each test has a folder, a gate, a database and, from begin() on, a
    server of its own.
    """

    databases = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-journal-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.cluster = None
        cls.away = cls.make_cluster()

    def setUp(self):
        self.number = next(self.databases)
        self.gate = Gate(self.away.port)
        self.addCleanup(self.gate.shut)
        self.server = None

    def failure_context(self):
        return super().failure_context() if self.server else ""

    # The server.

    def begin(self, data_dir=None, wrapper=(), start=True, **settings):
        """A server with both partners. `data_dir`: where the journal is to lie."""
        settings = {"JOURNAL": "on", "JOURNAL_SEGMENT_MIB": 1, **settings}
        if data_dir:
            settings["DATA_DIR"] = str(data_dir)
        self.server = self.make_server(f"server-{self.number}", **settings)
        self.addCleanup(self.server.destroy)  # Before the disk it may lie on is gone.
        self.server.wrapper = list(wrapper)
        self.data = pathlib.Path(self.server.settings["DATA_DIR"])
        self.journal = self.data / "journal"
        self.server.ctl("init")
        self.server.ctl("partner", "set", "--yes", "rector", "database_url="
                        f"postgresql://postgres@127.0.0.1:{self.gate.port}/{self.database_name()}")
        # Elsewhere than the journal, whose disk many tests break.
        self.server.ctl("partner", "set", "involve_asia",
                        f"database_url=sqlite:{self.server.folder}/involve.db")
        if start:
            self.server.start()
        return self.server

    def restart(self, **environment):
        """After an end of any kind. `environment`: variables of this start only."""
        before = dict(self.server.settings)
        self.server.settings.update({name: str(value) for name, value in environment.items()})
        self.server.start()
        self.server.settings = before
        return self.server

    def database_name(self):
        return f"rector_{self.number}"

    def database(self, name="rector_db"):
        if name == "rector_db":
            return PostgresDatabase(self.away, self.database_name())
        return SqliteDatabase(self.server.folder / "involve.db")

    def make_journal(self, partner, count, *options, folder=None):
        """Fills DATA_DIR/journal as a server would have left it."""
        partner_id = {"involve_asia": 1, "rector": 2}[partner]
        subprocess.run([MAKER, folder or self.journal, str(partner_id), str(count),
                        "--code", partner, "--registry", self.registry_id(),
                        *map(str, options)], check=True)

    def registry_id(self):
        control = SqliteDatabase(self.server.settings["DATABASE_URL"].removeprefix("sqlite:"))
        return control.rows("SELECT registry_id FROM postback_registry")[0]["registry_id"]

    # Postbacks.

    def send(self, conversion_id, endpoint=Suite.rector, **parameters):
        """(HTTP status, what the answer calls it)."""
        answer = self.server.postback(endpoint, {"conversion_id": conversion_id, **parameters})
        body = answer.json
        return answer.status, body["error"]["code"] if answer.status != 200 else body["status"]

    def expect(self, status, word, endpoint=Suite.rector, **parameters):
        """Sends a new postback; its id, when the answer was this one."""
        conversion_id = self.new_id()
        self.assertEqual(self.send(conversion_id, endpoint, **parameters), (status, word))
        return conversion_id

    def expect_accepted(self, count=1, **parameters):
        return [self.expect(200, "accepted", **parameters) for _ in range(count)]

    def until(self, status, word, seconds=10, endpoint=Suite.rector):
        """Sends new postbacks until one is answered so; its id."""
        sent = []

        def answered():
            sent.append(self.new_id())
            return self.send(sent[-1], endpoint) == (status, word)

        wait_until(answered, seconds * SLOWNESS, f"{status} {word}")
        return sent[-1]

    def works(self, endpoint):
        return self.send(self.new_id(), endpoint) == (200, "success")

    def expect_neighbour_unharmed(self):
        self.assertTrue(self.works(self.involve), "the other partner's database is up")

    def go_away(self):
        """Rector's database is off, and the server knows it."""
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "all is well at first")
        self.gate.shut()
        return self.until(200, "accepted")

    # The end.

    def wait_drained(self, seconds=20):
        wait_until(lambda: waiting(self.server) == 0, seconds * SLOWNESS, "the journal is drained")

    def stored_ids(self, name="rector_db"):
        return [row["conversion_id"] for row in self.database(name).rows(
            "SELECT conversion_id FROM partner_conversions")]

    def assert_stored_once(self, acknowledged, name="rector_db"):
        stored = self.stored_ids(name)
        self.assertEqual(len(stored), len(set(stored)), "an id is stored twice")
        lost = sorted(set(acknowledged) - set(stored))
        self.assertEqual(lost, [], f"{len(lost)} of {len(acknowledged)} acknowledged are lost")

    def assert_all_well(self, acknowledged):
        """Opens the gate: everything acknowledged arrives once, and the books balance."""
        self.gate.open()
        wait_until(lambda: self.works(self.rector), 10 * SLOWNESS, "the database is back")
        self.wait_drained()
        self.assert_stored_once(acknowledged)
        self.assertIsNone(read_metrics(self.server).imbalance())

    def verify(self):
        """(exit status, what `postbackctl journal verify --json` says)."""
        done = self.server.ctl("journal", "verify", "--json", check=False)
        return done.returncode, json.loads(done.stdout)
