"""Load on a server, with an account of what was acknowledged.

Every id is new. What got 200 is written down; what got another answer, or none, is written down
separately: it may or may not be stored, and the tests say what holds for it.
"""

import itertools
import pathlib
import re
import signal
import subprocess
import threading
import time

from http_client import Closed, Connection, query

HERE = pathlib.Path(__file__).resolve().parent


class Account:
    """Of one load generator. Each list is appended to by several threads."""

    def __init__(self):
        self.acked = []    # Ids that got 200 success, accepted or duplicate.
        self.refused = []  # (id, status) of other answers.
        self.errors = []   # (id, error) of those without an answer.
        self.slowest_s = 0.0


class Load:
    """Keep-alive clients that send postbacks with new ids until stopped."""

    sequence = itertools.count()

    def __init__(self, server, endpoint, thread_count=8, prefix="load", retry=False, **parameters):
        """`retry`: an id without an answer is sent again until it has one (as networks do).
        `parameters`: more of them in each postback."""
        self.server = server
        self.endpoint = endpoint
        self.prefix = f"{prefix}-{next(self.sequence)}"
        self.retry = retry
        self.parameters = query({"usd_sale_amount": "1.01", "sub_id": "load", **parameters})
        self.account = Account()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(index,), daemon=True)
                        for index in range(thread_count)]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        return self.account

    def _run(self, thread_index):
        connection = None
        for number in itertools.count():
            conversion_id = f"{self.prefix}-{thread_index}-{number}"
            while True:
                if self.stopping.is_set():
                    if connection:
                        connection.close()
                    return
                connection, settled = self._send(connection, conversion_id)
                if settled or not self.retry:
                    break
                self.stopping.wait(0.02)

    def _send(self, connection, conversion_id):
        """Sends one postback; returns the connection to go on with and whether it is settled."""
        started = time.monotonic()
        try:
            if connection is None:
                connection = Connection("127.0.0.1", self.server.port, timeout_s=10)
            answer = connection.exchange(
                "GET", f"/partner{self.endpoint}?conversion_id={conversion_id}&{self.parameters}")
        except (Closed, OSError) as error:
            self.account.errors.append((conversion_id, repr(error)))
            if connection:
                connection.close()
            # A server that is away is not asked in a tight loop.
            self.stopping.wait(0.01)
            return None, False
        self.account.slowest_s = max(self.account.slowest_s, time.monotonic() - started)
        if answer.status == 200 and answer.json["status"] in ("success", "accepted", "duplicate"):
            self.account.acked.append(conversion_id)
        else:
            self.account.refused.append((conversion_id, answer.status))
        if (answer.header("connection") or "").lower() == "close":
            connection.close()
            connection = None
        return connection, answer.status == 200


def run_threads(server, endpoint, thread_count, seconds):
    """A load of this many clients for this long; returns its account."""
    generator = Load(server, endpoint, thread_count).start()
    time.sleep(seconds)
    return generator.stop()


def run_wrk(server, endpoint, count, connections=64, prefix="wrk"):
    """Exactly `count` unique postbacks by wrk, each answered; returns what it counted.

    Amounts are functions of the number n of the id: n mod 10007 cents sale, n mod 101 cents
    earning.
    """
    threads = 2  # As unique.lua has it.
    command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", "120s", "--timeout", "20s",
               "-s", str(HERE / "unique.lua"), f"http://127.0.0.1:{server.port}", "--",
               f"/partner{endpoint}", str(count), prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as wrk:
        output, threads_done = "", 0
        for line in wrk.stdout:
            output += line
            threads_done += line == "thread done\n"
            if threads_done == threads:
                wrk.send_signal(signal.SIGINT)
                threads_done = 0
    counts = dict(re.findall(r"^count (\w+) (\d+)$", output, re.MULTILINE))
    assert counts, output
    return {name: int(value) for name, value in counts.items()}, output


def expected_sums(count):
    """(sale, earning) in cents of the ids 0 to count - 1, as in unique.lua."""
    return sum(n % 10007 for n in range(count)), sum(n % 101 for n in range(count))
