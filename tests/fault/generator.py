"""The load generator of the fault tests: a process of its own, which outlives every server.

    generator.py FOLDER THREADS SEED

Sends postbacks to the port that stands in FOLDER/port, which changes with every start of the
server, until SIGTERM. An id that got 200 is in a synced file FOLDER/acked-THREAD before the next
request leaves. At the end FOLDER/account.json tells what else happened.

Everything about a postback follows from its number, so that the oracle needs no other record.
"""

import collections
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from http_client import Closed, Connection  # pylint: disable=wrong-import-position

# Partner code and endpoint; the number's parity tells which.
PARTNERS = (("involve_asia", "/involve/event"), ("rector", "/rector/event"))
# How often an id that was acknowledged, or that was not, is sent again, in percent.
REPEAT_PERCENT = 10
RETRY_PERCENT = 30
PATIENCE_S = 10
# What a sender may take for good. "accepted" is in the journal and will be in the database.
ACKNOWLEDGED = ("success", "duplicate", "accepted")


def partner(number):
    return PARTNERS[number % 2][0]


def conversion_id(number):
    return f"id-{number}"


def amounts(number):
    """(sale, earning) in cents."""
    return number % 10007, number % 101


def cents(count):
    return f"{count // 100}.{count % 100:02d}"


def target(number):
    sale, earning = amounts(number)
    # Both partners take our own names.
    return (f"/partner{PARTNERS[number % 2][1]}?conversion_id={conversion_id(number)}"
            f"&usd_sale_amount={cents(sale)}&usd_earning={cents(earning)}&sub_id=s{number}")


class AckFile:
    """Lines of number and status, in the order of the answers. One thread."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, number, status):
        os.write(self.descriptor, f"{number} {status}\n".encode())
        os.fdatasync(self.descriptor)


class Sender(threading.Thread):
    """One keep-alive client. Its numbers are its own: index, index + threads, …"""

    def __init__(self, folder, index, thread_count, seed, stopping):
        super().__init__(daemon=True)
        self.port_file = folder / "port"
        self.acks = AckFile(folder / f"acked-{index}")
        self.dice = random.Random(f"{seed}/{index}")
        self.next_number = index
        self.step = thread_count
        self.stopping = stopping
        self.connection = None
        self.acked = collections.deque(maxlen=1000)       # The newest numbers.
        self.unanswered = collections.deque(maxlen=1000)  # As networks do, they are sent again.
        self.statuses = collections.Counter()
        self.errors = []  # [monotonic time, what]
        self.slowest_s = 0.0

    def run(self):
        while not self.stopping.is_set():
            self.send(self.choose())
        self.disconnect()

    def choose(self):
        roll = self.dice.randrange(100)
        if roll < REPEAT_PERCENT and self.acked:
            return self.dice.choice(self.acked)
        if roll >= 100 - RETRY_PERCENT and self.unanswered:
            return self.unanswered.popleft()
        number = self.next_number
        self.next_number += self.step
        return number

    def send(self, number):
        started = time.monotonic()
        try:
            if self.connection is None:
                port = int(self.port_file.read_text())
                self.connection = Connection("127.0.0.1", port, timeout_s=PATIENCE_S)
                started = time.monotonic()
            answer = self.connection.exchange("GET", target(number))
        except (Closed, OSError) as error:
            self.errors.append([time.monotonic(), repr(error)])
            self.unanswered.append(number)
            self.disconnect()
            self.stopping.wait(0.01)  # A server that is away is not asked in a tight loop.
            return
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        self.account(number, answer)
        if (answer.header("connection") or "").lower() == "close":
            self.disconnect()

    def account(self, number, answer):
        status = answer.json.get("status") if answer.status == 200 else answer.status
        self.statuses[str(status)] += 1
        if status in ACKNOWLEDGED:
            self.acks.add(number, status)
            self.acked.append(number)
            return
        self.unanswered.append(number)
        self.stopping.wait(0.005)

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def main():
    folder, thread_count, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    senders = [Sender(folder, index, thread_count, seed, stopping)
               for index in range(thread_count)]
    for sender in senders:
        sender.start()
    stopping.wait()
    for sender in senders:
        sender.join()
    (folder / "account.json").write_text(json.dumps({
        # Numbers below were sent, if their remainder is that of the index.
        "next_numbers": [sender.next_number for sender in senders],
        "statuses": sum((sender.statuses for sender in senders), collections.Counter()),
        "errors": sorted(error for sender in senders for error in sender.errors),
        "slowest_s": max(sender.slowest_s for sender in senders)}))


if __name__ == "__main__":
    main()
