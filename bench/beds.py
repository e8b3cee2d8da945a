"""What a measurement runs on: a program that listens, its databases, and their processes.

Each bed is made anew for one measurement and destroyed after it. `url`, `pids()` and
`database_pids()` are all that a measurement needs to know of it.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import support
from databases import Cluster, PostgresDatabase, SqliteDatabase, free_port
from harness import REPOSITORY, Server, io_uring_works

PATH = "/partner/rector/event"
# As an operator would run it: everything that makes a commit durable is on.
DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=256MB",
           "max_wal_size=4GB", "min_wal_size=1GB", "max_connections=500")
# While databases are made or filled before a measurement, which would take minutes otherwise.
PREPARING = ("fsync=off", *DURABLE[1:])
LOOPS = ("io_uring", "epoll")
PEERS = ("fastapi", "go", "node")
PEERS_MADE = REPOSITORY / "build" / "peers"
# Connections to PostgreSQL of each process of a peer.
PEER_POOL = {"fastapi": 20, "go": 64, "node": 32}


# Folders whose removal takes longer than a measurement: a hundred databases are 30,000 files, and a
# file system mounted with "discard" takes minutes for them. Removed at the end.
left_over = []


def missing(subject):
    """Why a subject cannot be measured here, or None."""
    if subject == "io_uring" and not io_uring_works():
        return "this machine refuses io_uring"
    if subject in PEERS and not (PEERS_MADE / f"{subject}.ready").exists():
        return "it could not be installed, see bench/peers/setup above"
    return None


def family(pid):
    """A process and its descendants."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def cpu_seconds(pids):
    """User and system time of these processes and of their children that ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def new_cluster(settings=DURABLE):
    cluster = Cluster(durable=True, template=os.environ[support.TEMPLATE_VARIABLE])
    cluster.start(*settings)
    return cluster


def recycle_log(cluster, segments=64):
    """Gives the cluster log segments to write to again, as any that has run for a while has them.

    A new cluster makes each segment when it is needed: 16 MiB of zeros and an fsync, some 45 ms for
    which every commit waits, five times a second here. COPY, measured after the run, would not meet
    that: it would find the run's own segments recycled by the checkpoint before it.
    """
    # min_wal_size says how many are kept, 64 in 1 GB. The message is something to end a segment with.
    cluster.sql("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()"
                f" FROM generate_series(1, {segments})")
    cluster.sql("CHECKPOINT")


class Bed:
    warm_up_s = 1  # Load before what is measured: pools and caches are empty at first.

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-bench-"))
        self.cluster = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.counts_repeats = False

    def wait_until(self, ready, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except OSError:
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"it does not start or come to rest:\n{self.output()}")
            time.sleep(0.05)

    def output(self):
        path = self.folder / "output.txt"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def spawn(self, command, **environment):
        """Killed with this process, if it comes to that."""
        with open(self.folder / "output.txt", "ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *map(str, command)], cwd=self.folder,
                env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT)

    def pids(self):
        return family(self.process.pid)

    def database_pids(self):
        return self.cluster.processes() if self.cluster else []

    def settle(self):
        """Waits until what the clients left on its way is stored."""

    def destroy(self):
        try:
            if self.process and self.process.poll() is None:
                self.process.terminate()
                self.process.wait(20)
        finally:
            if self.cluster:
                self.destroy_cluster()
            shutil.rmtree(self.folder, ignore_errors=True)

    def destroy_cluster(self):
        self.cluster.destroy()


class ServerBed(Bed):
    """postbackd. `partners`: so many further ones, p0, p1, ..., each with its own database."""

    def __init__(self, loop, store, partners=0, cores=0):
        super().__init__()
        self.counts_repeats = True
        self.partners = partners
        settings = {"IO_ENGINE": loop, "LOG_LEVEL": "WARNING", "CORES": cores, "PORT": self.port,
                    "JOURNAL": "auto"}
        if store == "postgresql":
            self.cluster = new_cluster(PREPARING if partners else DURABLE)
            self.cluster.sql("CREATE DATABASE control")
            settings["DATABASE_URL"] = self.cluster.url("control")
        self.server = Server(self.folder, **settings)
        self.server.ctl("init")
        if partners:
            self._add_partners(partners)
        # The port is told at INFO, which would be a line for each connection of a database.
        self.server.port = self.port
        self.start()
        if self.cluster and partners:
            self.open_partners()
            self.restart_durably()
        if self.cluster:
            recycle_log(self.cluster)

    def restart_durably(self):
        """Puts what was prepared on disk; from here on every commit waits for the disk."""
        self.server.stop()
        self.cluster.stop()
        os.sync()
        self.cluster.start(*DURABLE)
        self.start()

    def start(self):
        self.server.spawn()
        self.process = self.server.process
        self.wait_until(lambda: self.server.get(f"{PATH}/stats").status == 200)

    def _add_partners(self, count):
        """By copying Rector's row: a run of postbackctl for each would take longer than the rest."""
        columns = ("cloud_run_region, parameter_mapping, is_active, enable_logging,"
                   " max_daily_requests, data_retention_days, timezone, on_invalid, lanes")
        numbers = (f"generate_series(0, {count - 1}) AS g(n)" if self.cluster else
                   "(WITH RECURSIVE g(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM g"
                   f" WHERE n < {count - 1}) SELECT n FROM g)")
        sql = ("INSERT INTO partners (partner_code, partner_name, endpoint_path, database_name,"
               f" {columns}) SELECT 'p' || n, 'P' || n, '/p' || n || '/event', 'p' || n || '_db',"
               f" {columns} FROM partners, {numbers} WHERE partner_code = 'rector'")
        if self.cluster:
            self.cluster.sql(sql, "control")
        else:
            subprocess.run(["sqlite3", self.folder / "data" / "control.db", sql], check=True)

    def open_partners(self):
        """Has every further partner's database made and connected, which is not measured."""
        def open_one(index):
            target = f"/partner/p{index}/event/stats"
            self.wait_until(lambda: self.server.get(target).status == 200, seconds=120)

        # Side by side: each waits for the server to try again after it made the database.
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            list(pool.map(open_one, range(self.partners)))

    def destroy_cluster(self):
        if self.partners:
            self.cluster.stop(signal.SIGQUIT)
            left_over.append(self.cluster.folder)
        else:
            self.cluster.destroy()

    def database(self, name="rector_db"):
        if self.cluster:
            return PostgresDatabase(self.cluster, name)
        return SqliteDatabase(self.folder / "data" / f"{name}.db")

    def settle(self):
        """And until what went to the journal is in the database."""
        def rests():
            text = self.server.get("/metrics").text
            return not re.search(r"^(postback_in_progress|journal_waiting) [1-9]", text,
                                 re.MULTILINE)

        self.wait_until(rests, seconds=120)

    def journaled(self):
        """Postbacks that were answered from the journal, because the database was too slow."""
        return sum(map(int, re.findall(
            r'^postback_requests_total\{.*outcome="accepted"\} (\d+)$',
            self.server.get("/metrics").text, re.MULTILINE)))

    def memory_mib(self, field="VmHWM"):
        """VmHWM: the greatest so far; VmRSS: now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", status).group(1)) / 1024


class PeerBed(Bed):
    """A peer, on the tables that postbackd itself makes."""

    warm_up_s = 4  # Node compiles while it runs: a request costs a third after some thousands.

    def __init__(self, peer):
        maker = ServerBed("epoll", "postgresql")
        # Only the cluster is kept.
        cluster, maker.cluster = maker.cluster, None
        maker.destroy()
        super().__init__()
        self.cluster = cluster
        # Peers leave the id to the database, as their users would.
        cluster.sql("ALTER TABLE partner_conversions ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
                    "rector_db")
        processes = str(os.cpu_count())
        command = {
            "fastapi": ["/usr/bin/python3", "-m", "uvicorn", "app:app", "--app-dir",
                        REPOSITORY / "bench" / "peers" / "fastapi", "--port", self.port,
                        "--workers", processes, "--loop", "uvloop", "--http", "httptools",
                        "--no-access-log", "--log-level", "warning"],
            "go": [PEERS_MADE / "postback-go"],
            "node": ["node", PEERS_MADE / "node" / "server.js"],
        }[peer]
        self.spawn(command, DATABASE_URL=cluster.url("rector_db"), PORT=str(self.port),
                   POOL=str(PEER_POOL[peer]), WORKERS=processes, PYTHONDONTWRITEBYTECODE="1")
        # An HTTP client of its own for this: it is no postbackd, but answers the same.
        probe = Server(self.folder)
        probe.port = self.port
        self.wait_until(lambda: probe.get("/health").status == 200)

    def database(self, name="rector_db"):
        return PostgresDatabase(self.cluster, name)

    def settle(self):
        """A peer has no metrics; its rows stop coming."""
        count = -1
        while count != (count := self.cluster.sql("SELECT count(*) FROM partner_conversions",
                                                  "rector_db")):
            time.sleep(0.3)

    def memory_mib(self, field="VmHWM"):
        return sum(int(re.search(rf"{field}:\s+(\d+)", pathlib.Path(
            f"/proc/{pid}/status").read_text()).group(1)) for pid in self.pids()) / 1024


class NginxBed(Bed):
    """nginx with one worker that returns a constant: what this machine does without a database."""

    def __init__(self):
        super().__init__()
        (self.folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {self.folder}/pid; error_log"
            f" {self.folder}/error.log;\nevents {{ worker_connections 4096; }}\n"
            "http { access_log off; keepalive_requests 100000000;\n"
            f"  server {{ listen 127.0.0.1:{self.port} backlog=4096;"
            " location / { return 200 'ok'; } } }\n")
        self.spawn(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"])
        probe = Server(self.folder)
        probe.port = self.port
        self.wait_until(lambda: probe.get("/").status == 200)

    def memory_mib(self, field="VmHWM"):
        return 0.0


def remove_left_over():
    if left_over:
        print("removes the databases of many partners", flush=True)
    for folder in left_over:
        shutil.rmtree(folder, ignore_errors=True)


def make(subject, scenario):
    """The bed that a scenario asks for."""
    if subject == "nginx":
        return NginxBed()
    if subject in PEERS:
        return PeerBed(subject)
    return ServerBed(subject, scenario.store, scenario.partners, scenario.cores)
