"""What has to hold after a measurement before its figures count, and the yardsticks beside it."""

import pathlib
import random
import sqlite3
import statistics
import subprocess
import time

from beds import PATH
from databases import postgres_programs

# Amounts in cents, exactly; the number at the end of each id tells what they have to be.
POSTGRES_FACTS = """
SELECT count(*) AS row_count, count(DISTINCT conversion_id) AS ids,
  coalesce(sum(usd_sale_amount), 0) AS sale_amount, coalesce(sum(usd_earning), 0) AS earning,
  count(*) FILTER (WHERE usd_sale_amount * 100 <> n % 10007 OR usd_earning * 100 <> n % 101)
    AS wrong
FROM (SELECT *, substring(conversion_id FROM '[0-9]+$')::bigint AS n FROM partner_conversions
  WHERE id > {after}) q"""
SQLITE_FACTS = """
SELECT conversion_id, CAST(round(usd_sale_amount * 100) AS INTEGER) AS sale,
  CAST(round(usd_earning * 100) AS INTEGER) AS earning
FROM partner_conversions WHERE id > {after}"""


def facts(bed, name="rector_db", after=0):
    """(rows, different ids, cents of sales, cents of earnings, rows with wrong amounts) of the
    rows behind id `after`."""
    database = bed.database(name)
    if bed.cluster:
        row = database.rows(POSTGRES_FACTS.format(after=after))[0]
        return (row["row_count"], row["ids"], int(row["sale_amount"] * 100),
                int(row["earning"] * 100), row["wrong"])
    ids, row_count, sale, earning, wrong = set(), 0, 0, 0, 0
    connection = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    for conversion_id, row_sale, row_earning in connection.execute(
            SQLITE_FACTS.format(after=after)):
        number = int(conversion_id.rsplit("-", 1)[1])
        ids.add(conversion_id)
        row_count += 1
        sale += row_sale
        earning += row_earning
        wrong += row_sale != number % 10007 or row_earning != number % 101
    connection.close()
    return row_count, len(ids), sale, earning, wrong


def stats(bed, path=PATH, hours=24):
    return bed.server.get(f"{path}/stats?hours={hours}").json["stats"]


def check(bed, scenario, accounts):
    """Every answer has its row or is a repeat, each id is there once, sums follow from the ids.
    Returns how many rows there are. wrk ends with requests on their way: those may be stored
    without having been counted."""
    bed.settle()
    names = ["rector_db"]
    if scenario.over_partners:
        names += [f"p{index}_db" for index in range(scenario.partners)]
    total_rows = repeats = 0
    for name in names:
        row_count, ids, sale, earning, wrong = facts(bed, name)
        assert ids == row_count, f"{name}: an id is stored twice"
        assert wrong == 0, f"{name}: {wrong} rows have other amounts than were sent"
        total_rows += row_count
        if bed.counts_repeats:
            told = stats(bed, PATH if name == "rector_db" else f"/partner/{name[:-3]}/event")
            found = (told["total_conversions"], int(told["total_sale_amount"] * 100),
                     int(told["total_earning"] * 100))
            assert found == (row_count, sale, earning), (name, told, row_count, sale, earning)
            repeats += told["duplicate_conversions"]
    sent = sum(account["sent"] for account in accounts)
    answered = sum(account["answers"] - account["not_200"] for account in accounts)
    # `page` warmed up with postbacks that its account does not have.
    if not scenario.page_like:
        assert answered <= total_rows + repeats <= sent, (
            f"{answered} answered, {total_rows} rows, {repeats} repeats, {sent} sent")
    return total_rows


def copy_rows_per_second(bed, row_count):
    """The yardstick: the same rows into the same table, without a server in between."""
    if bed.cluster:
        path = bed.cluster.folder / "rows"
        for sql in (f"COPY partner_conversions TO '{path}'",
                    "CREATE TABLE yardstick (LIKE partner_conversions INCLUDING ALL)",
                    "CHECKPOINT"):
            bed.cluster.sql(sql, "rector_db")
        started = time.monotonic()
        bed.cluster.sql(f"COPY yardstick FROM '{path}'", "rector_db")
        return row_count / (time.monotonic() - started)
    source = bed.folder / "data" / "rector_db.db"
    target = sqlite_yardstick(bed, source, "copy.db")
    target.execute("ATTACH ? AS source", (str(source),))
    started = time.monotonic()
    target.execute("INSERT INTO main.partner_conversions SELECT * FROM"
                   " source.partner_conversions")
    seconds = time.monotonic() - started
    target.close()
    return row_count / seconds


def sqlite_yardstick(bed, source, name):
    """A new file with the same table, as durable."""
    reader = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    schema = [sql for (sql,) in reader.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = 'partner_conversions' AND sql NOT NULL")]
    reader.close()
    target = sqlite3.connect(bed.folder / name, isolation_level=None)
    target.execute("PRAGMA journal_mode=WAL")
    target.execute("PRAGMA synchronous=FULL")
    for sql in schema:
        target.execute(sql)
    return target


PGBENCH_SCRIPT = r"""\set id random(1, 9000000000000000000)
INSERT INTO commits (id, partner_id, conversion_id, offer_name, conversion_datetime,
  usd_sale_amount, usd_earning, media_id, sub_id, click_id, raw_data, request_headers, request_ip,
  received_at) VALUES (:id, 2, :id, 'Offer', '2025-01-15', 0.07, 0.07, 'media456', 'sub7',
  'click789', '{"conversion_id":"b-0-7","usd_sale_amount":"0.07","usd_earning":"0.07"}',
  '{"Host":"127.0.0.1"}', '127.0.0.1', now());
"""


def commit_ms(bed, seconds):
    """The median of one INSERT of one row with its COMMIT, one after the other, in the same
    database: what a single postback cannot be faster than."""
    if not bed.cluster:
        return _sqlite_commit_ms(bed, seconds)
    bed.cluster.sql("CREATE TABLE commits (LIKE partner_conversions INCLUDING ALL)", "rector_db")
    (bed.folder / "commit.sql").write_text(PGBENCH_SCRIPT)
    subprocess.run([postgres_programs() / "pgbench", "-n", "-M", "prepared", "-c", "1", "-T",
                    str(seconds), "-f", "commit.sql", "-l", "-h", "127.0.0.1", "-p",
                    str(bed.cluster.port), "-U", "postgres", "rector_db"], cwd=bed.folder,
                   check=True, capture_output=True)
    latencies = [int(line.split()[2]) for path in pathlib.Path(bed.folder).glob("pgbench_log.*")
                 for line in path.read_text().splitlines()]
    return statistics.median(latencies) / 1000


def _sqlite_commit_ms(bed, seconds):
    target = sqlite_yardstick(bed, bed.folder / "data" / "rector_db.db", "commits.db")
    latencies = []
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        number = random.getrandbits(62)
        target.execute(
            "INSERT INTO partner_conversions (id, partner_id, conversion_id, usd_sale_amount,"
            " usd_earning, raw_data, received_at, created_at, updated_at)"
            " VALUES (?, 2, ?, '0.07', '0.07', ?, 'now', 'now', 'now')",
            (number, str(number), "x" * 200))
        latencies.append((time.monotonic() - started) * 1000)
    target.close()
    return statistics.median(latencies)
