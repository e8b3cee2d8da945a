"""Runs the scenarios of the benchmark and prints the table that README.md explains.

Every run has a fresh server and fresh databases, is checked (what was answered is stored, once,
with the right sums), and is measured beside its yardstick: COPY of the same rows into the same
table, in the same cluster, right after it.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

import support  # pylint: disable=wrong-import-position
from databases import Cluster, PostgresDatabase, SqliteDatabase, free_port
from harness import Server, io_uring_works

PATH = "/partner/rector/event"
# As an operator would run it: everything that makes a commit durable is on.
DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=256MB",
           "max_wal_size=4GB")
COLUMNS = ("scenario", "store", "loop", "conns", "answers/s", "p50 ms", "p99 ms", "max ms",
           "errors", "rows", "bulk rows/s", "server CPU s", "db CPU s", "server MiB")


class Scenario:
    def __init__(self, name, script="unique.lua", store="postgresql", connections=64,
                 arguments=(), loops=("io_uring", "epoll")):
        self.name = name
        self.script = script
        self.store = store
        self.connections = connections
        self.arguments = list(arguments)
        self.loops = loops


SCENARIOS = (
    Scenario("unique"),
    Scenario("unique", store="sqlite"),
    Scenario("unique-256", connections=256),
    Scenario("unique-1", connections=1),
    Scenario("repeats", script="repeats.lua"),
    Scenario("repeats", script="repeats.lua", store="sqlite"),
    Scenario("new-connection", arguments=["1", "close"]),
    Scenario("health", script="page.lua", store="none"),
    Scenario("nginx", script="page.lua", store="none", loops=("-",)),
)


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


def wrk(script, url, connections, seconds, arguments):
    """One run of wrk; returns the object that the script prints."""
    command = ["wrk", "-t", "2" if connections > 1 else "1", "-c", str(connections), "-d",
               f"{seconds}s", "--timeout", "10s", "--latency", "-s", str(HERE / "wrk" / script),
               url, "--", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


class Run:
    """A server, and where it stores, for one measurement."""

    def __init__(self, scenario, loop):
        self.scenario = scenario
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-bench-"))
        self.cluster = None
        settings = {"IO_ENGINE": loop, "LOG_LEVEL": "WARNING"}
        if scenario.store == "postgresql":
            self.cluster = Cluster(durable=True,
                                   template=os.environ[support.TEMPLATE_VARIABLE])
            self.cluster.start(*DURABLE)
            self.cluster.sql("CREATE DATABASE control")
            settings["DATABASE_URL"] = self.cluster.url("control")
        # The port is told at INFO; here one is chosen before.
        settings["PORT"] = free_port()
        self.server = Server(self.folder, **settings)
        self.server.ctl("init")
        self.server.spawn()
        self.server.port = settings["PORT"]
        self.wait_for_server()

    def wait_for_server(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.server.get(f"{PATH}/stats").status == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline or self.server.process.poll() is not None:
                raise RuntimeError(f"the server does not start:\n{self.server.output()}")
            time.sleep(0.05)

    def destroy(self):
        self.server.destroy()
        if self.cluster:
            self.cluster.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database_pids(self):
        return self.cluster.processes() if self.cluster else []

    def database(self):
        if self.cluster:
            return PostgresDatabase(self.cluster, "rector_db")
        return SqliteDatabase(self.folder / "data" / "rector_db.db")

    def settle(self):
        """Waits until what wrk left on its way is stored."""
        while not re.search(r"^postback_in_progress 0$", self.server.get("/metrics").text,
                            re.MULTILINE):
            time.sleep(0.01)

    def check(self, account):
        """Every answer has its row, each id is there once, sums follow from the ids."""
        self.settle()
        rows = self.database().rows(
            "SELECT conversion_id, usd_sale_amount, usd_earning FROM partner_conversions")
        ids = {row["conversion_id"] for row in rows}
        assert len(ids) == len(rows), "an id is stored twice"
        sale = earning = 0
        for row in rows:
            number = int(row["conversion_id"].rsplit("-", 1)[1])
            assert int(row["usd_sale_amount"] * 100) == number % 10007, row
            assert int(row["usd_earning"] * 100) == number % 101, row
            sale += row["usd_sale_amount"]
            earning += row["usd_earning"]
        stats = self.server.get(f"{PATH}/stats").json["stats"]
        assert stats["total_conversions"] == len(rows), (stats, len(rows))
        assert (stats["total_sale_amount"], stats["total_earning"]) == (sale, earning), stats
        # wrk ends with requests on their way: at most one per connection is stored, not counted.
        copies = 2 if self.scenario.script == "repeats.lua" else 1
        answered = account["answers"] - account["not_2xx"]
        assert answered / copies - copies <= len(rows) <= account["sent"] / copies + 2, (
            account, len(rows))
        return len(rows)

    def bulk_rows_per_second(self, row_count):
        """The yardstick: the same rows into the same table, without a server in between."""
        if self.cluster:
            path = self.cluster.folder / "rows"
            self.cluster.sql(f"COPY partner_conversions TO '{path}'", "rector_db")
            self.cluster.sql("CREATE TABLE yardstick (LIKE partner_conversions INCLUDING ALL)",
                             "rector_db")
            self.cluster.sql("CHECKPOINT", "rector_db")
            started = time.monotonic()
            self.cluster.sql(f"COPY yardstick FROM '{path}'", "rector_db")
            return row_count / (time.monotonic() - started)
        return self.bulk_sqlite(row_count)

    def bulk_sqlite(self, row_count):
        """One transaction that copies all rows into a new file with the same table."""
        import sqlite3
        source = sqlite3.connect(self.folder / "data" / "rector_db.db")
        schema = [sql for (sql,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'partner_conversions' AND sql NOT NULL")]
        source.close()
        target = sqlite3.connect(self.folder / "yardstick.db", isolation_level=None)
        target.execute("PRAGMA journal_mode=WAL")
        target.execute("PRAGMA synchronous=FULL")
        for sql in schema:
            target.execute(sql)
        target.execute("ATTACH ? AS source", (str(self.folder / "data" / "rector_db.db"),))
        started = time.monotonic()
        target.execute("INSERT INTO main.partner_conversions SELECT * FROM"
                       " source.partner_conversions")
        seconds = time.monotonic() - started
        target.close()
        return row_count / seconds


def measure_server(scenario, loop, seconds):
    run = Run(scenario, loop)
    try:
        url = f"http://127.0.0.1:{run.server.port}"
        stores = scenario.script != "page.lua"
        before = (cpu_seconds([run.server.process.pid]), cpu_seconds(run.database_pids()))
        account = wrk(scenario.script, url if stores else url + "/health", scenario.connections,
                      seconds, [PATH, "b", *scenario.arguments] if stores else [])
        after = (cpu_seconds([run.server.process.pid]), cpu_seconds(run.database_pids()))
        status = pathlib.Path(f"/proc/{run.server.process.pid}/status").read_text()
        peak_kib = int(re.search(r"VmHWM:\s+(\d+)", status).group(1))
        account.update(server_cpu=after[0] - before[0], database_cpu=after[1] - before[1],
                       server_mib=peak_kib / 1024, rows=0, bulk=0.0)
        if stores:
            account["rows"] = run.check(account)
            account["bulk"] = run.bulk_rows_per_second(account["rows"])
        return account
    finally:
        run.destroy()


def measure_nginx(scenario, seconds):
    """nginx with one worker that returns a constant: what this machine does without a database."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-bench-"))
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events { worker_connections 4096; }\n"
        "http { access_log off; keepalive_requests 100000000;\n"
        f"  server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }} }} }}\n")
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "nginx", "-p", folder, "-c",
                                folder / "nginx.conf"])
    try:
        time.sleep(0.5)  # wrk waits for nothing; it is not measured.
        return wrk("page.lua", f"http://127.0.0.1:{port}/", scenario.connections, seconds, []) | {
            "server_cpu": 0.0, "database_cpu": 0.0, "server_mib": 0.0, "rows": 0, "bulk": 0.0}
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def table_line(scenario, loop, account):
    return (scenario.name, scenario.store, loop, str(scenario.connections),
            f"{account['answers'] / account['seconds']:,.0f}", f"{account['p50_ms']:.2f}",
            f"{account['p99_ms']:.2f}", f"{account['max_ms']:.0f}",
            str(account["not_2xx"] + account["socket_errors"]), f"{account['rows']:,}",
            f"{account['bulk']:,.0f}" if account["bulk"] else "-",
            f"{account['server_cpu']:.1f}", f"{account['database_cpu']:.1f}",
            f"{account['server_mib']:.0f}")


def print_table(lines):
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def median_account(accounts):
    """Each number's median over the runs."""
    return {name: statistics.median(account[name] for account in accounts)
            for name in accounts[0]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--match", default="")
    parser.add_argument("--json", help="where to write every run's numbers")
    options = parser.parse_args()
    support.setUpRun()
    lines, every = [], []
    try:
        for scenario in SCENARIOS:
            if not re.search(options.match, f"{scenario.name} {scenario.store}"):
                continue
            for loop in scenario.loops:
                if loop == "io_uring" and not io_uring_works():
                    print(f"skipped {scenario.name} over io_uring: this machine refuses it")
                    continue
                accounts = []
                for number in range(options.runs):
                    account = (measure_nginx(scenario, options.seconds) if loop == "-" else
                               measure_server(scenario, loop, options.seconds))
                    accounts.append(account)
                    every.append({"scenario": scenario.name, "store": scenario.store,
                                  "loop": loop, "run": number, **account})
                    print(f"run {number + 1} of {options.runs}: "
                          + "  ".join(table_line(scenario, loop, account)), flush=True)
                median = median_account(accounts)
                median["rows"] = int(median["rows"])
                median["not_2xx"] = max(account["not_2xx"] for account in accounts)
                median["socket_errors"] = max(account["socket_errors"] for account in accounts)
                lines.append(table_line(scenario, loop, median))
    finally:
        support.tearDownRun()
    print(f"\nmedian of {options.runs} runs of {options.seconds} s; {os.cpu_count()} CPUs, "
          f"kernel {os.uname().release}; load generator and database on the same machine\n")
    print_table(lines)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(every, indent=1))


if __name__ == "__main__":
    main()
