"""The clients of a measurement: wrk, offered_load, and connections that do nothing.

Each takes a bed and a scenario and returns a list of accounts: dicts of numbers that end up in the
raw figures. `prefix` keeps the ids of several runs on one bed apart.
"""

import json
import pathlib
import socket
import statistics
import subprocess
import time
import urllib.request

from beds import PATH
from harness import BUILD

HERE = pathlib.Path(__file__).resolve().parent
# A postback as unique.lua makes it: number 7 of thread 0.
POSTBACK = ("conversion_id={id}&usd_sale_amount=0.07&usd_earning=0.07&sub_id=sub7"
            "&media_id=media456&click_id=click789&offer_name=Offer&conversion_datetime=2025-01-15")


def run_wrk(script, url, connections, seconds, arguments):
    """One run of wrk; returns the object that the script prints."""
    command = ["wrk", "-t", "2" if connections > 1 else "1", "-c", str(connections), "-d",
               f"{seconds}s", "--timeout", "10s", "--latency", "-s", str(HERE / "wrk" / script),
               url, "--", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    account = json.loads(done.stdout.strip().splitlines()[-1])
    account["answers_per_s"] = account["answers"] / account["seconds"]
    # wrk times a pipelined batch once and divides by all answers: its quantiles mean nothing then.
    if any(argument.startswith("pipeline=") for argument in arguments):
        for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms"):
            del account[name]
    return account


def add_counts(account, other):
    """What both runs on one bed stored is checked together."""
    for name in ("sent", "answers", "not_200", "broken"):
        account[name] += other[name]


def unique(bed, scenario, seconds, prefix="b"):
    path = "/partner/p%d/event" if scenario.over_partners else PATH
    warm_up, account = (
        run_wrk("unique.lua", bed.url, scenario.connections, length,
                [path, name, *scenario.arguments])
        for length, name in ((bed.warm_up_s, f"{prefix}w"), (seconds, prefix)))
    add_counts(account, warm_up)
    return [account]


def page(bed, scenario, seconds):
    """nginx has one page; of the server it is what the scenario names."""
    path = scenario.page or f"{PATH}?{POSTBACK.format(id='b-0-7')}"
    # The first one is stored before, so that all of them are repeats.
    with urllib.request.urlopen(bed.url + path, timeout=10) as answer:
        answer.read()
    return [run_wrk("page.lua", bed.url + path, scenario.connections, seconds,
                    scenario.arguments)]


def offered(bed, rate, connections, seconds, prefix, options=()):
    """A run at a fixed rate; latencies count from when each postback was due."""
    # An answer that takes longer is none, and the end of an overload need not be waited for.
    command = [BUILD / "bench" / "offered_load", "--url", bed.url + PATH, "--rate", f"{rate:.1f}",
               "--seconds", str(seconds), "--connections", str(connections), "--prefix",
               f"{prefix}-0", "--timeout-ms", "3000", "--quiet", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    account = json.loads(done.stdout)
    account["rate"] = rate
    account["answers_per_s"] = account["answers"] / account["seconds"]
    return account


def rates(bed, scenario, seconds):
    """The same bed at one rate after the other. Ends at the first it cannot keep up with."""
    warm_up = run_wrk("unique.lua", bed.url, scenario.connections, bed.warm_up_s,
                      [PATH, "w"])
    accounts = []
    for rate in scenario.rates:
        accounts.append(offered(bed, rate, scenario.connections, seconds, f"r{rate}"))
        accounts[-1]["label"] = f"{rate:,}/s"
        if accounts[-1]["answers_per_s"] < 0.9 * rate:
            break
    add_counts(accounts[-1], warm_up)
    return accounts


def half(bed, scenario, seconds):
    """At half of the rate that the same bed reached just before."""
    most = run_wrk("unique.lua", bed.url, scenario.connections, seconds, [PATH, "m"])
    account = offered(bed, most["answers_per_s"] / 2, scenario.connections, seconds, "h")
    add_counts(account, most)
    account["maximum_per_s"] = most["answers_per_s"]
    return [account]


def _ask(connection, conversion_id):
    connection.sendall(f"GET {PATH}?{POSTBACK.format(id=conversion_id)} HTTP/1.1\r\n"
                       "Host: localhost\r\n\r\n".encode())
    answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200"), answer


def idle(bed, scenario, _seconds):
    """Connections that brought a repeat each and are kept open: what they cost in memory."""
    connections = []
    try:
        with socket.create_connection(("127.0.0.1", bed.port)) as first:
            for _ in range(scenario.connections):  # So that the server is warm.
                _ask(first, "b-0-7")
        before = bed.memory_mib("VmRSS")
        latencies = []
        for _ in range(scenario.connections):
            started = time.monotonic()
            connections.append(socket.create_connection(("127.0.0.1", bed.port)))
            _ask(connections[-1], "b-0-7")
            latencies.append((time.monotonic() - started) * 1000)
        time.sleep(2)  # Buffers that are given back have been by then.
        account = {"sent": 2 * len(connections), "answers": 2 * len(connections), "not_200": 0,
                   "broken": 0, "idle_mib": bed.memory_mib("VmRSS") - before,
                   "p50_ms": statistics.median(latencies), "max_ms": max(latencies)}
        return [account]
    finally:
        for connection in connections:
            connection.close()
