"""Throughput and reads over the size of the table.

A server per size, the large tables filled beforehand and the empty one made anew in each round; in
a round all come one after the other under the same load, so that their ratio is one of neighbours
in time. The yardstick: what SQLite alone, without a server, writes into the same tables.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import time

import beds
import checks
import clients
from beds import PATH
from harness import BUILD
from scenarios import Scenario

# Filled rows lie over this time before now, evenly: less than the 30 days after which they would be
# purged.
SPAN_US = 28 * 24 * 3600 * 1_000_000
# As src/ingest/row_id.h makes ids: microseconds since 2020, then 12 bits.
EPOCH_US = 1_577_836_800_000_000
SCENARIO = Scenario("growth", clients.unique, connections=256, arguments=("scatter",))
# No write-ahead log for a table that is emptied and filled in one transaction; nothing is flushed
# until the end, when the fill is put on disk in one go.
FILLING = ("fsync=off", "wal_level=minimal", "max_wal_senders=0", "autovacuum=off",
           "maintenance_work_mem=1GB", "max_wal_size=16GB", "shared_buffers=256MB")
# Four clusters at once. Memory and log as for a database of this size: PostgreSQL's manual (20.4.1)
# recommends a quarter of the memory, and a log that reaches to the next checkpoint. After one, each
# page of the index that is written to goes to the log as a whole, and ids fall all over the index.
GROWN = (*beds.DURABLE, "shared_buffers=2GB", "min_wal_size=4GB")
LOG_SEGMENTS = 256
READS = 21
# Rounds for each of --runs. In the first after the fill, as after each checkpoint, PostgreSQL writes
# every page of the index that it touches to the log as a whole; two rounds would be half of that.
# The head of the table says so (report.text).
ROUNDS = 3
# Rows that SQLite alone commits at a time: as a writer finds them under 256 connections.
ALONE_ROWS = 128


def sizes(most):
    return sorted({0, most // 20, most // 4, most})


def measure(options, recorder, usable):
    loop = next(loop for loop in beds.LOOPS if loop in usable)
    for store in ("postgresql", "sqlite"):
        made = {}  # By size.
        try:
            for size in sizes(options.rows):
                if size > 0:
                    made[size] = beds.ServerBed(loop, store)
                    fill(made[size], size)
            for round_number in range(ROUNDS * options.runs):
                if 0 in made:
                    made.pop(0).destroy()
                made[0] = beds.ServerBed(loop, store)
                fill(made[0], 0)
                for size, bed in sorted(made.items()):
                    figures = {"label": f"{size:,} rows", "table_rows": size}
                    account = write(bed, SCENARIO, options.seconds, f"b{round_number}")
                    recorder.add("growth", store, loop, SCENARIO.connections, round_number,
                                 {**account, **figures}, "growth")
                    if store == "sqlite":
                        account = alone(bed, size, options.seconds, round_number)
                        recorder.add("growth-alone", store, "sqlite", 0, round_number,
                                     {**account, **figures}, "growth")
            for size, bed in sorted(made.items()):
                recorder.add("growth-reads", store, loop, 1, 0,
                             {**read(bed, size), "label": f"{size:,} rows", "table_rows": size},
                             "growth")
        finally:
            for bed in made.values():
                bed.destroy()


def alone(bed, size, seconds, round_number):
    """Rows like the server's by one connection of SQLite with the server's settings, while the
    server is off; the empty table is one in a new file."""
    bed.server.stop()
    source = bed.folder / "data" / "rector_db.db"
    reader = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    newest, *others = reader.execute(
        "SELECT * FROM partner_conversions ORDER BY id DESC LIMIT 1").fetchone()
    reader.close()
    if size > 0:
        database = sqlite3.connect(source, isolation_level=None)
    else:
        database = checks.sqlite_yardstick(bed, source, "alone.db")
    for pragma in ("synchronous=FULL", "secure_delete=OFF", "cache_size=-16384",
                   "wal_autocheckpoint=8192"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    statement = ("INSERT INTO partner_conversions VALUES (" +
                 ", ".join("?" * (1 + len(others))) + ")")
    row_count = 0
    first = 10_000_000 * round_number  # Other places of the index in each round.
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        row_count += ALONE_ROWS
        database.execute("BEGIN IMMEDIATE")
        database.executemany(statement, (
            (newest + number, others[0], f"{(first + number) * 2654435761 % 4294967296:08x}-a-0-"
             f"{first + number}", *others[2:])
            for number in range(row_count - ALONE_ROWS + 1, row_count + 1)))
        database.execute("COMMIT")
    took = time.monotonic() - began
    database.close()
    bed.start()
    return {"rows": row_count, "rows_per_s": row_count / took}


def write(bed, scenario, seconds, prefix):
    """Unique postbacks beside the rows that are there; checked by those that came."""
    last_id = bed.database().rows("SELECT max(id) AS id FROM partner_conversions")[0]["id"]
    stored = checks.stats(bed, hours=87840)["total_conversions"]
    before = beds.cpu_seconds(bed.pids()), beds.cpu_seconds(bed.database_pids())
    account = clients.unique(bed, scenario, seconds, prefix)[0]
    account["server_cpu"] = beds.cpu_seconds(bed.pids()) - before[0]
    account["database_cpu"] = beds.cpu_seconds(bed.database_pids()) - before[1]
    bed.settle()
    row_count, ids, _, _, wrong = checks.facts(bed, after=last_id)
    now_stored = checks.stats(bed, hours=87840)["total_conversions"]
    assert row_count == ids and wrong == 0, (row_count, ids, wrong)
    assert now_stored - stored == row_count, (stored, now_stored, row_count)
    assert account["answers"] - account["not_200"] <= row_count <= account["sent"], account
    account["rows"] = row_count
    return account


def read(bed, size):
    """Medians, and the slowest, of /stats over a day and over all, and of pages at any depth."""
    now_us = time.time_ns() // 1000
    depths = [0, 0.25, 0.5, 0.75, 0.9999] if size else [0]
    cursors = [((now_us - EPOCH_US - int(SPAN_US * depth)) << 12) for depth in depths]
    account = {"sent": 0, "answers": 0, "not_200": 0, "broken": 0}
    for name, targets in (
            ("stats_day", [f"{PATH}/stats?hours=24"]),
            ("stats_all", [f"{PATH}/stats?hours=720", f"{PATH}/stats?hours=87840"]),
            ("page_10", [f"{PATH}/conversions?limit=10&cursor={cursor}" for cursor in cursors]),
            ("page_1000", [f"{PATH}/conversions?limit=1000&cursor={cursor}"
                           for cursor in cursors])):
        times = []  # The median of each target.
        slowest = 0.0
        with bed.server.connect() as connection:
            for target in targets:
                latencies = [_timed(connection, target) for _ in range(READS)]
                times.append(statistics.median(latencies))
                slowest = max(slowest, *latencies)
        account[f"{name}_ms"] = max(times)
        account[f"{name}_max_ms"] = slowest
    return account


def _timed(connection, target):
    started = time.monotonic()
    answer = connection.exchange("GET", target)
    assert answer.status == 200, answer
    return (time.monotonic() - started) * 1000


def fill(bed, size):
    """`size` rows like one that the server has stored, and the statistics that belong to them."""
    answer = bed.server.get(f"{PATH}?{clients.POSTBACK.format(id='t-0-7')}")
    assert answer.json["status"] == "success", answer
    started = time.monotonic()
    bed.settle()
    bed.server.stop()
    if size > 0:
        first_us = time.time_ns() // 1000 - SPAN_US
        step_us = SPAN_US // size
        if bed.cluster:
            _fill_postgresql(bed.cluster, size, first_us, step_us)
        else:
            _fill_sqlite(bed.folder / "data" / "rector_db.db", size, first_us, step_us)
    if bed.cluster:
        bed.cluster.stop()
        bed.cluster.start(*GROWN)
        beds.recycle_log(bed.cluster, LOG_SEGMENTS)
    if size > 0:
        _merge_statistics(bed)
    os.sync()
    bed.start()
    print(f"filled a table with {size:,} rows in {time.monotonic() - started:.0f} s", flush=True)


def _merge_statistics(bed):
    """Old minutes are merged, as on a server that has run for these days. Nothing is purged."""
    done = subprocess.run([BUILD / "postbackctl", "purge", "--partner", "rector", "--json"],
                          env=bed.server.environment(), cwd=bed.server.folder, capture_output=True,
                          check=True)  # It takes its time.
    report, = json.loads(done.stdout)["partners"]
    assert report["conversions"] == 0 and report["stats_hours_merged"] > 0, report
    if bed.cluster:
        bed.cluster.sql("VACUUM (ANALYZE) postback_stats", "rector_db")


def _fill_postgresql(cluster, size, first_us, step_us):
    cluster.stop()
    cluster.start(*FILLING)

    def sql(text):
        return cluster.sql(text, "rector_db")

    constraints = [line.split("|", 1) for line in sql(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'partner_conversions'::regclass AND contype IN ('p', 'u')").splitlines()]
    indexes = sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'partner_conversions'"
                  " AND indexname NOT IN (SELECT conname FROM pg_constraint)").splitlines()
    names = sql("SELECT indexname FROM pg_indexes WHERE tablename = 'partner_conversions'"
                " AND indexname NOT IN (SELECT conname FROM pg_constraint)").split()
    for name, _ in constraints:
        sql(f"ALTER TABLE partner_conversions DROP CONSTRAINT {name}")
    for name in names:
        sql(f"DROP INDEX {name}")
    sql("CREATE TABLE template AS SELECT * FROM partner_conversions")
    made = {
        "id": f"((us - {EPOCH_US}) << 12) | 1",
        "conversion_id": "lpad(to_hex(g * 2654435761 % 4294967296), 8, '0') || '-f-0-' || g",
        "usd_sale_amount": "((g % 10007)::numeric / 100)::numeric(12, 2)",
        "usd_earning": "((g % 101)::numeric / 100)::numeric(12, 2)",
        **{name: "received" for name in ("received_at", "created_at", "updated_at")}}
    columns = sql("SELECT column_name FROM information_schema.columns"
                  " WHERE table_name = 'partner_conversions' ORDER BY ordinal_position").split()
    values = ", ".join(made.get(name, f"t.{name}") for name in columns)
    sql("BEGIN; TRUNCATE partner_conversions, postback_stats;"
        f" INSERT INTO partner_conversions ({', '.join(columns)}) SELECT {values} FROM template t,"
        f" (SELECT g, {first_us} + g * {step_us} AS us, to_timestamp(({first_us} + g * {step_us})"
        f" / 1000000.0) AS received FROM generate_series(0::bigint, {size - 1}) AS s(g)) n; COMMIT")
    for name, definition in constraints:
        sql(f"ALTER TABLE partner_conversions ADD CONSTRAINT {name} {definition}")
    for definition in indexes:
        sql(definition)
    sql("INSERT INTO postback_stats (partner_id, minute, writer, conversion_count, sale_amount,"
        " earning, first_conversion_at, last_conversion_at) SELECT partner_id,"
        " date_trunc('minute', received_at), 1, count(*), sum(usd_sale_amount), sum(usd_earning),"
        " min(received_at), max(received_at) FROM partner_conversions GROUP BY 1, 2")
    sql("DROP TABLE template")
    sql("VACUUM (ANALYZE) partner_conversions")
    sql("VACUUM (ANALYZE) postback_stats")


def _fill_sqlite(path, size, first_us, step_us):
    database = sqlite3.connect(path, isolation_level=None)
    run = database.execute
    # The indexes stay and grow row after row, as under the server: their pages are two thirds full
    # then. One that is built at once has full pages, and each is split by the first id that falls
    # into it (PostgreSQL leaves room). All of it fits into the cache.
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-4194304"):
        run(f"PRAGMA {pragma}").fetchall()
    columns = [row[1] for row in run("PRAGMA table_info(partner_conversions)")]
    received = ("strftime('%Y-%m-%dT%H:%M:%S', us / 1000000, 'unixepoch')"
                " || printf('.%06dZ', us % 1000000)")
    made = {
        "id": f"((us - {EPOCH_US}) << 12) | 1",
        "conversion_id": "printf('%08x-f-0-%d', g * 2654435761 % 4294967296, g)",
        "usd_sale_amount": "printf('%d.%02d', g % 10007 / 100, g % 10007 % 100)",
        "usd_earning": "printf('%d.%02d', g % 101 / 100, g % 101 % 100)",
        **{name: "received" for name in ("received_at", "created_at", "updated_at")}}
    values = ", ".join(made.get(name, f"t.{name}") for name in columns)
    run("CREATE TABLE template AS SELECT * FROM partner_conversions")
    run("DELETE FROM partner_conversions")
    run("DELETE FROM postback_stats")
    run(f"INSERT INTO partner_conversions ({', '.join(columns)})"
        f" WITH RECURSIVE numbers(g, us) AS (VALUES (0, {first_us}) UNION ALL"
        f" SELECT g + 1, us + {step_us} FROM numbers WHERE g < {size - 1}),"
        f" timed AS (SELECT g, us, {received} AS received FROM numbers)"
        f" SELECT {values} FROM timed CROSS JOIN template t")
    run("DROP TABLE template")
    cents = "sum(CAST(round({} * 100) AS INTEGER))"
    run("INSERT INTO postback_stats (partner_id, minute, writer, conversion_count, sale_amount,"
        " earning, first_conversion_at, last_conversion_at) SELECT partner_id,"
        " substr(received_at, 1, 17) || '00.000000Z', 1, count(*),"
        f" printf('%d.%02d', {cents.format('usd_sale_amount')} / 100,"
        f" {cents.format('usd_sale_amount')} % 100),"
        f" printf('%d.%02d', {cents.format('usd_earning')} / 100,"
        f" {cents.format('usd_earning')} % 100),"
        " min(received_at), max(received_at) FROM partner_conversions GROUP BY 1, 2")
    run("PRAGMA journal_mode=WAL").fetchall()
    database.close()
