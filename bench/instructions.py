"""Instructions that the server executes for one postback, counted by callgrind.

    bench/instructions.py [--store sqlite] [--count 5000] [--keep FILE]

Needs no quiet machine: it counts, it does not time. But what a postback costs depends on how many
share a batch, and under callgrind the server is some fifty times slower than the database, so that
batches are as large as connections allow; the figure is for full load. The server runs with one
thread over epoll, which callgrind understands. With SQLite its whole work is inside the server.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

# pylint: disable=wrong-import-position
import beds
import clients
import support

CONNECTIONS = 256


class CountedBed(beds.ServerBed):
    """A server under callgrind, which writes what it counted when it is asked to."""

    def start(self):
        self.server.wrapper = ["valgrind", "--tool=callgrind", "--quiet",
                               f"--callgrind-out-file={self.folder}/counted"]
        super().start()

    def counted(self):
        """Instructions since the last time; the file of the details is the newest."""
        # It finds the server by a name that has the user of the environment in it.
        subprocess.run(["callgrind_control", "-d", str(self.process.pid)], check=True,
                       capture_output=True, env=self.server.environment())
        files = sorted(self.folder.glob("counted.*"), key=lambda path: path.stat().st_mtime)
        total = re.search(r"^(?:summary|totals): (\d+)", files[-1].read_text(), re.MULTILINE)
        return int(total.group(1)), files[-1]


def main():
    parser = argparse.ArgumentParser(description="See the beginning of this file.")
    parser.add_argument("--store", default="postgresql", choices=("postgresql", "sqlite"))
    parser.add_argument("--count", type=int, default=5000, help="postbacks that are counted")
    parser.add_argument("--keep", help="where to copy the counts, for callgrind_annotate")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("bench/instructions.py: valgrind is missing; apt-get install valgrind")
    support.setUpRun()
    bed = CountedBed("epoll", options.store, cores=1)
    try:
        clients.offered(bed, 1000, CONNECTIONS, 2, "w", ("--timeout-ms", "60000"))
        bed.counted()
        idle_started = time.monotonic()
        time.sleep(1)
        idle, _ = bed.counted()
        idle_per_s = idle / (time.monotonic() - idle_started)
        # All are due within a tenth of a second: connections are never idle until the last one.
        account = clients.offered(bed, 10 * options.count, CONNECTIONS, 0.1, "c",
                                  ("--timeout-ms", "60000"))
        total, file = bed.counted()
        assert account["success"] == options.count, account
        # The look at the registry and the timers go on meanwhile.
        per_postback = (total - idle_per_s * account["seconds"]) / options.count
        print(f"{options.store}: {per_postback:,.0f} instructions per durable unique postback"
              f" ({options.count} over {CONNECTIONS} connections; {idle_per_s:,.0f} per idle second"
              " are taken off)")
        if options.keep:
            shutil.copy(file, options.keep)
            print(f"callgrind_annotate --threshold=100 {options.keep}"
                  "    (its first lines are whole threads)")
    finally:
        bed.destroy()
        support.tearDownRun()


if __name__ == "__main__":
    os.chdir(HERE.parent)
    main()
