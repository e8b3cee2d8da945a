"""Bad input on the level of HTTP: rows 1 to 24 and 46 of the list of bad input."""

import os

from harness import Suite, over
from http_client import Closed

GOOD = "/partner/rector/event?conversion_id="
# A method that must not do anything names a postback that would be stored.
HOST = b"Host: localhost\r\n"


@over(short=True)
class BadHttp(Suite):
    def target(self):
        return GOOD + self.new_id("bad")

    def refused(self, data, statuses, closes=True, stored=(0, 0), label=None):
        """Sends bytes; expects one answer with one of these statuses, then the close, and nothing
        stored. A good request stands behind the bad one: it must not be executed."""
        smuggled = b"GET %s HTTP/1.1\r\n%s\r\n" % (self.target().encode(), HOST)
        with self.subTest(input=label or data[:120]):
            answers = []

            def action():
                with self.server.connect() as connection:
                    try:
                        connection.send(data + (smuggled if closes else b""))
                    except ConnectionError:
                        pass  # Refused and closed before all was sent.
                    answers.append(connection.read())
                    if closes:
                        self.assertTrue(connection.closed_within(3), "stays open or says more")

            self.assertEqual(self.stored_between(action), stored)
            self.assertIn(answers[0].status, statuses, answers[0])
            if closes:
                self.assertEqual((answers[0].header("connection") or "").lower(), "close")
            if answers[0].status != 204:
                self.assert_error(answers[0], answers[0].status)
            return answers[0]

    def line(self, request_line, headers=HOST, body=b""):
        request_line = request_line if isinstance(request_line, bytes) else request_line.encode()
        return request_line + b"\r\n" + headers + b"\r\n" + body

    def with_header(self, header, method="GET", body=b""):
        return self.line(f"{method} {self.target()} HTTP/1.1", HOST + header + b"\r\n", body)

    def test_01_garbage_and_a_tls_hello(self):
        self.refused(b"\x00\x01\x02 garbage\r\n\r\n", [400])
        self.refused(b"\r\n\r\nhello\r\n\r\n", [400])
        hello = (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(32)
                 + b"\x20" + os.urandom(32) + b"\x00\x22\x13\x01\x13\x03")
        self.refused(hello, [400], label="TLS hello")

    def test_02_other_http_versions(self):
        for line in (f"GET {self.target()} HTTP/2.0", f"GET {self.target()} HTTP/1.2",
                     f"GET {self.target()} HTTP/9.9", f"GET {self.target()} HTTP/0.9",
                     f"GET {self.target()}", "PRI * HTTP/2.0"):
            self.refused(self.line(line), [400, 505])

    def test_03_http_1_0_with_host_is_served_and_closed(self):
        with self.server.connect() as connection:
            connection.send(f"GET {self.target()} HTTP/1.0\r\nHost: a\r\n\r\n")
            self.assertEqual(connection.read().status, 200)
            self.assertTrue(connection.closed_within(3))

    def test_03_http_1_0_stays_when_it_asks_for_keep_alive(self):
        with self.server.connect() as connection:
            for _ in range(2):
                connection.send(f"GET {self.target()} HTTP/1.0\r\nHost: a\r\n"
                                "Connection: keep-alive\r\n\r\n")
                answer = connection.read()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.header("connection").lower(), "keep-alive")

    def test_04_unknown_methods(self):
        for method in ("BREW", "get", "GETT", "PROPFIND"):
            with self.subTest(method=method):
                def action(method=method):
                    with self.server.connect() as connection:
                        connection.send(self.line(f"{method} {self.target()} HTTP/1.1"))
                        self.assertIn(connection.read().status, (400, 405, 501))
                self.assertEqual(self.stored_between(action), (0, 0))

    def test_05_other_methods_execute_nothing(self):
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "HEAD"):
            with self.subTest(method=method):
                def action(method=method):
                    answer = self.server.exchange(method, self.target())
                    self.assertEqual(answer.status, 405, answer)
                    allowed = {word.strip() for word in answer.header("allow").split(",")}
                    self.assertLessEqual({"GET", "POST"}, allowed)
                    self.assertNotIn(method, allowed)
                self.assertEqual(self.stored_between(action), (0, 0))

    def test_06_connect(self):
        self.refused(self.line("CONNECT example.com:443 HTTP/1.1"), [405])

    def test_07_options_asterisk(self):
        answer = self.server.exchange("OPTIONS", "*")
        self.assertEqual(answer.status, 204)
        self.assertIn("GET", answer.header("allow"))
        self.assertEqual(answer.body, b"")

    def test_08_host_that_is_missing_doubled_or_malformed(self):
        for host in (b"", b"Host: a\r\nHost: a\r\n", b"Host: a b\r\n", b"Host: user@a\r\n",
                     b"Host: a/b\r\n"):
            self.refused(self.line(f"GET {self.target()} HTTP/1.1", host), [400], label=host)

    def test_09_unknown_paths_are_not_normalised(self):
        query = "?conversion_id=" + self.new_id("bad")
        for path in ("/nothing", "//partner/rector/event", "/../partner/rector/event",
                     "/%2e%2e/partner/rector/event", "/partner/../partner/rector/event",
                     "/partner/rector/event/", "/partner/rector//event", "/partner/rector",
                     "/partner", "/partner/", "/PARTNER/rector/event", "/partner/rector/event/x",
                     "/partner/rector%2fevent", "/partner/Rector/event"):
            with self.subTest(path=path):
                def action(path=path):
                    self.assert_error(self.server.get(path + query), 404)
                self.assertEqual(self.stored_between(action), (0, 0))

    def test_10_absolute_form(self):
        with self.server.connect() as connection:
            connection.send(f"GET http://localhost{self.target()} HTTP/1.1\r\n"
                            "Host: localhost\r\n\r\n")
            answer = connection.read()
            self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)
        self.refused(self.line(f"GET http://elsewhere{self.target()} HTTP/1.1"), [400])

    def test_11_forbidden_bytes_in_the_target(self):
        good = self.target().encode()
        for target in (good + b"#x", good + b" x", good + b"\tx", b" " + good, good + b"\x01",
                       good + b"\x7f", good + b"\x80", good + "é".encode(), good + b"\x00"):
            self.refused(self.line(b"GET " + target + b" HTTP/1.1"), [400], label=target)

    def test_12_request_line_over_8_kib(self):
        self.refused(self.line(f"GET {self.target()}&a={'x' * 8192} HTTP/1.1"), [414])
        with self.server.connect() as connection:
            connection.send("GET /" + "x" * 9000)  # And no end of line.
            self.assertEqual(connection.read().status, 414)
            self.assertTrue(connection.closed_within(3))

    def test_12_request_line_just_under_8_kib_is_taken(self):
        target = self.target() + "&" + "&".join(f"p{i}={'x' * 300}" for i in range(25))
        self.assertLess(len(target), 8100)
        self.assertEqual(self.server.get(target).status, 200)

    def test_13_headers_over_the_limits(self):
        self.refused(self.with_header(b"X: " + b"x" * 8192), [431])
        self.refused(self.with_header(b"\r\n".join(b"X%d: 1" % i for i in range(101))), [431])
        self.refused(self.with_header(b"\r\n".join(b"X%d: %s" % (i, b"x" * 4000)
                                                   for i in range(5))), [431])
        with self.server.connect() as connection:
            connection.send(b"GET / HTTP/1.1\r\nX" + b"x" * 9000)  # A name without an end.
            self.assertEqual(connection.read().status, 431)

    def test_14_malformed_headers(self):
        for header in (b"X: a\r\n b", b"X: a\r\n\tb", b": a", b"X : a", b"X\t: a", b"X: a\x00b",
                       b"X: a\rb", b"X: a\nY: b", b"X", b"X\x00: a", b"X y: a", b"X: a\x01",
                       b"Content-Length: 1\r\n 0", b"X: a\r\n\rY: b"):
            self.refused(self.with_header(header), [400], label=header)
        target = self.target().encode()
        for data in (b"GET " + target + b" HTTP/1.1\nHost: a\n\n",
                     b"GET " + target + b" HTTP/1.1\nHost: a\r\n\r\n",
                     b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\n",
                     b" GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n",
                     b"GET " + target + b" HTTP/1.1\r\n Host: a\r\n\r\n"):
            self.refused(data, [400], label=data)

    def test_15_content_length_with_transfer_encoding(self):
        chunked = b"5\r\nhello\r\n0\r\n\r\n"
        for header in (b"Content-Length: 5\r\nTransfer-Encoding: chunked",
                       b"Transfer-Encoding: chunked\r\nContent-Length: 5"):
            self.refused(self.with_header(header, "POST", chunked), [400], label=header)

    def test_16_malformed_content_length(self):
        for value in (b"5\r\nContent-Length: 5", b"5\r\nContent-Length: 6", b"5, 5", b"5,6", b"+5",
                      b"-1", b"0x5", b"5a", b"", b" ", b"18446744073709551616",
                      b"99999999999999999999999999", b"5 5", b"5.0", b"\xb2"):
            self.refused(self.with_header(b"Content-Length: " + value, "POST", b"hello"), [400],
                         label=value)

    def test_17_other_transfer_encodings(self):
        chunked = b"5\r\nhello\r\n0\r\n\r\n"
        for value in (b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked",
                      b"chunked\r\nTransfer-Encoding: chunked", b"chunked, identity", b"",
                      b"chunked;q=1", b"\x0bchunked"):
            self.refused(self.with_header(b"Transfer-Encoding: " + value, "POST", chunked),
                         [400, 501], label=value)
        old = f"POST {self.target()} HTTP/1.0"
        self.refused(self.line(old, HOST + b"Transfer-Encoding: chunked\r\n", chunked), [400, 501])

    def test_18_malformed_chunks(self):
        for body in (b"xyz\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\nx", b"-5\r\nhello\r\n",
                     b"0x5\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
                     b"5 \r\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"\r\nhello\r\n",
                     b"5\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
                     b"5;" + b"x" * 1100 + b"\r\nhello\r\n0\r\n\r\n"):
            self.refused(self.with_header(b"Transfer-Encoding: chunked", "POST", body), [400],
                         label=body[:40])

    def test_19_trailers_are_never_headers(self):
        with self.server.connect() as connection:
            connection.send(self.with_header(
                b"Transfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded",
                "POST", b"9\r\nsub_id=t1\r\n0\r\nX-Trailer: secret\r\nHost: b\r\n\r\n"))
            answer = connection.read()
            self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)
            self.assertEqual(answer.json["conversion"]["sub_id"], "t1")
            row = self.conversion(answer.json["conversion"]["conversion_id"], "rector_db")
            self.assertNotIn("secret", str(row["request_headers"]))
            self.assertEqual(connection.exchange("GET", "/health").status, 200)

    def test_20_body_over_the_limit_is_refused_before_it_comes(self):
        with self.server.connect() as connection:
            connection.send(self.with_header(b"Content-Length: 65537", "POST"))
            self.assert_error(connection.read(), 413)
            self.assertTrue(connection.closed_within(3))
        with self.server.connect() as connection:
            connection.send(self.with_header(b"Transfer-Encoding: chunked", "POST"))
            with self.assertRaises((ConnectionError, Closed, AssertionError)):
                for _ in range(20):
                    connection.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                self.assert_error(connection.read(), 413)
                raise Closed("as it should")

    def test_20_body_of_exactly_the_limit_is_read(self):
        body = "conversion_id=" + self.new_id()
        body += "".join(f"&p{i}=" + "x" * 2000 for i in range(30))
        body += "&last=" + "x" * (65536 - len(body) - 6)
        self.assertEqual(len(body), 65536)
        answer = self.server.exchange(
            "POST", "/partner/rector/event",
            [("Content-Type", "application/x-www-form-urlencoded")], body)
        # The last value is over 4 KiB or not; what counts is that the body was read.
        self.assertIn(answer.status, (200, 422), answer)

    def test_21_body_shorter_than_promised_then_fin(self):
        def action():
            with self.server.connect() as connection:
                connection.send(self.with_header(b"Content-Length: 10", "POST", b"sub"))
                connection.end_sending()
                self.assertTrue(connection.closed_within(3) or connection.read().status == 400)
        self.assertEqual(self.stored_between(action), (0, 0))

    def test_23_expect_100_continue(self):
        with self.server.connect() as connection:
            connection.send(self.with_header(
                b"Expect: 100-continue\r\nContent-Length: 9\r\n"
                b"Content-Type: application/x-www-form-urlencoded", "POST"))
            self.assertEqual(connection.read().status, 100)
            connection.send(b"sub_id=e1")
            answer = connection.read()
            self.assertEqual((answer.status, answer.json["conversion"]["sub_id"]), (200, "e1"))

    def test_23_other_expectations(self):
        def action():
            with self.server.connect() as connection:
                connection.send(self.with_header(b"Expect: 200-ok"))
                self.assertEqual(connection.read().status, 417)
        self.assertEqual(self.stored_between(action), (0, 0))

    def test_24_content_encoding(self):
        def action():
            answer = self.server.exchange("POST", self.target(), [
                ("Content-Encoding", "gzip"),
                ("Content-Type", "application/x-www-form-urlencoded")], b"sub_id=x")
            self.assert_error(answer, 415)
        self.assertEqual(self.stored_between(action), (0, 0))

    def test_46_twenty_pipelined_with_a_malformed_one_in_the_middle(self):
        ids = [self.new_id("pipe") for _ in range(20)]

        def action():
            with self.server.connect() as connection:
                requests = [f"GET {GOOD}{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in ids]
                requests[10] = f"GET {GOOD}{ids[10]} HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n"
                connection.send("".join(requests))
                for conversion_id in ids[:10]:
                    answer = connection.read()
                    self.assertEqual(answer.status, 200, answer)
                    self.assertEqual(answer.json["conversion"]["conversion_id"], conversion_id)
                self.assertEqual(connection.read().status, 400)
                self.assertTrue(connection.closed_within(3))

        self.assertEqual(self.stored_between(action), (10, 0))


@over(weight=20)
class Slowness(Suite):
    """Row 22, and the silence of row 21: absolute deadlines of 10 s and 15 s."""

    def expect_408(self, data, drip, seconds):
        with self.server.connect() as connection:
            connection.socket.settimeout(1)
            connection.send(data)
            for _ in range(seconds):
                try:
                    answer = connection.read()
                    break
                except TimeoutError:
                    if drip:
                        connection.send(drip)
            else:
                self.fail(f"no answer within {seconds} s")
            self.assertEqual(answer.status, 408, answer)
            self.assertTrue(connection.closed_within(3))

    def test_22_slow_headers(self):
        self.expect_408(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x", 14)

    def test_22_slow_body(self):
        self.expect_408(b"POST /partner/rector/event HTTP/1.1\r\nHost: a\r\n"
                        b"Content-Length: 100\r\n\r\n", b"x", 19)

    def test_21_body_shorter_than_promised_then_silence(self):
        self.expect_408(b"POST /partner/rector/event HTTP/1.1\r\nHost: a\r\n"
                        b"Content-Length: 100\r\n\r\nabc", None, 19)

    def test_22_a_client_that_does_not_read_is_closed(self):
        import socket
        with self.server.connect() as connection:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.socket.settimeout(1)
            request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 100
            stalled = 0
            # It sends until the server stops reading, and then only waits: 60 s is the longest
            # of the server's limits.
            with self.assertRaises(ConnectionError):
                while stalled < 75:
                    try:
                        connection.socket.send(request)
                    except TimeoutError:
                        stalled += 1
        self.assertEqual(self.server.get("/health").status, 200)
