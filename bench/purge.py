"""Throughput beside a purge.

A server whose table is full of conversions that are older than its partner keeps them, under the
same load without and with `postbackctl purge` beside it, next to each other in each round.
"""

import re
import subprocess
import time

import beds
import clients
import growth
from harness import BUILD
from scenarios import Scenario

SCENARIO = Scenario("purge", clients.unique, connections=256)
# More than are purged in all rounds together: 2,500 a second.
ROWS = 1_000_000
# Filled rows lie over 28 days; the server's own purge has looked while 30 days were kept.
RETENTION_DAYS = 1


def measure(options, recorder, usable):
    loop = next(loop for loop in beds.LOOPS if loop in usable)
    for store in ("postgresql", "sqlite"):
        if not re.search(options.match, f"{SCENARIO.name} {store} {loop}"):
            continue
        bed = beds.ServerBed(loop, store)
        try:
            growth.fill(bed, ROWS)
            bed.server.ctl("partner", "set", "rector", f"data_retention_days={RETENTION_DAYS}")
            for round_number in range(growth.ROUNDS * options.runs):
                # In turn, so that neither is always the first.
                for label in sorted(("with", "without"), reverse=round_number % 2 == 1):
                    account = load(bed, options.seconds, f"{label}{round_number}", label == "with")
                    recorder.add(SCENARIO.name, store, loop, SCENARIO.connections, round_number,
                                 {**account, "label": label}, "purge")
        finally:
            bed.destroy()


def load(bed, seconds, prefix, purging):
    before = at_first = purged(bed)
    command = ["setpriv", "--pdeathsig", "TERM", BUILD / "postbackctl", "purge", "--partner",
               "rector"]
    purge = purging and subprocess.Popen(
        command, env=bed.server.environment(), cwd=bed.server.folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL)
    try:
        while purging and (before := purged(bed)) == at_first:
            time.sleep(0.1)  # It looks at those that are purged already.
        account = growth.write(bed, SCENARIO, seconds, prefix)
        if purging:
            assert purge.poll() is None, f"the purge ended by itself with {purge.returncode}"
    finally:
        if purging:
            purge.terminate()
            purge.wait(20)
    account["purged"] = purged(bed) - before
    assert (account["purged"] > 0) == purging, account
    return account


def purged(bed):
    return bed.database().rows("SELECT count(*) AS rows FROM partner_conversions"
                               " WHERE purged_at IS NOT NULL")[0]["rows"]
