"""A server under load, and the faults that befall it one after the other."""

import functools
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import generator  # Also makes the modules of the end-to-end tests known.
from databases import Cluster, PostgresDatabase, SqliteDatabase, signal_process
from harness import SLOWNESS, Server, wait_until
from http_client import Closed
from metrics import waiting
from support import TEMPLATE_VARIABLE

THREADS = 8
# From a fault's end: /health answers, and new postbacks of both partners are taken again.
HEALTH_S_MAX = 5
RECOVERY_S_MAX = 15
# From the end of the load, with the databases up, until nothing waits in the journal.
DRAIN_S_MAX = 60
# Numbers of the campaign's own postbacks; the generator does not get that far.
PROBES = 10 ** 12
# A broken connection shows at the client a little later than at the server.
BROKEN_S_MAX = 1


class Campaign:
    slowness = SLOWNESS

    def __init__(self, folder, store, engine, seed):
        self.folder = pathlib.Path(folder)
        self.dice = random.Random(seed)
        self.seed = seed
        self.cluster = None
        self.generator = None
        self.away = []  # [from, to] on the monotonic clock: no server, or one that is starting.
        self.probe_count = 0
        self.probes = generator.AckFile(self.folder / "acked-probes")
        self.health_s = 0.0    # The longest of each.
        self.recovery_s = 0.0
        self.drain_s = 0.0     # At the end.
        if store == "postgresql":
            self.cluster = Cluster(template=os.environ.get(TEMPLATE_VARIABLE))
        # Small segments: there are many of them, made and removed all the time.
        self.server = Server(self.folder / "server", CORES=2, IO_ENGINE=engine, JOURNAL="on",
                             JOURNAL_SEGMENT_MIB=1, **self.settings())

    def settings(self):
        return {"DATABASE_URL": self.cluster.url("control")} if self.cluster else {}

    # The frame.

    def register(self):
        if self.cluster:
            self.cluster.sql("CREATE DATABASE control")
        self.server.ctl("init")

    def begin(self):
        self.started = time.monotonic()
        if self.cluster:
            self.cluster.start()
        self.register()
        # Two lanes that write to one database.
        self.server.ctl("partner", "set", "rector", "lanes=2")
        self.start_server()
        self.generator = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, generator.__file__,
             str(self.folder), str(THREADS), str(self.seed)])
        self.recover()

    def end(self):
        """Ends the load; the server stays, and its journal is empty when this returns."""
        self.generator.send_signal(signal.SIGTERM)
        if self.generator.wait(60) != 0:
            raise AssertionError("the load generator failed")
        self.generator = None
        ended = time.monotonic()
        wait_until(lambda: waiting(self.server) == 0, DRAIN_S_MAX * SLOWNESS, "the journal is empty")
        self.drain_s = time.monotonic() - ended

    def destroy(self):
        if self.generator:
            self.generator.kill()
            self.generator.wait()
        self.server.destroy()
        if self.cluster:
            self.cluster.destroy()

    def summary(self):
        return ""

    # For the oracle.

    @functools.cached_property
    def account(self):
        return json.loads((self.folder / "account.json").read_text())

    def acks(self):
        lines = [line.split() for path in sorted(self.folder.glob("acked-*"))
                 for line in path.read_text().splitlines()]
        return [(int(number), status) for number, status in lines]

    def was_sent(self, number):
        if number >= PROBES:
            return number < PROBES + self.probe_count
        return number < self.account["next_numbers"][number % THREADS]

    def was_away(self, when):
        return any(start <= when <= end + BROKEN_S_MAX for start, end in self.away)

    def database(self, code):
        name = f"{code}_db"
        if self.cluster:
            return PostgresDatabase(self.cluster, name)
        return SqliteDatabase(pathlib.Path(self.server.settings["DATA_DIR"]) / f"{name}.db")

    # Faults. Each returns when the fault is over.

    def faults(self):
        """(how often, function) of those that this store can meet."""
        if not self.cluster:
            return [(4, self.kill_server), (1, self.kill_starting_server)]
        return [(6, self.kill_server), (1, self.kill_starting_server), (2, self.kill_backend),
                (1, self.terminate_backends), (1, self.crash_postgres),
                (1, self.stop_postgres_at_once), (2, self.hang_postgres)]

    def choose(self):
        faults = self.faults()
        return self.dice.choices([fault for _, fault in faults], [often for often, _ in faults])[0]

    def pause(self, least_s, most_s):
        time.sleep(self.dice.uniform(least_s, most_s))  # The moment is part of the fault.

    def kill_server(self):
        """SIGKILL under load."""
        self.pause(0.05, 0.5)
        self.lose_server()
        self.start_server()

    def kill_starting_server(self):
        """SIGKILL under load, and again while it starts."""
        self.pause(0.05, 0.5)
        self.lose_server()
        self.server.spawn()
        self.pause(0, 0.1)
        self.server.kill()
        self.start_server()

    def kill_backend(self):
        """SIGKILL of one backend: PostgreSQL ends all the others and recovers."""
        self.pause(0.05, 0.5)
        pids = self.cluster.sql("SELECT pid FROM pg_stat_activity WHERE backend_type ="
                                " 'client backend' AND application_name <> 'test'").split()
        place = self.dice.random()  # Asked once, however many there are: the seed decides the rest.
        if pids:
            signal_process(int(pids[int(place * len(pids))]), signal.SIGKILL)
        wait_until(self.postgres_answers, 30 * SLOWNESS, "PostgreSQL recovers")

    def terminate_backends(self):
        """pg_terminate_backend of every connection."""
        self.pause(0.05, 0.5)
        self.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                         " backend_type = 'client backend' AND application_name <> 'test'")

    def crash_postgres(self):
        """SIGKILL of every process of PostgreSQL."""
        self.pause(0.05, 0.5)
        self.cluster.stop(signal.SIGKILL)
        self.look_at_health()
        wait_until(self.postgres_starts, 30 * SLOWNESS, "PostgreSQL starts")

    def stop_postgres_at_once(self):
        """pg_ctl stop -m immediate."""
        self.pause(0.05, 0.5)
        self.cluster.stop(signal.SIGQUIT)
        self.look_at_health()
        wait_until(self.postgres_starts, 30 * SLOWNESS, "PostgreSQL starts")

    def hang_postgres(self):
        """SIGSTOP of every process of PostgreSQL, shorter and longer than the server's limits."""
        self.pause(0.05, 0.5)
        self.cluster.hang()
        try:
            self.pause(0.05, 2.5)
            self.look_at_health()
        finally:
            self.cluster.unhang()

    # What is done between them.

    def lose_server(self):
        self.away.append([time.monotonic(), math.inf])
        self.server.kill()

    def start_server(self):
        self.server.start(HEALTH_S_MAX)
        temporary = self.folder / "port.new"
        temporary.write_text(str(self.server.port))
        temporary.rename(self.folder / "port")
        if self.away:
            self.away[-1][1] = time.monotonic()

    def look_at_health(self):
        """While the database is away, the process answers all the same."""
        started = time.monotonic()
        status = self.server.get("/health").status
        if status not in (200, 503) or time.monotonic() - started > HEALTH_S_MAX * SLOWNESS:
            raise AssertionError(f"/health {status} after {time.monotonic() - started:.1f} s")

    def recover(self):
        """After a fault's end: /health answers and both partners' new postbacks are taken."""
        ended = time.monotonic()
        wait_until(self.healthy, HEALTH_S_MAX * SLOWNESS, "/health answers")
        self.health_s = max(self.health_s, time.monotonic() - ended)
        for index, (code, _) in enumerate(generator.PARTNERS):
            wait_until(lambda index=index: self.probe(index), RECOVERY_S_MAX * SLOWNESS,
                       f"a new postback of {code} is taken")
        self.recovery_s = max(self.recovery_s, time.monotonic() - ended)
        size = self.acked_bytes()
        wait_until(lambda: self.acked_bytes() > size, RECOVERY_S_MAX * SLOWNESS, "the load runs")

    def healthy(self):
        try:
            return self.server.get("/health").status in (200, 503)
        except (Closed, OSError):
            return False

    def probe(self, index):
        """Sends a new postback of this partner; whether it was taken as it is to be."""
        self.probe_count += (index - self.probe_count) % len(generator.PARTNERS)
        number = PROBES + self.probe_count
        self.probe_count += 1
        answer = self.server.get(generator.target(number))
        if answer.status != 200:
            return False
        self.probes.add(number, answer.json["status"])
        return self.is_recovery(answer.json["status"])

    def is_recovery(self, status):
        """The database is back; that the journal takes postbacks says nothing about it."""
        return status != "accepted"

    def acked_bytes(self):
        if self.generator.poll() is not None:
            raise AssertionError("the load generator ended")
        return sum(path.stat().st_size for path in self.folder.glob("acked-[0-9]*"))

    def postgres_starts(self):
        """A backend that outlives the postmaster for a moment keeps the next one from starting."""
        try:
            return self.cluster.start()
        except RuntimeError as error:
            if "pre-existing shared memory block" not in str(error):
                raise
            return False

    def postgres_answers(self):
        try:
            return self.cluster.sql("SELECT 1").strip() == "1"
        except RuntimeError:
            return False
