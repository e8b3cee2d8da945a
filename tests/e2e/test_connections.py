"""Connections: keep-alive, pipelining, byte by byte, half close, many at once."""

import resource
import selectors
import socket
import unittest

import load
from harness import ANSWER_S_MAX, Suite, over, wait_until


@over(short=True)
class Connections(Suite):
    def request(self, conversion_id):
        return (f"GET /partner/rector/event?conversion_id={conversion_id} HTTP/1.1\r\n"
                "Host: localhost\r\n\r\n")

    def test_keep_alive_serves_many_requests(self):
        with self.server.connect() as connection:
            for _ in range(200):
                answer = connection.exchange("GET", "/partner/rector/event?conversion_id="
                                             + self.new_id())
                self.assertEqual((answer.status, answer.json["status"]), (200, "success"))

    def test_connection_close_is_honoured(self):
        with self.server.connect() as connection:
            answer = connection.exchange("GET", "/health", [("Connection", "close")])
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.header("connection").lower(), "close")
            self.assertTrue(connection.closed_within(3))

    def test_pipelined_answers_come_in_order(self):
        # Twice as many as the server keeps in flight on one connection, of two partners.
        ids = [self.new_id("order") for _ in range(40)]
        with self.server.connect() as connection:
            connection.send("".join(
                self.request(conversion_id) if index % 2 else
                self.request(conversion_id).replace("rector", "involve")
                for index, conversion_id in enumerate(ids)))
            for conversion_id in ids:
                answer = connection.read()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.json["conversion"]["conversion_id"], conversion_id)

    def test_pipelined_repeats_are_one_success_and_duplicates(self):
        conversion_id = self.new_id()
        with self.server.connect() as connection:
            connection.send(self.request(conversion_id) * 30)
            found = [connection.read().json["status"] for _ in range(30)]
        self.assertEqual(found, ["success"] + ["duplicate"] * 29)

    def test_one_byte_at_a_time(self):
        body = f"conversion_id={self.new_id()}&sub_id=bytes"
        with self.server.connect() as connection:
            connection.send_bytewise((
                "POST /partner/rector/event HTTP/1.1\r\nHost: a\r\nContent-Length: "
                f"{len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
            ).encode() + self.request(self.new_id()).encode())
            self.assertEqual(connection.read().json["conversion"]["sub_id"], "bytes")
            self.assertEqual(connection.read().json["status"], "success")

    def test_half_closed_connection_gets_its_answers(self):
        with self.server.connect() as connection:
            connection.send(self.request(self.new_id()) * 1 + self.request(self.new_id()))
            connection.end_sending()
            self.assertEqual(connection.read().json["status"], "success")
            self.assertEqual(connection.read().json["status"], "success")
            self.assertTrue(connection.closed_within(3))

    def test_client_that_leaves_before_the_answer_is_still_counted(self):
        ids = [self.new_id("gone") for _ in range(50)]
        for conversion_id in ids:
            connection = self.server.connect()
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         b"\x01\0\0\0\0\0\0\0")
            connection.send(self.request(conversion_id))
            connection.end_sending()
            connection.close()  # A reset, as far as the kernel has not sent the request's bytes.
        # Each that was taken stands there once; a retry says duplicate or success, never twice.
        for conversion_id in ids:
            with self.server.connect() as connection:
                connection.send(self.request(conversion_id))
                self.assertEqual(connection.read().status, 200)
            self.conversion(conversion_id, "rector_db")

    def test_every_answer_has_date_and_type(self):
        answer = self.server.get("/health")
        self.assertRegex(answer.header("date"),
                         r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertTrue(answer.header("content-type").startswith("application/json"))

    def test_new_connection_per_request(self):
        for _ in range(300):
            self.assertEqual(self.server.postback(self.rector, {"conversion_id": self.new_id()})
                             .status, 200)


@over(exclusive=True)
class Crowd(Suite):
    """10,000 idle and 1,000 crawling connections do not harm 64 working ones."""

    idle_count = 10_000
    slow_count = 1_000

    def open_many(self, count, first_bytes):
        """Connections opened without waiting for one after the other."""
        selector = selectors.DefaultSelector()
        done = []
        for _ in range(count):
            opened = socket.socket()
            opened.setblocking(False)
            self.addCleanup(opened.close)
            error = opened.connect_ex(("127.0.0.1", self.server.port))
            self.assertIn(error, (0, 115))
            selector.register(opened, selectors.EVENT_WRITE)
            # Never more half-open ones than the server's backlog takes.
            while len(selector.get_map()) > 64:
                self.finish(selector, done, first_bytes)
        while selector.get_map():
            self.finish(selector, done, first_bytes)
        return done

    def finish(self, selector, done, first_bytes):
        for key, _ in selector.select(5):
            selector.unregister(key.fileobj)
            self.assertEqual(key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
            if first_bytes:
                key.fileobj.send(first_bytes)
            done.append(key.fileobj)

    def test_idle_and_slow_connections_do_not_harm_others(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.idle_count + self.slow_count + 200
        if hard < wanted:
            raise unittest.SkipTest(f"needs {wanted} descriptors, the hard limit is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        alone = load.run_threads(self.server, "/rector/event", 64, 3)
        self.assertEqual(alone.errors, [])
        before = self.server.memory_kib()
        idle = self.open_many(self.idle_count, b"")
        slow = self.open_many(self.slow_count, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        self.assertEqual(len(idle) + len(slow), self.idle_count + self.slow_count)
        crowded = load.run_threads(self.server, "/rector/event", 64, 5)
        self.assertEqual(crowded.errors, [])
        self.assertGreater(len(crowded.acked), len(alone.acked) / 3 * 5 / 3,
                           "the crowd costs the others more than two thirds of their rate")
        self.assert_in_time(crowded.slowest_s, ANSWER_S_MAX, within_s=60)
        # About 20 KiB each would be 220 MiB; a connection that only waits must cost less.
        self.assertLess(self.server.memory_kib() - before, 220 * 1024)
        # The crawling ones get their 408 or are closed at their deadline, the idle ones stay.
        ended = wait_until(lambda: self.readable(slow) == len(slow), 15, "slow ones are ended")
        self.assertTrue(ended)
        self.assertEqual(self.server.get("/health").status, 200)

    @staticmethod
    def readable(sockets):
        import select
        poll = select.poll()
        for each in sockets:
            poll.register(each, select.POLLIN)
        return len(poll.poll(0))
