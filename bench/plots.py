"""Plots of the raw figures as SVG, with the standard library alone: three line charts need no
package, and the files are the same for the same figures.

    plots.py results.json FOLDER
"""

import json
import math
import pathlib
import sys
from xml.sax.saxutils import escape

from report import Figures

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 40, 55
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")


class Axis:
    """Places values on a line of pixels, by their logarithm where they span powers of ten."""

    def __init__(self, values, start, end, logarithmic):
        self.logarithmic = logarithmic
        self.start, self.end = start, end
        if logarithmic:
            low = math.floor(math.log10(min(values)))
            self.low, self.high = low, max(low + 1, math.ceil(math.log10(max(values))))
        else:
            self.low, self.high = 0, max(values) * 1.05 or 1

    def place(self, value):
        position = math.log10(value) if self.logarithmic else value
        share = (position - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        if self.logarithmic:
            return [10 ** power for power in range(self.low, self.high + 1)]
        step = 10 ** math.floor(math.log10(self.high))
        step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2)
                    if self.high / (step * part) <= 8)
        return [index * step for index in range(int(self.high / step) + 1)]


def number(value):
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"


def chart(title, x_title, y_title, series, log_x=False, log_y=False, x_values=None):
    """`series`: name to a list of (x, y). `x_values`: where the x axis has its ticks."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_axis = Axis(xs, LEFT, WIDTH - RIGHT, log_x)
    y_axis = Axis(ys, HEIGHT - BOTTOM, TOP, log_y)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
           f' viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>']
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        out += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
                ' stroke="#dddddd"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>']
    for tick in x_values or x_axis.ticks():
        x = x_axis.place(tick)
        out += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
                ' stroke="#eeeeee"/>',
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                f'{number(tick)}</text>']
    out += [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
            f'{escape(x_title)}</text>',
            f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"'
            f' text-anchor="middle">{escape(y_title)}</text>']
    for index, (name, points) in enumerate(series.items()):
        out += line(name, sorted(points), index, x_axis, y_axis)
    return "\n".join([*out, "</svg>"]) + "\n"


def line(name, points, index, x_axis, y_axis):
    colour = COLOURS[index % len(COLOURS)]
    # Those past the colours are told by dashes.
    dash = ' stroke-dasharray="6 3"' if index >= len(COLOURS) else ""
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    y = TOP + 10 + index * 18
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
            f'<line x1="{WIDTH - RIGHT + 12}" x2="{WIDTH - RIGHT + 36}" y1="{y}" y2="{y}"'
            f' stroke="{colour}" stroke-width="2"{dash}/>',
            f'<text x="{WIDTH - RIGHT + 42}" y="{y + 4}">{escape(name)}</text>']


def collect(figures, wanted, x_of, y_name):
    """Series by server and store, of the medians."""
    series = {}
    for key, rounds in figures.by_key.items():
        value = figures.median(key, y_name)
        if not wanted(key[0]) or not value:
            continue
        name = key[2] if key[2] not in ("io_uring", "epoll") else f"{key[2]}, {key[1]}"
        series.setdefault(name, []).append((x_of(next(iter(rounds.values()))), value))
    return series


def draw(result, folder):
    """Writes those plots for which there are figures."""
    figures = Figures(result)
    plots = [
        ("throughput_over_connections", "Durable unique postbacks per second", "connections",
         "postbacks/s", collect(figures, lambda name: name.startswith("unique-"),
                                lambda run: run["connections"], "answers_per_s"),
         {"log_x": True, "log_y": True, "x_values": (1, 64, 256, 1024)})]
    for name, title in (("p50_ms", "Median"), ("p99_ms", "99th percentile of the")):
        plots.append((f"latency_{name[:3]}_over_rate",
                      f"{title} latency from when a postback was due",
                      "offered postbacks/s", "ms",
                      collect(figures, lambda name: name == "rates", lambda run: run["rate"], name),
                      {"log_y": True}))
    plots.append(("throughput_over_table_size", "Durable unique postbacks per second",
                  "rows in the table before", "postbacks/s",
                  collect(figures, lambda name: name == "growth", lambda run: run["table_rows"],
                          "answers_per_s"), {}))
    for name, title, x_title, y_title, series, options in plots:
        if series:
            path = pathlib.Path(folder) / f"{name}.svg"
            path.write_text(chart(title, x_title, y_title, series, **options), encoding="utf-8")


if __name__ == "__main__":
    draw(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])
