#!/usr/bin/env python3
"""What a drain costs the other partners: the p99 of one partner's postbacks at a fixed rate, while
another partner's journal is drained, over the p99 of the same server just before.

    bench/neighbour.py [--rounds 3] [--rate 500] [--seconds 6] [--records 200000] [--purge]

Needs build/postbackd, build/postbackctl, build/bench/offered_load and build/tests/support/journal_maker
(`ninja -C build`). Prints a line for each store and round, and the median ratio. With --purge a
purge of the drained partner runs in both halves.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests" / "e2e"), str(HERE)]

import beds  # noqa: E402
import support  # noqa: E402
from databases import SqliteDatabase  # noqa: E402
from harness import BUILD  # noqa: E402

NEIGHBOUR = "/partner/involve/event"
RECTOR_ID = 2


def waiting(bed):
    text = bed.server.get("/metrics").text
    return sum(int(value) for value in
               re.findall(r'^postback_journaled\{partner="rector"[^}]*\} (\d+)$', text, re.MULTILINE))


def registry_id(bed):
    """Records of another control database would be held."""
    url = bed.server.settings["DATABASE_URL"]
    sql = "SELECT registry_id FROM postback_registry"
    if url.startswith("sqlite:"):
        return SqliteDatabase(url.removeprefix("sqlite:")).rows(sql)[0]["registry_id"]
    return subprocess.run(["psql", "-XAtc", sql, url], capture_output=True, text=True,
                          check=True).stdout.strip()


def load(bed, options, prefix):
    """The account of the neighbour's postbacks."""
    purge = options.purge and subprocess.Popen(
        [BUILD / "postbackctl", "purge", "--partner", "rector"], env=bed.server.environment(),
        cwd=bed.server.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        [BUILD / "bench" / "offered_load", "--url", bed.url + NEIGHBOUR, "--quiet", "--rate",
         str(options.rate), "--seconds", str(options.seconds), "--prefix", prefix],
        capture_output=True, text=True, check=True, timeout=300)
    if purge:
        purge.terminate()
        purge.wait(20)
    return json.loads(done.stdout)


def measure(store, options, number):
    bed = beds.ServerBed("epoll", store)
    try:
        load(bed, options, f"warm{number}")
        before = load(bed, options, f"before{number}")
        bed.server.stop()
        data = pathlib.Path(bed.server.settings["DATA_DIR"])
        subprocess.run([BUILD / "tests" / "support" / "journal_maker", data / "journal",
                        str(RECTOR_ID), str(options.records), "--code", "rector",
                        "--registry", registry_id(bed)], check=True)
        bed.start()
        at_first = waiting(bed)
        during = load(bed, options, f"during{number}")
        left = waiting(bed)
    finally:
        bed.destroy()
    ratio = during["p99_ms"] / before["p99_ms"]
    rate = (at_first - left) / during["seconds"]
    print(f"{store} {number}: p99 {before['p99_ms']:.2f} ms, during the drain {during['p99_ms']:.2f} ms,"
          f" ratio {ratio:.2f}; {rate:.0f} records/s drained, {left} left", flush=True)
    if left == 0:
        print("  the journal was empty before the end: give more --records")
    return ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--purge", action="store_true")
    parser.add_argument("--stores", default="postgresql,sqlite")
    options = parser.parse_args()
    support.setUpRun()
    try:
        for store in options.stores.split(","):
            ratios = [measure(store, options, number) for number in range(options.rounds)]
            print(f"{store}: median ratio {statistics.median(ratios):.2f}")
    finally:
        support.tearDownRun()


main()
