"""What a server tells about itself at /metrics, and what must hold for it."""

import re

SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([-+.0-9e]+|[+-]Inf|NaN)$')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One reading. The format is Prometheus' text format."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def sum(self, name, **labels):
        """Over all samples with these labels; there must be one."""
        values = [value for sample, found, value in self.samples
                  if sample == name and labels.items() <= found.items()]
        assert values, f"no sample {name} {labels}"
        return int(sum(values))

    def imbalance(self):
        """None, or what does not add up: at rest, every postback that was received, and every
        record that was found in the journal at the start, has become one of these."""
        gains = {name: self.sum(f"postback_{name}_total") for name in ("received", "recovered")}
        ends = {name: self.sum(f"postback_{name}_total")
                for name in ("stored", "duplicate", "quarantined", "unavailable", "discarded")}
        ends["journaled"] = self.sum("postback_journaled")
        if sum(gains.values()) == sum(ends.values()):
            return None
        return f"{gains} came to {ends}"


def read_metrics(server):
    answer = server.get("/metrics")
    assert answer.status == 200, answer
    return Metrics(answer.text)


def waiting(server):
    """Records in the journal that no database has yet."""
    return server.get("/health").json["journal"].get("waiting", 0)
