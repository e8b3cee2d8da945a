"""Bad input inside a well-formed request: rows 25 to 45 and 48 of the list of bad input.

Each refusal is sent to Rector (on_invalid = refuse: an error status) and to Involve Asia
(accept: 200 with the same reason); both keep a quarantine row with everything that came.
"""

import json
import threading

from harness import Decimal, STORES, Suite, over
from http_client import query

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class PostbackSuite(Suite):
    def send(self, endpoint, search="", body=None, content_type=None):
        headers = [("Content-Type", content_type)] if content_type else []
        method = "GET" if body is None else "POST"
        target = f"/partner{endpoint}" + (f"?{search}" if search else "")
        return self.server.exchange(method, target, headers, body)

    def expect_row(self, search="", body=None, content_type=None, conversion_id=None):
        """It is stored; returns the row."""
        conversion_id = conversion_id or self.new_id()
        search = f"conversion_id={conversion_id}" + (f"&{search}" if search else "")
        answer = self.send(self.rector, search, body, content_type)
        self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)
        return self.conversion(answer.json["conversion"]["conversion_id"], "rector_db")

    def expect_quarantine(self, status, reason, search="", body=None, content_type=None,
                          field=None):
        """Refused to Rector, accepted from Involve Asia, a row with the reason in both."""
        rows = []
        target = f"?{search}" if search else ""
        for endpoint, name in ((self.rector, "rector_db"), (self.involve, "involve_asia_db")):
            with self.subTest(endpoint=endpoint, search=search[:80], body=str(body)[:80]):
                answers = []
                stored = self.stored_between(
                    lambda: answers.append(self.send(endpoint, search, body, content_type)))
                self.assertEqual(stored, (0, 1), answers)
                if endpoint == self.rector:
                    self.assert_error(answers[0], status, reason)
                    if field:
                        self.assertEqual(answers[0].json["error"]["field"], field)
                else:
                    self.assertEqual((answers[0].status, answers[0].json["status"]),
                                     (200, "quarantined"), answers[0])
                    self.assertIn(reason, answers[0].text)
                row = self.quarantined(name)[-1]
                self.assertEqual((row["reason"], row["request_ip"]), (reason, "127.0.0.1"))
                self.assertEqual(row["method"], "GET" if body is None else "POST")
                self.assertEqual(row["target"], f"/partner{endpoint}{target}")
                self.assertTrue(row["message"])
                if field:
                    self.assertEqual(row["field"], field)
                if body is not None:
                    body_bytes = body if isinstance(body, bytes) else body.encode()
                    self.assertEqual(bytes.fromhex(row["body"]), body_bytes)
                rows.append(row)
        return rows


@over(stores=STORES, short=True)
class BadPostbacks(PostbackSuite):
    def test_25_media_types_that_are_not_understood(self):
        for content_type in ("multipart/form-data; boundary=x", "application/xml", "text/xml",
                             "application/x-www-form-urlencoded; charset=iso-8859-1",
                             "application/json; charset=utf-16"):
            self.expect_quarantine(415, "unsupported_media_type", "conversion_id=a",
                                   "<a>1</a>", content_type)

    def test_26_malformed_json(self):
        deep = '{"a":' * 17 + "1" + "}" * 17
        for body in ("{", '{"a":1}x', '{"a":1}{"b":2}', '{"a":}', '{"a":01}', "{'a':1}", deep,
                     b'{"a":"\xff"}', r'{"a":"\ud800"}', '{"a":1,}', "nul", '{"a":"\x01"}'):
            self.expect_quarantine(400, "invalid_json", "conversion_id=a", body, JSON)

    def test_27_json_root_that_is_not_an_object(self):
        for body in ("[]", '"text"', "1", "null", "true", '[{"conversion_id":"a"}]'):
            self.expect_quarantine(422, "json_not_object", "conversion_id=a", body, JSON)

    def test_27_nested_values_are_kept_as_they_are(self):
        row = self.expect_row(body='{"basket": [1, {"sku": "x"}], "sub_id": "s", "deep": {"a": {}}}',
                              content_type=JSON)
        self.assertEqual(row["sub_id"], "s")
        self.assertEqual(row["raw_data"]["basket"], [1, {"sku": "x"}])
        self.assertEqual(row["raw_data"]["deep"], {"a": {}})

    def test_28_duplicate_json_keys(self):
        self.expect_quarantine(422, "duplicate_key",
                               body='{"conversion_id":"dup1","conversion_id":"dup2"}',
                               content_type=JSON, field="conversion_id")

    def test_28_the_id_twice_with_different_values(self):
        self.expect_quarantine(422, "duplicate_key", "conversion_id=dup3&conversion_id=dup4",
                               field="conversion_id")

    def test_28_the_id_twice_with_the_same_value_is_fine(self):
        conversion_id = self.new_id()
        self.expect_row(f"conversion_id={conversion_id}", conversion_id=conversion_id)

    def test_29_byte_order_mark_before_json(self):
        row = self.expect_row(body=b'\xef\xbb\xbf{"sub_id":"bom"}', content_type=JSON)
        self.assertEqual(row["sub_id"], "bom")

    def test_30_broken_percent_signs_stay_as_they_are(self):
        row = self.expect_row("sub_id=%zz&media_id=100%&click_id=%a")
        self.assertEqual((row["sub_id"], row["media_id"], row["click_id"]), ("%zz", "100%", "%a"))

    def test_31_id_with_invalid_utf8_or_nul(self):
        for value in ("%ff", "a%00b", "%c3%28", "%ed%a0%80"):
            self.expect_quarantine(422, "conversion_id_invalid", f"conversion_id={value}",
                                   field="conversion_id")

    def test_32_other_field_with_invalid_utf8_or_nul(self):
        row = self.expect_row("sub_id=a%ffb&offer_name=x%00y")
        self.assertEqual((row["sub_id"], row["offer_name"]), ("a\ufffdb", "x\ufffdy"))
        self.assertIn("sub_id", row["processing_error"])
        self.assertIn("offer_name", row["processing_error"])

    def test_33_plus_and_percent_20_are_a_space(self):
        row = self.expect_row("sub_id=a+b&media_id=a%20b&click_id=a%2Bb")
        self.assertEqual((row["sub_id"], row["media_id"], row["click_id"]), ("a b", "a b", "a+b"))

    def test_34_odd_pairs_as_the_url_standard_reads_them(self):
        row = self.expect_row("sub_id==b&=c&&flag&media_id=x")
        self.assertEqual((row["sub_id"], row["media_id"]), ("=b", "x"))
        self.assertEqual(row["raw_data"]["flag"], "")
        self.assertEqual(row["raw_data"][""], "c")

    def test_35_too_many_parameters(self):
        many = "&".join(f"p{i}=1" for i in range(64))
        self.expect_quarantine(422, "too_many_parameters", f"conversion_id=many&{many}")

    def test_35_parameter_over_4_kib(self):
        self.expect_quarantine(422, "parameter_too_long", f"conversion_id=long&x={'y' * 4097}",
                               field="x")

    def test_35_64_parameters_and_one_of_4_kib_are_stored(self):
        pairs = "&".join(f"p{i}=1" for i in range(62))
        row = self.expect_row(f"{pairs}&x={'y' * 4096}")
        self.assertEqual(len(row["raw_data"]["x"]), 4096)

    def test_36_id_missing_or_empty(self):
        self.expect_quarantine(422, "conversion_id_missing", "sub_id=x", field="conversion_id")
        self.expect_quarantine(422, "conversion_id_missing", "conversion_id=",
                               field="conversion_id")
        self.expect_quarantine(422, "conversion_id_missing", "")

    def test_36_id_over_255_bytes_or_with_control_bytes(self):
        for value in ("x" * 256, "a%0Ab", "a%7Fb", "%01"):
            self.expect_quarantine(422, "conversion_id_invalid", f"conversion_id={value}",
                                   field="conversion_id")

    def test_36_id_of_255_bytes_is_stored(self):
        self.expect_row(conversion_id=self.new_id().ljust(255, "x"))

    def test_37_id_that_is_an_unexpanded_macro(self):
        for value in ("{conversion_id}", "{{x}}", "[x]", "!!!x!!!", "${x}", "#x#", "null",
                      "undefined"):
            self.expect_quarantine(422, "conversion_id_macro", query({"conversion_id": value}),
                                   field="conversion_id")
        self.expect_quarantine(422, "conversion_id_macro", "conversion_id=%7Bx%7D")

    def test_38_other_field_that_is_an_unexpanded_macro(self):
        row = self.expect_row(query({"sub_id": "{aff_sub}", "media_id": "real"}))
        self.assertEqual((row["sub_id"], row["media_id"]), (None, "real"))
        self.assertEqual(row["raw_data"]["sub_id"], "{aff_sub}")
        self.assertIn("sub_id", row["processing_error"])

    def test_39_malformed_amounts(self):
        for value in ("NaN", "1e9", "0x10", "1,50", "1" * 40, "inf", "--1", "1.2.3", "$5", "١"):
            self.expect_quarantine(422, "amount_invalid", query(
                {"conversion_id": self.new_id(), "usd_sale_amount": value}),
                field="usd_sale_amount")

    def test_39_empty_amount_is_not_a_missing_one(self):
        self.expect_quarantine(422, "amount_invalid", "conversion_id=empty&usd_sale_amount=",
                               field="usd_sale_amount")

    def test_40_negative_amounts_are_stored(self):
        row = self.expect_row("usd_sale_amount=-12.50&usd_earning=-0.01")
        self.assertEqual((row["usd_sale_amount"], row["usd_earning"]),
                         (Decimal("-12.50"), Decimal("-0.01")))

    def test_40_amounts_are_exact(self):
        for text in ("0.1", "99.99", "123456789012345.678901", "0.000000000001", "100.00"):
            conversion_id = self.new_id()
            answer = self.send(self.rector, query({"conversion_id": conversion_id,
                                                   "usd_sale_amount": text}))
            self.assertIn(f'"usd_sale_amount":{text}', answer.text.replace(" ", ""))
            row = self.conversion(conversion_id, "rector_db")
            self.assertEqual(row["usd_sale_amount"], Decimal(text))

    def test_40_amounts_from_json_numbers_are_exact(self):
        row = self.expect_row(body='{"usd_sale_amount": 0.300000000004, "usd_earning": 5}',
                              content_type=JSON)
        self.assertEqual((row["usd_sale_amount"], row["usd_earning"]),
                         (Decimal("0.300000000004"), Decimal(5)))

    def test_41_unreadable_date(self):
        for value in ("soon", "2025-13-01", "2025-02-30", "99/99/9999"):
            row = self.expect_row(query({"conversion_datetime": value}))
            self.assertIsNone(row["conversion_datetime"])
            self.assertIn("conversion_datetime", row["processing_error"])

    def test_41_readable_dates(self):
        for value, expected in (
                ("2025-01-15", "2025-01-15T00:00:00+00:00"),
                ("2025-01-15 10:20:30", "2025-01-15T10:20:30+00:00"),
                ("2025-01-15T10:20:30Z", "2025-01-15T10:20:30+00:00"),
                ("2025-01-15T10:20:30+08:00", "2025-01-15T02:20:30+00:00"),
                ("1736936430", "2025-01-15T10:20:30+00:00"),
                ("1736936430123", "2025-01-15T10:20:30.123000+00:00")):
            row = self.expect_row(query({"conversion_datetime": value}))
            self.assertEqual(row["conversion_datetime"].isoformat(), expected, value)
            self.assertIsNone(row["processing_error"])

    def test_42_hostile_text_is_stored_byte_for_byte(self):
        for text in ("'; DROP TABLE partner_conversions; --", '<script>alert("x")</script>',
                     "$(reboot) `id` | rm", "jndi:${jndi:ldap://x/a} y", "😀👩‍👩‍👧", "‮evil‬",
                     'a"b\\c/d', "{1,2}", "\\x41", "%s%n", "線上購物"):
            with self.subTest(text=text):
                row = self.expect_row(query({"sub_id": text, "offer_name": text}))
                self.assertEqual((row["sub_id"], row["offer_name"]), (text, text))
                self.assertEqual(row["raw_data"]["sub_id"], text)

    def test_43_repeat_is_a_duplicate(self):
        conversion_id = self.new_id()
        first = self.send(self.rector, query({"conversion_id": conversion_id, "sub_id": "1"}))
        self.assertEqual(first.json["status"], "success")
        for _ in range(3):
            again = self.send(self.rector, query({"conversion_id": conversion_id, "sub_id": "2"}))
            self.assertEqual((again.status, again.json), (200, {
                "status": "duplicate", "partner": "Rector", "conversion_id": conversion_id,
                "message": "Duplicate conversion detected"}))
        self.assertEqual(self.conversion(conversion_id, "rector_db")["sub_id"], "1")

    def test_43_a_similar_id_is_no_repeat(self):
        conversion_id = self.new_id("Case")
        for other in (conversion_id, conversion_id.lower(), conversion_id + " ",
                      conversion_id + "0"):
            self.expect_row(conversion_id=query({"": other})[1:])

    def test_44_repeats_of_an_id_in_flight_wait_for_it(self):
        conversion_id = self.new_id()
        answers = []

        def send():
            answers.append(self.send(self.rector, f"conversion_id={conversion_id}"))

        threads = [threading.Thread(target=send) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answer.json["status"] for answer in answers),
                         ["duplicate"] * 19 + ["success"])
        self.conversion(conversion_id, "rector_db")

    def test_45_one_id_from_two_partners_is_two_conversions(self):
        conversion_id = self.new_id()
        for endpoint in (self.rector, self.involve):
            answer = self.send(endpoint, f"conversion_id={conversion_id}")
            self.assertEqual(answer.json["status"], "success")
        for name in ("rector_db", "involve_asia_db"):
            self.conversion(conversion_id, name)

    def test_48_unknown_partner(self):
        answer = self.send("/unknown/event", "conversion_id=a")
        self.assert_error(answer, 404, "unknown_partner")


@over()
class Bodies(PostbackSuite):
    """Where parameters may stand, and which of them wins."""

    def post(self, endpoint, search, body, content_type):
        answer = self.send(endpoint, search, body, content_type)
        self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)
        return answer.json["conversion"]

    def test_form_body(self):
        found = self.post(self.rector, "", query({
            "conversion_id": self.new_id(), "sub_id": "a b&c=d", "usd_sale_amount": "5.50"}), FORM)
        self.assertEqual((found["sub_id"], str(found["usd_sale_amount"])), ("a b&c=d", "5.50"))

    def test_form_body_with_charset_utf8(self):
        found = self.post(self.rector, "", f"conversion_id={self.new_id()}&sub_id=%E7%B7%9A",
                          FORM + "; charset=UTF-8")
        self.assertEqual(found["sub_id"], "線")

    def test_json_body(self):
        found = self.post(self.involve, "", json.dumps({
            "conversion_id": self.new_id(), "aff_sub": "s", "usd_payout": 2.25}), JSON)
        self.assertEqual((found["sub_id"], str(found["usd_earning"])), ("s", "2.25"))

    def test_the_body_wins_over_the_query(self):
        found = self.post(self.rector, f"conversion_id={self.new_id()}&sub_id=query&media_id=q",
                          "sub_id=body", FORM)
        self.assertEqual((found["sub_id"], found["media_id"]), ("body", "q"))

    def test_chunked_body(self):
        form = f"conversion_id={self.new_id()}&sub_id=chunked"
        with self.server.connect() as connection:
            connection.send(f"POST /partner{self.rector} HTTP/1.1\r\nHost: a\r\n"
                            f"Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (form[:7], form[7:20], form[20:]):
                connection.send(f"{len(piece):x};name=value\r\n{piece}\r\n")
            connection.send("0\r\n\r\n")
            self.assertEqual(connection.read().json["conversion"]["sub_id"], "chunked")

    def test_either_name_of_a_mapping_means_the_same(self):
        for name in ("sub_id", "aff_sub"):
            found = self.post(self.involve, "", f"conversion_id={self.new_id()}&{name}=x", FORM)
            self.assertEqual(found["sub_id"], "x")
            row = self.conversion(found["conversion_id"])
            self.assertEqual(row["raw_data"][name], "x")
            self.assertEqual(row["raw_data"]["sub_id"], "x")

    def test_left_name_wins_and_the_disagreement_is_noted(self):
        found = self.post(self.involve, "", f"conversion_id={self.new_id()}&aff_sub=right"
                          "&sub_id=left", FORM)
        self.assertEqual(found["sub_id"], "left")
        row = self.conversion(found["conversion_id"])
        self.assertIn("sub_id", row["processing_error"])
        self.assertEqual(row["raw_data"]["aff_sub"], "right")

    def test_what_nobody_mapped_is_kept(self):
        found = self.post(self.rector, f"conversion_id={self.new_id()}&extra=1", '{"more": [2]}',
                          JSON)
        row = self.conversion(found["conversion_id"], "rector_db")
        self.assertEqual((row["raw_data"]["extra"], row["raw_data"]["more"]), ("1", [2]))
