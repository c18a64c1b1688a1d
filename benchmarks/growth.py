"""
How requests, storing time and memory grow with the number of sessions, drawn as a picture.

Measures all of it in one run and writes ``docs/benchmarks-growth.json`` and ``docs/benchmarks-growth.svg``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import harness
import memory
import requests_count
import storing

FIGURES: Final = harness.ROOT / "docs" / "benchmarks-growth.json"
PICTURE: Final = harness.ROOT / "docs" / "benchmarks-growth.svg"
CHANGED: Final = 100
ROUNDS: Final = 3
OURS: Final = "this app"
REQUESTS: Final = f"Requests to bring {CHANGED} changed sessions up to date"
STORING: Final = "Milliseconds to store one new session with 3 checks (SQLite)"
MEMORY: Final = "Peak memory of a first run, MiB"

Series = dict[str, list[float]]

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 200, 70, 64, 84
STYLE: Final = """
  .ground { fill: #ffffff; } text { fill: #1f2328; font: 13px system-ui, sans-serif; }
  .small { font-size: 12px; fill: #59636e; } .grid { stroke: #d1d9e0; } .title { font-weight: 600; }
  .ours { stroke: #0757ba; fill: #0757ba; } .other { stroke: #a8480a; fill: #a8480a; }
  text.ours, text.other { stroke: none; } polyline { fill: none !important; stroke-width: 2.5; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; } text { fill: #f0f6fc; } .small { fill: #9198a1; }
    .grid { stroke: #3d444d; } .ours { stroke: #71b7ff; fill: #71b7ff; }
    .other { stroke: #ffa657; fill: #ffa657; }
  }
"""


@dataclass(frozen=True)
class Panel:
    """One chart: its title, its lines over the sizes, and whether its scale is logarithmic."""

    title: str
    sizes: Sequence[int]
    series: Series
    logarithmic: bool

    def y(self, value: float) -> float:
        """Return where a value stands, as a share of the height."""
        low, high = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            return (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return (value - low) / (high - low)

    @property
    def ticks(self) -> list[float]:
        values = [value for line in self.series.values() for value in line]
        if self.logarithmic:
            low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
            return [10.0**power for power in range(low, high + 1)]
        step = 10.0 ** math.floor(math.log10(max(values)))
        step = next(s for s in (step / 5, step / 2, step) if max(values) <= 5 * s or s == step)
        return [step * number for number in range(math.ceil(max(values) / step) + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the growth with size.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--draw-only", action="store_true", help="from the figures of the last run")
    arguments = parser.parse_args()
    if not arguments.draw_only:
        figures = measure(arguments.sizes)
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    figures = json.loads(FIGURES.read_text())
    PICTURE.write_text(draw(figures))
    print(figures["machine"])
    for title in (REQUESTS, STORING, MEMORY):
        print(f"\n{title}")
        rows = [[name, *(f"{v:.4g}" for v in line)] for name, line in figures[title].items()]
        harness.table(["sessions", *map(str, figures["sizes"])], rows)
    print(f"\n{PICTURE.relative_to(harness.ROOT)} is drawn.")


def measure(sizes: Sequence[int]) -> dict[str, Any]:
    counts = [requests_count.measure(size, CHANGED) for size in sizes]
    stored = [_storing(size) for size in sizes]
    return {
        "machine": harness.machine(),
        "sizes": list(sizes),
        REQUESTS: {
            OURS: [count["incremental run"] for count in counts],
            "the vendor's package": [count["vendor's package"] for count in counts],
        },
        STORING: {
            OURS: [one["store_batch"] for one in stored],
            "update_or_create per row": [one["update_or_create"] for one in stored],
        },
        MEMORY: {OURS: [memory.measure(size) for size in sizes]},
    }


def _storing(size: int) -> dict[str, float]:
    with harness.temporary_database("sqlite") as database:
        return dict(harness.run_worker(Path(__file__), size, database=database))


def _work(size: int) -> None:
    """Time both ways of adding sessions to a copy that holds ``size`` of them already."""
    harness.setup_django()
    storing.store_in_batches(storing.copies(size))
    times: dict[str, list[float]] = {way: [] for way in storing.WAYS}
    first = size
    for _ in range(ROUNDS):
        for way in storing.WAYS:
            new = storing.copies(storing.BATCH, first=first)
            first += storing.BATCH
            times[way].append(1000 / storing.rate(way, new))
    harness.report({way: statistics.median(found) for way, found in times.items()})


def draw(figures: dict[str, Any]) -> str:
    """Return the picture as SVG."""
    panels = [
        Panel(title, figures["sizes"], figures[title], logarithmic)
        for title, logarithmic in ((REQUESTS, True), (STORING, True), (MEMORY, False))
    ]
    return draw_panels(panels, "Requests, storing time and memory against the number of sessions")


def draw_panels(panels: Sequence[Panel], label: str) -> str:
    """Return charts below each other as SVG."""
    height = TOP + len(panels) * (HEIGHT + GAP) - 44
    charts = "\n".join(
        f'<g transform="translate({LEFT},{TOP + index * (HEIGHT + GAP)})">{_chart(panel)}</g>'
        for index, panel in enumerate(panels)
    )
    total = LEFT + WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" '
        f'height="{height}" role="img" aria-label="{label}">\n<style>{STYLE}</style>\n'
        f'<rect class="ground" width="{total}" height="{height}" rx="8"/>\n{charts}\n</svg>\n'
    )


def _chart(panel: Panel) -> str:
    x = _across(panel.sizes)
    parts = [f'<text class="title" x="0" y="-22">{panel.title}</text>']
    for tick in panel.ticks:
        y = _down(panel, tick)
        parts.append(f'<line class="grid" x1="0" x2="{WIDTH - 190}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="small" x="-8" y="{y + 4}" text-anchor="end">{_short(tick)}</text>'
        )
    for size in panel.sizes:
        parts.append(
            f'<text class="small" x="{x(size)}" y="{HEIGHT + 20}" text-anchor="middle">{size:,}</text>'
        )
    parts.append(f'<text class="small" x="{WIDTH - 174}" y="{HEIGHT + 20}">sessions</text>')
    for (name, line), css in zip(panel.series.items(), ("ours", "other"), strict=False):
        parts += _line(panel, name, line, css)
    return "\n".join(parts)


def _line(panel: Panel, name: str, line: Sequence[float], css: str) -> list[str]:
    x = _across(panel.sizes)
    points = [(x(s), _down(panel, v)) for s, v in zip(panel.sizes, line, strict=True)]
    path = " ".join(f"{left},{down}" for left, down in points)
    dots = [f'<circle class="{css}" cx="{left}" cy="{down}" r="4"/>' for left, down in points]
    values = [
        f'<text class="{css}" x="{left}" y="{down - 10}" text-anchor="middle">{_short(value)}</text>'
        for (left, down), value in zip(points, line, strict=True)
    ]
    last = points[-1]
    named = f'<text class="{css}" x="{last[0] + 30}" y="{last[1] + 4}">{name}</text>'
    return [f'<polyline class="{css}" points="{path}"/>', *dots, *values, named]


def _across(sizes: Sequence[int]) -> Callable[[int], float]:
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    span = WIDTH - 260
    return lambda size: round(40 + span * (math.log10(size) - low) / (high - low or 1), 1)


def _down(panel: Panel, value: float) -> float:
    return round(HEIGHT * (1 - panel.y(value)), 1)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.2g}"


def _work_as_told() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("size", type=int)
    _work(parser.parse_args().size)


if __name__ == "__main__":
    _work_as_told() if harness.is_worker() else main()
