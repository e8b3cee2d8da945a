"""What bench/run makes of its raw figures: ratios hold within a round only, and goals are judged."""

import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree as tree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import plots  # pylint: disable=wrong-import-position
import report  # pylint: disable=wrong-import-position


def run(scenario, subject, round_number, answers_per_s, store="postgresql", **more):
    return {"scenario": scenario, "store": store, "subject": subject, "round": round_number,
            "connections": 256, "answers_per_s": answers_per_s, "answers": 1, "not_200": 0,
            "broken": 0, **more}


def result(runs):
    return {"date": "2026-01-01", "command": "bench/run", "rounds": 3, "seconds": 1, "skipped": [],
            "machine": {"cpus": 2, "model": "m", "kernel": "k", "system": "s"}, "runs": runs}


class Report(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        # The machine is slow in round 1 and fast in round 2, for both.
        figures = report.Figures(result([
            run("unique-256", "io_uring", 0, 800), run("unique-256", "go", 0, 100),
            run("unique-256", "io_uring", 1, 80), run("unique-256", "go", 1, 20),
            run("unique-256", "io_uring", 2, 9000), run("unique-256", "go", 2, 1000)]))
        server, peer = (("unique-256", "postgresql", name, "") for name in ("io_uring", "go"))
        self.assertEqual(figures.ratio(server, peer), 8)
        self.assertEqual(figures.median(server, "answers_per_s"), 800)
        self.assertIsNone(figures.ratio(server, ("close", "postgresql", "go", "")))

    def goal(self, runs, what):
        found = [goal for goal in report.goals(report.Figures(result(runs))) if what in goal[0]]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_the_slower_event_loop_and_the_best_peer_decide(self):
        runs = [run("unique-256", "io_uring", 0, 900), run("unique-256", "epoll", 0, 600),
                run("unique-256", "go", 0, 100), run("unique-256", "node", 0, 50)]
        self.assertEqual(self.goal(runs, "best peer")[2:], ("6.0", "yes"))
        runs[2]["answers_per_s"] = 120
        self.assertEqual(self.goal(runs, "best peer")[2:], ("5.0", "**no**"))

    def test_sqlite_alone_stands_beside_the_growth_and_is_no_goal(self):
        runs = []
        for rows, server, alone in ((0, 900, 1000), (7, 600, 500)):
            table = {"label": f"{rows:,} rows", "table_rows": rows}
            runs += [run("growth", "epoll", 0, server, "sqlite", **table),
                     run("growth-alone", "sqlite", 0, 0, "sqlite", rows_per_s=alone, **table)]
        self.assertEqual(self.goal(runs[:1] + runs[2:3], "table of 7 rows")[2:], ("0.67", "**no**"))
        self.assertEqual(self.goal(runs, "SQLite alone"),
                         ("table of 7 rows by an empty one, SQLite alone without a server", "-", "0.50",
                          "-"))

    def test_load_beside_a_purge_may_be_a_tenth_less(self):
        runs = [run("purge", "io_uring", number, answers, "sqlite", label=label)
                for number, pair in enumerate(((1000, 900), (500, 460), (100, 40)))
                for label, answers in zip(("without", "with"), pair)]
        self.assertEqual(self.goal(runs, "beside a purge"),
                         ("load beside a purge by load without, SQLite", "at least 0.90", "0.90",
                          "yes"))

    def test_the_table_shows_the_worst_rounds_errors(self):
        text = report.text(result([run("close", "epoll", 0, 10), run("close", "epoll", 1, 30),
                                   {**run("close", "epoll", 2, 20), "not_200": 3}]))
        self.assertIn("| close | postgresql | epoll | 20 | 3 |", text)

    def test_the_table_goes_between_the_marks_of_the_document(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "README.md"
            path.write_text("a\n<!-- measured -->\nold\n<!-- end of measured -->\nb\n")
            report.put_into(path, "new\n")
            self.assertEqual(path.read_text(), "a\n<!-- measured -->\nnew\n\n"
                             "<!-- end of measured -->\nb\n")


class Plots(unittest.TestCase):
    def test_each_series_is_a_line_with_a_point_per_value(self):
        runs = [run("unique-256", "epoll", number, 1000 * number + 1000) for number in range(3)]
        runs += [{**run("unique-1", "epoll", 0, 700), "connections": 1},
                 run("growth", "epoll", 0, 5000, table_rows=0, label="0 rows"),
                 run("rates", "go", 0, 480, rate=500, p50_ms=1.5, p99_ms=20, label="500/s")]
        with tempfile.TemporaryDirectory() as folder:
            plots.draw(result(runs), folder)
            drawn = {path.stem: tree.parse(path) for path in pathlib.Path(folder).iterdir()}
        self.assertEqual(sorted(drawn), [
            "latency_p50_over_rate", "latency_p99_over_rate", "throughput_over_connections",
            "throughput_over_table_size"])
        space = "{http://www.w3.org/2000/svg}"
        lines = drawn["throughput_over_connections"].findall(f"{space}polyline")
        self.assertEqual([len(line.get("points").split()) for line in lines], [2])


if __name__ == "__main__":
    unittest.main()
