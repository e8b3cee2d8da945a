"""Databases as the tests see them: a private PostgreSQL cluster, and SQLite files.

Rows come as dicts with the same Python types from both: amounts are Decimal, times are datetimes
in UTC, JSON is parsed, flags are bool.
"""

import datetime
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from decimal import Decimal

AMOUNTS = {"usd_sale_amount", "usd_earning", "sale_amount", "earning", "sum_sale", "sum_earning"}
TIMES = {"conversion_datetime", "received_at", "created_at", "updated_at", "minute"}
JSONS = {"raw_data", "request_headers"}
FLAGS = {"is_processed", "is_duplicate"}


def plain(row):
    """One row with the types described above."""
    for name, value in row.items():
        if value is None:
            continue
        if name in AMOUNTS:
            row[name] = Decimal(str(value))
        elif name in TIMES:
            time_ = datetime.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
            if time_.tzinfo is None:
                time_ = time_.replace(tzinfo=datetime.timezone.utc)
            row[name] = time_.astimezone(datetime.timezone.utc)
        elif name in JSONS and isinstance(value, (str, bytes)):
            row[name] = json.loads(value)
        elif name in FLAGS:
            row[name] = bool(value)
    return row


class SqliteDatabase:
    """Looks into a database file beside the server, as a reader that never checkpoints."""

    def __init__(self, path):
        self.path = path

    def rows(self, sql):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            connection.execute("PRAGMA query_only=1")
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description]
            return [plain(dict(zip(names, values))) for values in cursor]
        finally:
            connection.close()


class PostgresDatabase:
    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def rows(self, sql):
        text = self.cluster.sql(f"SELECT coalesce(json_agg(q), '[]') FROM ({sql}) q", self.name)
        return [plain(row) for row in json.loads(text, parse_float=Decimal)]


port_claims = []  # Sockets, open as long as this process lives.


def free_port():
    """A port of 127.0.0.1 for a server of this process, which may stop and start on it.

    Neither does the kernel give it away in the meantime (it lies below ip_local_port_range, where
    connections and port 0 come from, unless the machine's settings leave no room there), nor does
    another process of the tests take it: of a name of the abstract namespace (unix(7)) there is
    one. tests/support/postgres_server.cc claims the same way.
    """
    settings = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    first = int(settings.split()[0])
    for _ in range(1000):
        port = random.randrange(10000, first if first > 20000 else 65536)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0postback-test-port-{port}")
            with socket.create_server(("127.0.0.1", port)):
                port_claims.append(claim)
                return port
        except OSError:
            claim.close()
    raise RuntimeError("no free port of 127.0.0.1 from 10000 on")


def signal_process(pid, signal_number):
    """False when it ended meanwhile: backends come and go with their connections."""
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return False
    return True


def postgres_programs():
    """The folder of initdb and postgres: PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    if found:
        return pathlib.Path(found).resolve().parent
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert folders, "PostgreSQL's initdb is not installed; tools/setup --tests installs it"
    return folders[-1].parent


class Cluster:
    """A PostgreSQL server of this test's own: folder, port, processes.

    PostgreSQL refuses to run as root; then it runs as user postgres. `template`: the folder of an
    earlier initdb, to copy instead of running it again. `primary`: a running cluster whose
    streaming standby this one is.
    """

    def __init__(self, durable=False, template=None, primary=None):
        self.programs = postgres_programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-pg-"))
        self.data = self.folder / "data"
        self.durable = durable
        self.process = None
        self.port = free_port()
        self.clients = {}  # A psql per database.
        self.drop = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.drop = ["--reuid=postgres", "--regid=postgres", "--init-groups"]
        if primary:
            self._run(self.programs / "pg_basebackup", "-h", "127.0.0.1", "-p", primary.port, "-U",
                      "postgres", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        elif template:
            subprocess.run(["cp", "-a", "--reflink=auto", template, self.data], check=True)
        else:
            self._run(self.programs / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres",
                      "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")

    def _run(self, *command):
        command = [str(word) for word in command]
        return subprocess.run(["setpriv", *self.drop, *command] if self.drop else command,
                              cwd=self.folder, check=True, capture_output=True, text=True)

    def start(self, *settings):
        """Starts the server and waits until it answers. `settings`: "name=value"."""
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", "shared_buffers=32MB",
                   f"unix_socket_directories={self.folder}", "max_connections=100",
                   "log_min_messages=warning", *settings]
        if not self.durable:
            options += ["fsync=off", "full_page_writes=off"]
        command = ["setpriv", "--pdeathsig", "KILL", *self.drop, str(self.programs / "postgres"),
                   "-D", str(self.data)]
        for option in options:
            command += ["-c", option]
        with open(self.folder / "postgres.log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while self._ready() != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start:\n" + self.log())
            time.sleep(0.05)
        return self

    def _ready(self):
        return subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                               str(self.port), "-t", "2"], check=False).returncode

    def log(self):
        return (self.folder / "postgres.log").read_text(errors="replace")[-4000:]

    def sql(self, text, database="postgres"):
        """The output of psql for one statement, unaligned; RuntimeError when it was refused.

        One psql per database stays connected; when its connection was lost, a new one asks again.
        """
        for attempt in (1, 2):
            psql = self.clients.get(database)
            if psql is None or psql.poll() is not None:
                psql = self.clients[database] = self._psql(database)
            output = self._ask(psql, text)
            if output is not None and "FATAL:" not in output:
                break
            self._forget(database)
        else:
            raise RuntimeError(f"psql cannot ask {database}: {output} (attempt {attempt})")
        if "ERROR:" in output:
            raise RuntimeError(output)
        return output

    def _psql(self, database):
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(self.programs / "psql"), "-X", "-q", "-A", "-t",
             "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database],
            env={**os.environ, "PGTZ": "UTC", "PGAPPNAME": "test"}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def _ask(psql, text):
        """What psql printed, or None when it ended."""
        try:
            psql.stdin.write(f"{text};\n\\echo end-of-answer\n")
            psql.stdin.flush()
        except OSError:
            return None
        lines = []
        for line in psql.stdout:
            if line == "end-of-answer\n":
                return "".join(lines)
            lines.append(line)
        return None

    def _forget(self, database):
        psql = self.clients.pop(database)
        psql.kill()
        psql.communicate()

    def url(self, database):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def databases(self):
        return self.sql("SELECT datname FROM pg_database").split()

    def processes(self):
        """The postmaster first, then its children."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def promote(self):
        """A standby becomes a primary, on the next timeline."""
        self._run(self.programs / "pg_ctl", "promote", "-w", "-D", self.data)

    def hang(self):
        """Every process stops where it is: connections stay open and nothing answers."""
        stopped = []
        for _ in range(2):  # A child may be born while we look.
            for pid in self.processes():
                if pid not in stopped and signal_process(pid, signal.SIGSTOP):
                    stopped.append(pid)
        return stopped

    def unhang(self):
        for pid in reversed(self.processes()):
            signal_process(pid, signal.SIGCONT)

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast shutdown. SIGQUIT: immediate, as a crash. SIGKILL: with its children."""
        if not self.process or self.process.poll() is not None:
            return
        for database in list(self.clients):
            self._forget(database)
        pids = self.processes() if how == signal.SIGKILL else [self.process.pid]
        for pid in pids:
            signal_process(pid, how)
        self.process.wait(30)

    def destroy(self):
        try:
            if self.process and self.process.poll() is None:
                self.unhang()
                self.stop(signal.SIGQUIT)
        finally:
            for database in list(self.clients):
                self._forget(database)
            shutil.rmtree(self.folder, ignore_errors=True)
