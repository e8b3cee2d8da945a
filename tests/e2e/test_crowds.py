"""Crowds of requests that are large, half sent or not read: they have bounds, and others go on."""

import contextlib
import json
import pathlib
import sqlite3

from harness import SANITIZED, STORES, Suite, over

ROW_B = 60_000  # Of raw_data.
NOTES = {f"note{number}": "x" * 4000 for number in range(ROW_B // 4000)}
PAGE_B_MAX = (1024 + 512) * 1024  # kPageBytesMax, and the row that reached it.
MIB = 1024


@over(stores=STORES, loops=("epoll",))
class LargePages(Suite):
    ROWS = 60

    @classmethod
    def prepare(cls):
        cls.ids = [f"large-{number}" for number in range(cls.ROWS)]

    def fill(self):
        for conversion_id in self.ids:
            answer = self.server.exchange(
                "POST", f"/partner{self.involve}", [("Content-Type", "application/json")],
                json.dumps({"conversion_id": conversion_id, **NOTES}))
            self.assertEqual(answer.json["status"], "success", answer)

    def test_a_page_ends_at_about_a_mebibyte_and_the_next_one_goes_on(self):
        self.fill()
        found, cursor, sizes = [], None, []
        while True:
            answer = self.server.get(f"/partner{self.involve}/conversions?limit=1000"
                                     + (f"&cursor={cursor}" if cursor else ""))
            self.assertEqual(answer.status, 200)
            self.assertLess(len(answer.body), PAGE_B_MAX)
            found += [row["conversion_id"] for row in answer.json["conversions"]]
            sizes.append((len(answer.body), len(answer.json["conversions"])))
            cursor = answer.json["next_cursor"]
            if cursor is None:
                break
            self.assertGreater(len(answer.body), 1024 * 1024)
        self.assertEqual(found, self.ids[::-1], sizes)
        self.many_pages_at_once_are_bounded_and_others_are_served()

    def many_pages_at_once_are_bounded_and_others_are_served(self):
        """Eight clients ask for 16 pages each in one segment and read none."""
        before_kib = self.server.memory_kib()
        request = (f"GET /partner{self.involve}/conversions?limit=1000 HTTP/1.1\r\n"
                   "Host: a\r\n\r\n") * 16
        crowd = [self.server.connect() for _ in range(8)]
        try:
            for client in crowd:
                client.send(request)
            for _ in range(20):
                answer = self.server.postback(self.rector, {"conversion_id": self.new_id()})
                self.assertEqual(answer.status, 200)
            if not SANITIZED:
                self.assertLess(self.server.memory_kib(), before_kib + 100 * MIB)
            # Each of them has one report on its way, and gets the others when it reads.
            for _ in range(3):
                self.assertEqual(crowd[0].read().status, 200)
        finally:
            for client in crowd:
                client.close()


@over(loops=("epoll",))
class ManyPartners(Suite):
    """More than a core writes reports about (kSurveyEntriesOnCore)."""
    COUNT = 130

    @classmethod
    def prepare(cls):
        path = pathlib.Path(cls.server.settings["DATA_DIR"]) / "control.db"
        with contextlib.closing(sqlite3.connect(path)) as control, control:
            control.row_factory = sqlite3.Row
            row = dict(control.execute(
                "SELECT * FROM partners WHERE partner_code = 'rector'").fetchone())
            for number in range(cls.COUNT):
                row.update(id=1000 + number, partner_code=f"many{number}", is_active=0,
                           endpoint_path=f"/many/{number}", database_name=f"many{number}_db")
                control.execute(f"INSERT INTO partners ({', '.join(row)}) VALUES "
                                f"({', '.join('?' * len(row))})", list(row.values()))

    def test_reports_on_many_partners_are_whole(self):
        with self.server.connect() as connection:
            for _ in range(3):
                info = connection.exchange("GET", "/info")
                self.assertEqual(info.status, 200)
                self.assertEqual(len(info.json["partners"]), self.COUNT + 2)
                health = connection.exchange("GET", "/health")
                self.assertEqual((health.status, health.json["status"]), (200, "healthy"))
                metrics = connection.exchange("GET", "/metrics")
                self.assertTrue(metrics.header("content-type").startswith("text/plain"))
                self.assertIn(f"\npostback_partners {self.COUNT + 2}\n", metrics.text)
                head = connection.exchange("HEAD", "/info")
                self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(self.server.stop()[0], 0)
        self.server.start()


@over()
class HalfSent(Suite):
    settings = {"CORES": 1}
    COUNT = 1400

    def test_half_sent_bodies_have_a_bound_and_others_are_served(self):
        head = (f"POST /partner{self.rector} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                f"\r\nContent-Length: {ROW_B + 1}\r\n\r\n").encode()
        before_kib = self.server.memory_kib()
        held = []
        try:
            for _ in range(self.COUNT):
                held.append(self.server.connect())
                held[-1].send(head + b" " * ROW_B)
            answer = held[0].read()
            self.assert_error(answer, 503, "overloaded")
            self.assertEqual(answer.header("connection"), "close")
            self.assertEqual(answer.header("retry-after"), "5")
            if not SANITIZED:
                self.assertLess(self.server.memory_kib(), before_kib + 100 * MIB)
            # Whoever sends in one piece does not notice, and the last of them may finish.
            self.assertEqual(
                self.server.postback(self.rector, {"conversion_id": self.new_id()}).status, 200)
            held[-1].send(b" ")
            self.assertEqual(held[-1].read().status, 400)  # Blanks are no JSON.
        finally:
            for client in held:
                client.close()
