"""100,000 postbacks with ids of their own: every one is stored once, to the cent."""

from harness import Decimal, STORES, Suite, over, wait_until
from load import expected_sums, run_wrk


@over(stores=STORES, exclusive=True)
class Volume(Suite):
    count = 100_000

    def test_every_postback_is_stored_once_and_sums_are_exact(self):
        counts, output = run_wrk(self.server, self.rector, self.count)
        self.assertEqual(counts, {"success": self.count, "duplicate": 0, "other": 0,
                                  "socket_errors": 0}, output)
        sale, earning = (Decimal(cents) / 100 for cents in expected_sums(self.count))
        rows = self.database("rector_db").rows(
            "SELECT count(*) AS n, count(DISTINCT conversion_id) AS ids FROM partner_conversions")
        self.assertEqual(rows, [{"n": self.count, "ids": self.count}])
        # In whole cents, where floating sums are exact too.
        cents = "CAST(round(CAST({} AS numeric) * 100) AS bigint)"
        sums = self.database("rector_db").rows(
            f"SELECT sum({cents.format('usd_sale_amount')}) AS sale,"
            f" sum({cents.format('usd_earning')}) AS earning FROM partner_conversions")
        self.assertEqual((Decimal(sums[0]["sale"]) / 100, Decimal(sums[0]["earning"]) / 100),
                         (sale, earning))
        wrong = self.database("rector_db").rows(
            "SELECT conversion_id, sub_id, usd_sale_amount FROM partner_conversions"
            " WHERE sub_id <> 's' || substr(conversion_id, 5)")
        self.assertEqual(wrong, [])
        stats = self.server.get("/partner/rector/event/stats").json["stats"]
        self.assertEqual((stats["total_conversions"], stats["duplicate_conversions"],
                          stats["total_sale_amount"], stats["total_earning"]),
                         (self.count, 0, sale, earning))
        again, output = run_wrk(self.server, self.rector, 20_000)
        self.assertEqual((again["success"], again["duplicate"]), (0, 20_000), output)
        wait_until(lambda: self.server.get("/partner/rector/event/stats").json["stats"][
            "duplicate_conversions"] == 20_000, 5, "the repeats are counted")
