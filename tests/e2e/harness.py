"""The server as a process, and the base of the test classes.

A test class is written once as a Suite and multiplied with @over(...) over event loops and stores:
each product is a TestCase with a server, a folder and, for PostgreSQL, a cluster of its own.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from decimal import Decimal

import machine
import support
from databases import Cluster, PostgresDatabase, SqliteDatabase
from http_client import Connection, query

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("POSTBACK_BUILD", REPOSITORY / "build"))
# Sanitizers slow the server down; limits on time are then not the point.
SANITIZED = BUILD.name in ("build-address", "build-thread")  # As tools/test names them.
SLOWNESS = 5 if SANITIZED else 1
# Seconds until a client has its answer. A postback without an outcome is answered after 1.7 s
# (server/limits.h), seen by a sweep each 0.25 s. One whose database has said nothing for 0.75 s goes
# to the journal; without it, 1.5 s would pass.
ANSWER_S_MAX = 2.45
BUDGET_ANSWER_S_MAX = 1.4

LOOPS = ("io_uring", "epoll")
STORES = ("sqlite", "postgresql")


def wait_until(condition, seconds, what):
    """Returns the first true value of condition(); fails when there is none in time. Seconds in which
    the machine stood still do not count."""
    machine.watch()
    started = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        took = time.monotonic() - started
        if took > seconds and took > seconds + machine.stalled_s(took):
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Server:
    """One postbackd process. Settings are given as environment variables."""

    def __init__(self, folder, wrapper=(), arguments=(), **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.wrapper = list(wrapper)
        self.arguments = list(arguments)
        self.settings = {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "DATA_DIR": str(self.folder / "data"),
            "DATABASE_URL": f"sqlite:{self.folder}/data/control.db",
            "LOG_FILE": str(self.folder / "logs" / "postback.log"),
            # Without a journal a slow machine shows as a late answer, not as another one. What is
            # about outages, and the documented calls, run with it.
            "JOURNAL": "off",
            "JOURNAL_SEGMENT_MIB": "1",  # Two are written full at every first start.
            **{name: str(value) for name, value in settings.items()},
        }
        self.output_path = self.folder / "output.txt"
        self.process = None
        self.port = None

    def environment(self):
        kept = {name: value for name, value in os.environ.items()
                if name in ("PATH", "HOME", "TZ") or name.endswith("SAN_OPTIONS")}
        return {**kept, **self.settings}

    def ctl(self, *arguments, stdin=None, check=True, umask=-1):
        """Runs postbackctl with the server's settings."""
        done = subprocess.run([BUILD / "postbackctl", *arguments], env=self.environment(),
                              cwd=self.folder, input=stdin, capture_output=True, text=True,
                              check=False, timeout=60, umask=umask)
        if check and done.returncode != 0:
            raise AssertionError(f"postbackctl {arguments}: {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def spawn(self):
        """Starts the process without waiting for anything. From the main thread only: the
        process is killed when the thread that started it ends."""
        machine.watch()
        with open(self.output_path, "ab") as output:
            self.output_start = output.tell()
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.wrapper, str(BUILD / "postbackd"),
                 *self.arguments],
                env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT)
        return self

    def start(self, seconds=20):
        """Starts the process and waits until it listens."""
        self.spawn()
        self.port = None

        def listening():
            match = re.search(r"listening on http://[^\s:]+:(\d+)", self.output(this_run=True))
            if match:
                self.port = int(match.group(1))
            elif self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n"
                                     f"{self.output()}")
            return match

        wait_until(listening, seconds * SLOWNESS, f"listening; output:\n{self.output()}")
        return self

    def purge_looks(self):
        """How often its purge has looked at a partner: first two seconds after the start. It writes
        then."""
        return int(re.search(r"^postback_purge_looks_total (\d+)$", self.get("/metrics").text,
                             re.MULTILINE).group(1))

    def wait_for_databases(self):
        """Until none is still being made or connected to."""
        wait_until(lambda: all(database["state"] != "connecting"
                               for database in self.get("/health").json["databases"]),
                   20 * SLOWNESS, "the databases are made")
        return self

    def output(self, this_run=False):
        data = self.output_path.read_bytes() if self.output_path.exists() else b""
        return data[self.output_start if this_run else 0:].decode(errors="replace")

    def log(self):
        return pathlib.Path(self.settings["LOG_FILE"]).read_text(errors="replace")

    def stop(self, seconds=10):
        """SIGTERM; returns (exit status, seconds it took)."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds * SLOWNESS)
        return status, time.monotonic() - started

    def kill(self):
        self.process.kill()
        self.process.wait()

    def destroy(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def connect(self, **options):
        return Connection("127.0.0.1", self.port, **options)

    def exchange(self, method, target, headers=(), body=None):
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.exchange(method, target, [*headers, ("Connection", "close")], body)

    def get(self, target, headers=()):
        return self.exchange("GET", target, headers)

    def postback(self, endpoint, parameters):
        return self.get(f"/partner{endpoint}?{query(parameters)}")

    def memory_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))


def io_uring_works():
    """Whether this machine gives out a ring at all (containers often refuse)."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    parameters = ctypes.create_string_buffer(120)
    ring = libc.syscall(425, 4, parameters)
    if ring >= 0:
        os.close(ring)
    return ring >= 0


class InTime:
    """Of a TestCase: what is to happen in time, on a machine that may stand still."""

    def assert_in_time(self, took, seconds, what="in time", within_s=0):
        """That something took less than so many seconds, besides those in which the machine stood
        still. `within_s`: since when, when it is longer ago than it took."""
        stalled = machine.stalled_s(max(took, within_s))
        self.assertLess(took, seconds * SLOWNESS + stalled,
                        f"{what}; the machine stood still for {stalled:.2f} s")

    def assert_nothing_refused(self, account):
        """That all of a load got 200, unless the machine stood still for as long as a postback may
        take: then 503 is right, and only 503."""
        self.assertEqual(account.errors, [])
        if account.refused and machine.stalled_s(60) > 0.5:
            print(f"the machine stood still for {machine.stalled_s(60):.2f} s")
            self.assertEqual({status for _, status in account.refused}, {503})
            return
        self.assertEqual(account.refused, [])


class Suite(InTime):
    """Mixed into a TestCase by @over. The class has one server; `control` settings below."""

    loop = "epoll"
    store = "sqlite"
    settings = {}
    involve = "/involve/event"
    rector = "/rector/event"

    @classmethod
    def setUpClass(cls):
        if cls.loop == "io_uring" and not io_uring_works():
            raise unittest.SkipTest("this machine refuses io_uring")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.cluster = None
        if cls.store == "postgresql":
            cls.cluster = cls.make_cluster()
        cls.server = cls.make_server("server")
        cls.server.ctl("init")
        cls.prepare()
        cls.server.start().wait_for_databases()

    @classmethod
    def prepare(cls):
        """Between `postbackctl init` and the start of the server."""

    @classmethod
    def make_cluster(cls, **options):
        cluster = Cluster(template=os.environ.get(support.TEMPLATE_VARIABLE), **options)
        cls.addClassCleanup(cluster.destroy)
        cluster.start()
        cluster.sql("CREATE DATABASE control")
        return cluster

    @classmethod
    def make_server(cls, name, **settings):
        """A server on the class's store, not yet started. Servers of one name share a folder."""
        base = {"IO_ENGINE": cls.loop, "CORES": 2, **cls.settings}
        if cls.cluster:
            base["DATABASE_URL"] = cls.cluster.url("control")
        server = Server(cls.folder / name, **{**base, **settings})
        cls.addClassCleanup(server.destroy)
        return server

    def failure_context(self):
        return f"\n-- end of the server's output --\n{self.server.output()[-6000:]}"

    # What stands in the databases.

    def database(self, name="involve_asia_db"):
        if self.cluster:
            return PostgresDatabase(self.cluster, name)
        return SqliteDatabase(pathlib.Path(self.server.settings["DATA_DIR"]) / f"{name}.db")

    def conversions(self, name="involve_asia_db", where="true"):
        return self.database(name).rows(
            f"SELECT * FROM partner_conversions WHERE {where} ORDER BY id")

    def conversion(self, conversion_id, name="involve_asia_db"):
        """The only row of this id."""
        quoted = conversion_id.replace("'", "''")
        rows = self.conversions(name, f"conversion_id = '{quoted}'")
        self.assertEqual(len(rows), 1, f"rows of {conversion_id!r}")
        return rows[0]

    def quarantined(self, name="involve_asia_db"):
        columns = ("id, partner_id, reason, field, message, conversion_id, method, target, "
                   "raw_data, request_headers, request_ip, received_at")
        body = "encode(body, 'hex')" if self.cluster else "hex(body)"
        return self.database(name).rows(
            f"SELECT {columns}, lower({body}) AS body FROM postback_quarantine ORDER BY id")

    def counts(self):
        """(conversions, quarantined) of both shipped partners together."""
        total = [0, 0]
        for name in ("involve_asia_db", "rector_db"):
            row = self.database(name).rows(
                "SELECT (SELECT count(*) FROM partner_conversions) AS stored,"
                " (SELECT count(*) FROM postback_quarantine) AS quarantined")[0]
            total[0] += row["stored"]
            total[1] += row["quarantined"]
        return tuple(total)

    # Requests.

    sequence = itertools.count(1)

    def new_id(self, stem="id"):
        return f"{stem}-{os.getpid()}-{next(self.sequence)}"

    def stored_between(self, action):
        """(conversions, quarantine rows) that came between, with a fence behind `action`: a
        postback to each partner, whose rows stand behind whatever the action left."""
        def fence():
            for endpoint in (self.involve, self.rector):
                answer = self.server.postback(endpoint, {"conversion_id": self.new_id("fence")})
                self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)

        fence()
        before = self.counts()
        action()
        fence()
        after = self.counts()
        return after[0] - before[0] - 2, after[1] - before[1]

    def assert_error(self, response, status, code=None):
        """The fixed shape of an error."""
        self.assertEqual(response.status, status, response)
        answer = response.json
        self.assertEqual(answer["status"], "error")
        self.assertIsInstance(answer["error"]["message"], str)
        self.assertTrue(answer["error"]["message"])
        self.assertRegex(answer["error"]["code"], r"^[a-z][a-z0-9_]*$")
        if code:
            self.assertEqual(answer["error"]["code"], code)

    def partner_file(self, code, **fields):
        """What `postbackctl partner add` takes."""
        return json.dumps({
            "partner_code": code, "partner_name": code.title(), "endpoint_path": f"/{code}/event",
            "database_name": f"{code}_db",
            "parameter_mapping": {"conversion_id": "conversion_id",
                                  "usd_sale_amount": "usd_sale_amount"}, **fields})


def over(loops=LOOPS, stores=("sqlite",), **attributes):
    """Makes a TestCase of a Suite for each loop and store; the first is part of --short where
    the suite says `short`."""
    def multiply(suite):
        module = sys.modules[suite.__module__]
        for loop, store in itertools.product(loops, stores):
            suffix = "".join(word.title().replace("_", "") for word in (
                [loop] if len(stores) == 1 else [loop, store]))
            name = f"{suite.__name__}Over{suffix}"
            made = type(name, (suite, unittest.TestCase),
                        {"loop": loop, "store": store, "__module__": suite.__module__,
                         "maxDiff": None, **attributes})
            setattr(module, name, made)
        return suite
    return multiply


__all__ = ["ANSWER_S_MAX", "BUDGET_ANSWER_S_MAX", "BUILD", "Decimal", "LOOPS", "REPOSITORY",
           "SANITIZED", "SLOWNESS", "STORES", "Server", "Suite", "over", "query", "wait_until"]
