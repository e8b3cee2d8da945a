"""Measures the scenarios of scenarios.py and writes what README.md shows: raw figures, table, plots.

Every measurement has a fresh server and fresh databases, is checked (what was answered is stored,
once, with the right sums), and stands beside its yardsticks: COPY of the same rows into the same
table in the same cluster, nginx, and the peers, one after the other in each round.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

# pylint: disable=wrong-import-position
import beds
import checks
import growth
import plots
import purge
import report
import support
from scenarios import GROUPS


def measure(scenario, subject, seconds):
    """The accounts of one measurement, checked, with what the machine spent on it."""
    bed = beds.make(subject, scenario)
    try:
        if scenario.over_partners:
            bed.open_partners()
        before = beds.cpu_seconds(bed.pids()), beds.cpu_seconds(bed.database_pids())
        accounts = scenario.client(bed, scenario, seconds)
        after = beds.cpu_seconds(bed.pids()), beds.cpu_seconds(bed.database_pids())
        last = accounts[-1]
        last.update(server_cpu=after[0] - before[0], database_cpu=after[1] - before[1],
                    server_mib=bed.memory_mib())
        if subject == "nginx":
            return accounts
        last["rows"] = checks.check(bed, scenario, accounts)
        if subject in beds.LOOPS:
            last["journaled"] = bed.journaled()
        if last["rows"] > 1000:
            last["cpu_us_per_row"] = last["server_cpu"] / last["rows"] * 1e6
        if scenario.copy and subject in beds.LOOPS:
            last["copy_rows_per_s"] = checks.copy_rows_per_second(bed, last["rows"])
        if scenario.commit and subject in beds.LOOPS:
            last["commit_ms"] = checks.commit_ms(bed, seconds)
        return accounts
    finally:
        bed.destroy()


class Recorder:
    """Collects the raw figures and writes them after each, so that an interrupted run keeps them."""

    def __init__(self, options):
        self.folder = pathlib.Path(options.out)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        self.result = {
            "date": datetime.date.today().isoformat(),
            "command": shlex.join(["bench/run", *sys.argv[1:]]),
            "machine": {"cpus": os.cpu_count(), "model": cpu_model(),
                        "kernel": platform.release(), "system": system_name()},
            "seconds": options.seconds, "rounds": options.runs, "skipped": [], "runs": []}

    def add(self, scenario_name, store, subject, connections, round_number, account, progress):
        run = {"scenario": scenario_name, "store": store, "subject": subject,
               "connections": connections, "round": round_number, **account}
        self.result["runs"].append(run)
        (self.folder / "results.json").write_text(json.dumps(self.result, indent=1) + "\n")
        print(f"{time.monotonic() - self.started:6.0f} s  {progress}  {report.run_line(run)}",
              flush=True)

    def skip(self, subject, why):
        self.result["skipped"].append({"subject": subject, "why": why})
        print(f"SKIPPED {subject}: {why}", flush=True)


def cpu_model():
    match = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return match.group(1) if match else platform.machine()


def system_name():
    match = re.search(r'^PRETTY_NAME="(.*)"$', pathlib.Path("/etc/os-release").read_text(), re.M)
    return match.group(1) if match else platform.system()


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="See bench/README.md.")
    parser.add_argument("--seconds", type=int, default=4, help="of load in each measurement")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the table has the medians")
    parser.add_argument("--match", default="",
                        help="only where this matches 'SCENARIO STORE SUBJECT'")
    parser.add_argument("--rows", type=int, default=0,
                        help="also measure over tables of up to so many rows (growth)")
    parser.add_argument("--without-peers", action="store_true", help="do not install or run them")
    parser.add_argument("--out", default=str(HERE.parent / "build" / "bench-results"),
                        help="folder of results.json, table.md and the plots")
    parser.add_argument("--readme", action="store_true",
                        help="put the table into bench/README.md as well")
    return parser.parse_args()


def measure_groups(options, recorder, usable):
    """Round by round within each group; progress is told in measurements."""
    wanted = [[(scenario, subject) for scenario in group for subject in scenario.subjects
               if subject in usable
               and re.search(options.match, f"{scenario.name} {scenario.store} {subject}")]
              for group in GROUPS]
    total = sum(map(len, wanted)) * options.runs
    done = 0
    for group in wanted:
        for round_number in range(options.runs):
            for scenario, subject in group:
                done += 1
                try:
                    accounts = measure(scenario, subject, options.seconds)
                except (AssertionError, OSError, RuntimeError) as error:
                    # The server's faults end the benchmark; a peer's are told.
                    if subject in beds.LOOPS:
                        raise
                    recorder.skip(f"{subject} in {scenario.name}, round {round_number + 1}",
                                  repr(error)[:300])
                    continue
                for account in accounts:
                    recorder.add(scenario.name, scenario.store, subject, scenario.connections,
                                 round_number, account, f"{done} of {total}")


def main():
    options = parse_arguments()
    # Beds are destroyed then, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    recorder = Recorder(options)
    usable = []
    for subject in (*beds.LOOPS, *beds.PEERS, "nginx"):
        why = ("--without-peers" if options.without_peers and subject in beds.PEERS
               else beds.missing(subject))
        if why:
            recorder.skip(subject, why)
        else:
            usable.append(subject)
    support.setUpRun()
    try:
        measure_groups(options, recorder, usable)
        purge.measure(options, recorder, usable)
        if options.rows:
            growth.measure(options, recorder, usable)
    finally:
        support.tearDownRun()
        beds.remove_left_over()
    text = report.text(recorder.result)
    print("\n" + text)
    (recorder.folder / "table.md").write_text(text)
    plots.draw(recorder.result, recorder.folder)
    if options.readme:
        report.put_into(HERE / "README.md", text)
    print(f"raw figures, table and plots: {recorder.folder}")


if __name__ == "__main__":
    main()
