"""The table and the goals, from raw figures.

    report.py results.json        prints them
"""

import collections
import json
import pathlib
import statistics
import sys

LOOPS = ("io_uring", "epoll")
PEERS = ("fastapi", "go", "node")
# Column, the figure it shows, its form.
COLUMNS = (
    ("answers/s", "answers_per_s", "{:,.0f}"), ("p50 ms", "p50_ms", "{:.2f}"),
    ("p99 ms", "p99_ms", "{:.2f}"), ("p99.9 ms", "p999_ms", "{:.2f}"),
    ("max ms", "max_ms", "{:.0f}"), ("errors", "errors", "{:.0f}"), ("rows", "rows", "{:,.0f}"),
    ("rows/s", "rows_per_s", "{:,.0f}"), ("purged", "purged", "{:,.0f}"),
    ("journaled", "journaled", "{:,.0f}"),
    ("COPY rows/s", "copy_rows_per_s", "{:,.0f}"), ("COMMIT ms", "commit_ms", "{:.2f}"),
    ("us/row", "cpu_us_per_row", "{:.1f}"), ("server CPU s", "server_cpu", "{:.1f}"),
    ("db CPU s", "database_cpu", "{:.1f}"), ("server MiB", "server_mib", "{:.0f}"),
    ("idle MiB", "idle_mib", "{:.1f}"), ("stats of a day ms", "stats_day_ms", "{:.1f}"),
    ("stats of all ms", "stats_all_ms", "{:.1f}"),
    ("page of 10 ms", "page_10_ms", "{:.1f}"), ("page of 1000 ms", "page_1000_ms", "{:.1f}"))


def errors(run):
    return (run.get("not_200", 0) + run.get("broken", 0) + run.get("timeouts", 0)
            + run.get("unsent", 0) + run.get("mismatched", 0))


def run_line(run):
    """A run in one line, as progress."""
    parts = [run["scenario"], run["store"], run["subject"], run.get("label", "")]
    run = {**run, "errors": errors(run)}
    parts += [f"{form.format(run[name])} {title}" for title, name, form in COLUMNS if name in run]
    return "  ".join(part for part in parts if part)


class Figures:
    """Runs by what they measured: (scenario, store, subject, label) to figures by round."""

    def __init__(self, result):
        self.by_key = collections.OrderedDict()
        for run in result["runs"]:
            key = (run["scenario"], run["store"], run["subject"], run.get("label", ""))
            run = {**run, "errors": errors(run)}
            self.by_key.setdefault(key, {})[run["round"]] = run

    def median(self, key, name):
        values = [run[name] for run in self.by_key.get(key, {}).values() if name in run]
        if not values:
            return None
        return max(values) if name == "errors" else statistics.median(values)

    def ratio(self, key, other, name="answers_per_s", other_name=None):
        """The median over the rounds of one figure by another of the same round."""
        rounds = self.by_key.get(key, {})
        others = self.by_key.get(other, {})
        values = [run[name] / others[number][other_name or name]
                  for number, run in rounds.items()
                  if name in run and others.get(number, {}).get(other_name or name)]
        return statistics.median(values) if values else None


def table(figures, scenarios=None):
    """Markdown, with the columns for which there is anything."""
    keys = [key for key in figures.by_key if scenarios is None or scenarios(key[0])]
    shown = [column for column in COLUMNS
             if any(figures.median(key, column[1]) is not None for key in keys)]
    lines = ["| scenario | store | server | " + " | ".join(column[0] for column in shown) + " |",
             "|---" * (3 + len(shown)) + "|"]
    for key in keys:
        cells = []
        for _, name, form in shown:
            value = figures.median(key, name)
            cells.append("-" if value is None else form.format(value))
        name = f"{key[0]} {key[3]}".strip()
        lines.append(f"| {name} | {key[1]} | {key[2]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def best(values, choose=max):
    known = [value for value in values if value is not None]
    return choose(known) if known else None


def goals(figures):
    """(what, goal, form, figure, reached) of each goal whose figures are there. For both event
    loops the worse one counts."""
    found = []

    def add(what, goal, form, value, at_most=False):
        if value is not None:
            reached = value <= goal if at_most else value >= goal
            found.append((what, ("at most " if at_most else "at least ") + form.format(goal),
                          form.format(value), "yes" if reached else "**no**"))

    def worst(make, choose=min):
        return best([make(loop) for loop in LOOPS], choose)

    def pg(loop, scenario="unique-256", label=""):
        return (scenario, "postgresql", loop, label)

    def lite(loop, scenario="unique-256", label=""):
        return (scenario, "sqlite", loop, label)

    add("unique, 256 connections, by COPY's rows/s", 0.5, "{:.2f}",
        worst(lambda loop: figures.ratio(pg(loop), pg(loop), other_name="copy_rows_per_s")))
    add("the same, by the best peer", 6, "{:.1f}", worst(lambda loop: best(
        [figures.ratio(pg(loop), pg(peer)) for peer in PEERS], min)))
    add("the same, by the first version's shape", 60, "{:.0f}",
        worst(lambda loop: figures.ratio(pg(loop), pg("fastapi"))))
    add("unique, SQLite by PostgreSQL", 1, "{:.2f}",
        worst(lambda loop: figures.ratio(lite(loop), pg(loop))))
    for loop in LOOPS:
        add(f"all repeats, one core, by nginx, {loop}", 1.2, "{:.2f}", figures.ratio(
            lite(loop, "all-repeats"), lite("nginx", "all-repeats")))
    add("Connection: close, unique, by nginx", 0.5, "{:.2f}", worst(lambda loop: figures.ratio(
        pg(loop, "close"), ("close", "none", "nginx", ""))))
    for name, goal in (("p50", 1.5), ("p99", 8)):
        add(f"{name} at half of the maximum rate, ms", goal, "{:.2f}", worst(
            lambda loop, name=name: figures.median(pg(loop, "half-rate"), f"{name}_ms"), max), True)
    add("p50 of one connection by one COMMIT", 1.3, "{:.2f}", worst(lambda loop: figures.ratio(
        pg(loop, "unique-1"), pg(loop, "unique-1"), "p50_ms", "commit_ms"), max), True)
    add("server CPU per durable postback, us", 8, "{:.1f}", worst(
        lambda loop: figures.median(pg(loop), "cpu_us_per_row"), max), True)
    for store, key in (("PostgreSQL", pg), ("SQLite", lite)):
        ratio = figures.ratio(key("io_uring"), key("epoll"))
        add(f"the slower event loop by the other, {store}", 0.9, "{:.2f}",
            min(ratio, 1 / ratio) if ratio else None)
    add("10,000 idle connections, MiB", 40, "{:.0f}", worst(
        lambda loop: figures.median(lite(loop, "idle-10000"), "idle_mib"), max), True)
    for store, key in (("PostgreSQL", pg), ("SQLite", lite)):
        add(f"100 partners at once by one, {store}", 0.7, "{:.2f}", worst(
            lambda loop, key=key: figures.ratio(key(loop, "partners-100"),
                                                key(loop, "partners-1"))))
        growth_goals(figures, key, store, add)
        add(f"load beside a purge by load without, {store}", 0.9, "{:.2f}", worst(
            lambda loop, key=key: figures.ratio(key(loop, "purge", "with"),
                                                key(loop, "purge", "without"))))
    rows = largest_table(figures)
    alone = figures.ratio(*(("growth-alone", "sqlite", "sqlite", f"{count:,} rows")
                            for count in (rows, 0)), "rows_per_s")
    if alone is not None:
        found.append((f"table of {rows:,} rows by an empty one, SQLite alone without a server", "-",
                      f"{alone:.2f}", "-"))
    return found


def largest_table(figures):
    return max((run["table_rows"] for (scenario, _, _, _), rounds in figures.by_key.items()
                if scenario == "growth" for run in rounds.values()), default=0)


def growth_goals(figures, key, store, add):
    rows = largest_table(figures)
    for loop in LOOPS if rows else ():
        full, empty = (key(loop, "growth", f"{count:,} rows") for count in (rows, 0))
        reads = key(loop, "growth-reads", f"{rows:,} rows")
        add(f"table of {rows:,} rows by an empty one, {store}", 0.8, "{:.2f}",
            figures.ratio(full, empty))
        for name, window in (("day", "a day"), ("all", "all")):
            add(f"/stats over {window} of {rows:,} rows, ms, {store}", 5, "{:.1f}",
                figures.median(reads, f"stats_{name}_ms"), True)
        add(f"/conversions at any depth of {rows:,} rows, ms, {store}", 5, "{:.1f}",
            figures.median(reads, "page_10_ms"), True)


def text(result):
    figures = Figures(result)
    machine = result["machine"]
    lines = [f"{result['date']}; {machine['cpus']} CPUs ({machine['model']}), kernel"
             f" {machine['kernel']}, {machine['system']}; `{result['command']}`; medians of"
             f" {result['rounds']} rounds of {result['seconds']} s (of table sizes and the purge,"
             " three times as many), errors of the worst."]
    lines += [f"Skipped: {skipped['subject']}: {skipped['why']}."
              for skipped in result["skipped"]]
    for title, wanted in (
            ("Throughput", lambda name: name not in ("rates", "half-rate", "idle-10000",
                                                     "purge") and not name.startswith("growth")),
            ("Latency at a fixed rate", lambda name: name in ("rates", "half-rate")),
            ("Idle connections", lambda name: name == "idle-10000"),
            ("Beside a purge", lambda name: name == "purge"),
            ("Table size", lambda name: name.startswith("growth"))):
        if any(wanted(key[0]) for key in figures.by_key):
            lines += ["", f"### {title}", "", table(figures, wanted)]
    reached = goals(figures)
    if reached:
        lines += ["", "### Goals", "", "| what | goal | figure | reached |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(goal) + " |" for goal in reached]
    return "\n".join(lines) + "\n"


def put_into(path, table_text):
    """Between the two marks of a document."""
    before, _, rest = path.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _, _, after = rest.partition("<!-- end of measured -->\n")
    path.write_text(f"{before}<!-- measured -->\n{table_text}\n<!-- end of measured -->\n{after}",
                    encoding="utf-8")


if __name__ == "__main__":
    print(text(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))), end="")
