"""The load generator that keeps its rate: its records are what other tests and figures rest on."""

import csv
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, SLOWNESS, Decimal, Suite, over

PROGRAM = BUILD / "bench" / "offered_load"


def offered_load(port, *options, path="/partner/rector/event"):
    """The account of a run."""
    done = subprocess.run([PROGRAM, "--url", f"http://127.0.0.1:{port}{path}", "--quiet", *options],
                          capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


@over(loops=("epoll",))
class OfferedLoad(Suite):
    def run_load(self, *options):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        account = offered_load(self.server.port, "--ids", folder / "ids", "--csv", folder / "csv",
                               *options)
        ids = (folder / "ids").read_text(encoding="utf-8").split()
        with open(folder / "csv", encoding="utf-8") as file:
            seconds = list(csv.DictReader(file))
        self.assertEqual(sum(int(line["answers"]) for line in seconds), account["answers"])
        return account, ids

    def stored(self, prefix):
        return {row["conversion_id"]: row for row in self.conversions(
            "rector_db", f"conversion_id LIKE '{prefix}-%'")}

    def test_every_acknowledged_id_is_recorded_and_stored_as_it_was_sent(self):
        for prefix, options in (("get", []), ("json", ["--post-json"]), ("new", ["--close"])):
            with self.subTest(prefix):
                account, ids = self.run_load("--rate", "500", "--seconds", "1", "--prefix", prefix,
                                             *options)
                self.assertEqual((account["offered"], account["success"]), (500, 500), account)
                rows = self.stored(prefix)
                self.assertEqual(sorted(ids), sorted(rows))
                for name, row in rows.items():
                    number = int(name.split("-")[1])
                    self.assertEqual((row["usd_sale_amount"], row["usd_earning"], row["sub_id"]),
                                     (Decimal(number % 10007) / 100, Decimal(number % 101) / 100,
                                      f"sub{number % 1000}"))

    def test_repeats_are_of_ids_that_were_sent_before(self):
        account, ids = self.run_load("--rate", "1000", "--seconds", "2", "--prefix", "twice",
                                     "--repeat-every", "50")
        # Of the second 1000, each 50th.
        self.assertEqual((account["success"], account["duplicate"]), (1980, 20), account)
        self.assertEqual((len(ids), len(set(ids))), (2000, 1980))

    def test_a_server_that_is_away_is_seen(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            account = offered_load(unused.getsockname()[1], "--rate", "100", "--seconds", "0.5",
                                   "--close")
        self.assertEqual((account["broken"], account["answers"]), (50, 0), account)


class Stall(unittest.TestCase):
    """A server that answers one connection, and stands still for a second in the middle."""

    stall_s = 1.0

    def serve(self, listener):
        connection = listener.accept()[0]
        received = b""
        answered = 0
        with connection:
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
                while b"\r\n\r\n" in received:
                    target, received = received.split(b"\r\n\r\n", 1)
                    answered += 1
                    if answered == 100:
                        time.sleep(self.stall_s)
                    name = target.split(b"conversion_id=")[1].split(b"&")[0]
                    body = b'{"status":"success","conversion_id":"' + name + b'"}'
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
                                       % (len(body), body))

    def test_postbacks_that_had_to_wait_count_from_when_they_were_due(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = threading.Thread(target=self.serve, args=(listener,), daemon=True)
            server.start()
            account = offered_load(listener.getsockname()[1], "--rate", "200", "--seconds", "2",
                                   "--connections", "1")
            server.join(10)
        # 200 of 400 postbacks were due while the server stood: they waited 0.5 s on average. A
        # generator that waits with them would have seen one slow answer of 400.
        self.assertEqual((account["success"], account["mismatched"]), (400, 0), account)
        self.assertGreater(account["p99_ms"], 900)
        self.assertGreater(account["p50_ms"], 1)
        if SLOWNESS == 1:
            self.assertLess(account["p50_ms"], 700)


if __name__ == "__main__":
    unittest.main()
