"""The six calls of the documents, exactly as written, with curl, on a fresh start."""

import datetime
import json
import shlex
import subprocess

from harness import Decimal, STORES, Suite, over

CALLS = {
    "involve": 'curl "http://localhost:8000/partner/involve/event?sub_id=test123&media_id=media456'
               "&click_id=click789&usd_sale_amount=99.99&usd_payout=9.99&offer_name=Test"
               '&conversion_id=conv001&conversion_datetime=2025-01-15"',
    "rector": 'curl "http://localhost:8000/partner/rector/event?media_id=media456&sub_id=test123'
              "&usd_sale_amount=99.99&usd_earning=9.99&offer_name=Test&conversion_id=conv002"
              '&conversion_datetime=2025-01-15&click_id=click789"',
    "stats": 'curl "http://localhost:8000/partner/involve/event/stats"',
    "conversions": 'curl "http://localhost:8000/partner/involve/event/conversions?limit=10"',
    "health": 'curl "http://localhost:8000/health"',
    "info": 'curl "http://localhost:8000/info"',
}
DAY = datetime.datetime(2025, 1, 15, tzinfo=datetime.timezone.utc)


@over(stores=STORES, short=True)
class DocumentedCalls(Suite):
    settings = {"JOURNAL": "auto", "ACK_BUDGET_MS": 1500}

    """One story, in the order of the method names, as a newcomer would type it."""

    def curl(self, name):
        command = CALLS[name].replace(":8000", f":{self.server.port}")
        done = subprocess.run([*shlex.split(command), "-s", "-w", "\n%{http_code} %{content_type}"],
                              capture_output=True, text=True, check=True, timeout=30)
        body, _, last = done.stdout.rpartition("\n")
        self.assertEqual(last, "200 application/json", body)
        return json.loads(body, parse_float=Decimal)

    def check_stored_row(self, code, conversion_id, partner_id):
        row = self.conversion(conversion_id, f"{code}_db")
        expected = {
            "partner_id": partner_id, "conversion_id": conversion_id, "offer_id": None,
            "offer_name": "Test", "conversion_datetime": DAY,
            "usd_sale_amount": Decimal("99.99"), "usd_earning": Decimal("9.99"),
            "media_id": "media456", "sub_id": "test123", "click_id": "click789",
            "is_duplicate": False, "processing_error": None, "request_ip": "127.0.0.1",
        }
        self.assertEqual({name: row[name] for name in expected}, expected)
        now = datetime.datetime.now(datetime.timezone.utc)
        for name in ("received_at", "created_at", "updated_at"):
            self.assertLess(abs((now - row[name]).total_seconds()), 60, name)
        self.assertIn("curl/", json.dumps(row["request_headers"]))
        return row

    def test_1_involve_postback(self):
        answer = self.curl("involve")
        self.assertEqual(answer["status"], "success")
        self.assertEqual(answer["partner"], {"code": "involve_asia", "name": "InvolveAsia",
                                             "endpoint": "/involve/event"})
        conversion = answer["conversion"]
        self.assertIsInstance(conversion.pop("id"), int)
        self.assertEqual(conversion, {
            "conversion_id": "conv001", "offer_name": "Test", "usd_sale_amount": Decimal("99.99"),
            "usd_earning": Decimal("9.99"), "media_id": "media456", "sub_id": "test123",
            "click_id": "click789"})
        self.assertIsInstance(answer["processing_time_ms"], (Decimal, int))
        self.assertGreaterEqual(answer["processing_time_ms"], 0)
        self.assertEqual(answer["message"], "Conversion processed successfully")
        row = self.check_stored_row("involve_asia", "conv001", 1)
        came = {"sub_id": "test123", "media_id": "media456", "click_id": "click789",
                "usd_sale_amount": "99.99", "usd_payout": "9.99", "offer_name": "Test",
                "conversion_id": "conv001", "conversion_datetime": "2025-01-15"}
        self.assertEqual({name: row["raw_data"].get(name) for name in came}, came)

    def test_2_involve_postback_again_is_a_duplicate(self):
        self.assertEqual(self.curl("involve"), {
            "status": "duplicate", "partner": "InvolveAsia", "conversion_id": "conv001",
            "message": "Duplicate conversion detected"})
        self.conversion("conv001")

    def test_3_rector_postback(self):
        answer = self.curl("rector")
        self.assertEqual(answer["status"], "success")
        self.assertEqual(answer["partner"], {"code": "rector", "name": "Rector",
                                             "endpoint": "/rector/event"})
        self.assertEqual(answer["conversion"]["usd_earning"], Decimal("9.99"))
        self.check_stored_row("rector", "conv002", 2)

    def test_4_stats(self):
        answer = self.curl("stats")
        self.assertEqual((answer["partner"], answer["endpoint"]), ("InvolveAsia", "/involve/event"))
        stats = answer["stats"]
        expected = {"hours": 24, "total_conversions": 1, "duplicate_conversions": 1,
                    "quarantined": 0, "total_sale_amount": Decimal("99.99"),
                    "total_earning": Decimal("9.99")}
        self.assertEqual({name: stats[name] for name in expected}, expected)
        for name in ("first_conversion_at", "last_conversion_at"):
            self.assertIsNotNone(datetime.datetime.fromisoformat(
                stats[name].replace("Z", "+00:00")))
        self.assertGreater(stats["p99_ms"], 0)
        self.assertLessEqual(stats["p50_ms"], stats["p99_ms"])

    def test_5_conversions(self):
        answer = self.curl("conversions")
        self.assertEqual((answer["partner"], answer["endpoint"]), ("InvolveAsia", "/involve/event"))
        self.assertEqual(len(answer["conversions"]), 1)
        row = answer["conversions"][0]
        expected = {"conversion_id": "conv001", "offer_name": "Test",
                    "usd_sale_amount": Decimal("99.99"), "usd_earning": Decimal("9.99"),
                    "media_id": "media456", "sub_id": "test123", "click_id": "click789"}
        self.assertEqual({name: row[name] for name in expected}, expected)
        self.assertIsNone(answer["next_cursor"])

    def test_6_health(self):
        health = self.curl("health")
        self.assertEqual(health["status"], "healthy")
        self.assertEqual({database["partner"]: database["state"] for database in
                          health["databases"]}, {"involve_asia": "up", "rector": "up"})

    def test_7_info(self):
        answer = self.curl("info")
        self.assertEqual([(partner["name"], partner["endpoint"]) for partner in answer["partners"]],
                         [("InvolveAsia", "/involve/event"), ("Rector", "/rector/event")])
        self.assertEqual(answer["event_loop"]["engine"], self.loop)
