"""What must hold after faults, whatever they were: see README.md beside this.

Every check is a generator of complaints; none is a pass.
"""

import collections
from decimal import Decimal

from generator import ACKNOWLEDGED, PARTNERS, amounts, conversion_id, partner, target
from metrics import read_metrics

# An answer's budget is 1.7 s; beyond this a request was simply forgotten.
ANSWER_S_MAX = 5


class Oracle:
    """`campaign`: after its end, with the server running; see campaign.py."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.account = campaign.account
        self.acks = campaign.acks()  # Of (number, status), each number's in order.
        self.rows = {code: campaign.database(code).rows(
            "SELECT conversion_id, usd_sale_amount, usd_earning FROM partner_conversions"
            f" WHERE is_duplicate = {'false' if campaign.cluster else '0'}")
            for code, _ in PARTNERS}

    def checks(self):
        return [
            ("every acknowledged id is stored", self.lost()),
            ("no id is stored twice", self.doubled()),
            ("every row is as it was sent", self.changed()),
            ("no id is new after it was acknowledged", self.acknowledged_anew()),
            ("/stats tells the rows' count and sums", self.miscounted()),
            ("nothing is in quarantine", self.quarantined()),
            ("answers were 200 or 503, and in time", self.misanswered()),
            ("what was received is accounted for", self.unbalanced()),
            ("the journal is whole", self.journal_damaged()),
            ("no connection broke while the server was up", self.broken()),
            ("acknowledged ids are duplicates", self.forgotten()),
            ("the database is sound", self.unsound()),
        ]

    def lost(self):
        stored = {code: {row["conversion_id"] for row in rows} for code, rows in self.rows.items()}
        for number in sorted({number for number, _ in self.acks}):
            if conversion_id(number) not in stored[partner(number)]:
                yield f"{partner(number)} {conversion_id(number)} got 200 and is not stored"

    def doubled(self):
        for code, rows in self.rows.items():
            counts = collections.Counter(row["conversion_id"] for row in rows)
            for name, count in counts.items():
                if count > 1:
                    yield f"{code} {name} is stored {count} times"

    def changed(self):
        for code, rows in self.rows.items():
            for row in rows:
                number = int(row["conversion_id"].removeprefix("id-"))
                found = (code, row["usd_sale_amount"], row["usd_earning"])
                sent = (partner(number), *(Decimal(count) / 100 for count in amounts(number)))
                if found != sent or not self.campaign.was_sent(number):
                    yield f"{row['conversion_id']}: sent {sent}, stored {found}"

    def acknowledged_anew(self):
        seen = set()
        for number, status in self.acks:
            if number in seen and status == "success":
                yield f"{conversion_id(number)} was acknowledged, and later stored as new"
            seen.add(number)

    def miscounted(self):
        for code, endpoint in PARTNERS:
            stats = self.campaign.server.get(f"/partner{endpoint}/stats?hours=24").json["stats"]
            rows = self.rows[code]
            expected = (len(rows), sum(row["usd_sale_amount"] for row in rows),
                        sum(row["usd_earning"] for row in rows))
            found = tuple(stats[name] for name in (
                "total_conversions", "total_sale_amount", "total_earning"))
            if found != expected:
                yield f"{code}: rows {expected}, /stats {found}"

    def quarantined(self):
        for code, _ in PARTNERS:
            for row in self.campaign.database(code).rows(
                    "SELECT conversion_id, reason, message FROM postback_quarantine"):
                yield f"{code}: {row}"

    def misanswered(self):
        for status, count in self.account["statuses"].items():
            if status not in (*ACKNOWLEDGED, "503"):
                yield f"{count} answers {status}"
        slowest_s = self.account["slowest_s"]
        if slowest_s > ANSWER_S_MAX * self.campaign.slowness:
            yield f"an answer took {slowest_s:.1f} s"

    def unbalanced(self):
        """Of the last process: it knows what it received and what it found in the journal."""
        complaint = read_metrics(self.campaign.server).imbalance()
        if complaint:
            yield complaint

    def journal_damaged(self):
        done = self.campaign.server.ctl("journal", "verify", check=False)
        if done.returncode != 0:
            yield f"{done.stdout}{done.stderr}"

    def broken(self):
        for when, what in self.account["errors"]:
            if not self.campaign.was_away(when):
                yield f"{when - self.campaign.started:.3f} s after the start: {what}"

    def forgotten(self):
        numbers = sorted({number for number, _ in self.acks})
        for number in self.campaign.dice.sample(numbers, min(100, len(numbers))):
            answer = self.campaign.server.get(target(number))
            if answer.status != 200 or answer.json["status"] != "duplicate":
                yield f"{conversion_id(number)} was acknowledged, its repeat got {answer}"

    def unsound(self):
        if self.campaign.cluster:
            return  # PostgreSQL has no such question; its recovery has passed.
        for code, _ in PARTNERS:
            rows = self.campaign.database(code).rows("PRAGMA integrity_check")
            if rows != [{"integrity_check": "ok"}]:
                yield f"{code}: {rows}"
