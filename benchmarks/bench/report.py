"""Turns results into a section of docs/benchmarks.md and curves beside it."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from compare import Results, Sample

BEGIN, END = "<!-- bench: begin, written by benchmarks/bench -->", "<!-- bench: end -->"
OURS, PEER = "cargo xtask", "podman-compose"
VERBS = {
    "deploy": "deploy",
    "noop": "deploy with nothing to do",
    "down": "down",
    "ask": "health of all",
    "probe": "health of all, inside the tool",
}
CASES = {
    "plan-groups": "Eight agents in the plan's order",
    "plan-dependencies": "Eight agents by dependencies",
    "waves": "Agents in waves of eight",
    "broken": "An agent that cannot start: time until the tool says so",
    "scan": "Scan of a generated tree",
}
COLOURS = ["#0b6bcb", "#d1495b", "#2e8b57", "#8a5cc2", "#b8860b"]


@dataclass(frozen=True)
class Figure:
    """What was measured of one tool at one thing."""

    median: float
    least: float
    most: float
    rounds: int
    peak_mb: float
    problem: str
    note: str

    def __str__(self) -> str:
        if not self.rounds:
            return self.problem or "–"
        return f"{digits(self.median)} ({digits(self.least)}–{digits(self.most)})"


def digits(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"


def figure(samples: list[Sample]) -> Figure | None:
    """The figure of samples of one kind; failures are told and do not count."""
    if not samples:
        return None
    good = [sample.seconds for sample in samples if not sample.problem]
    problems = [sample.problem for sample in samples if sample.problem]
    notes = sorted({sample.note for sample in samples if sample.note})
    peak = max(sample.peak_mb for sample in samples)
    spread = (statistics.median(good), min(good), max(good)) if good else (math.nan, math.nan, math.nan)
    return Figure(*spread, len(good), peak, problems[0] if problems else "", "; ".join(notes))


@dataclass
class Report:
    """Results, looked up by what they are of."""

    results: Results

    def of(self, case: str, size: int, verb: str, tool: str) -> Figure | None:
        wanted = (case, size, verb, tool)
        return figure([s for s in self.results.samples if (s.case, s.size, s.verb, s.tool) == wanted])

    def distinct(self, key: Callable[[Sample], str], **only: object) -> list[str]:
        """Values in order of appearance."""
        chosen = (s for s in self.results.samples if all(getattr(s, name) == value for name, value in only.items()))
        return list(dict.fromkeys(key(sample) for sample in chosen))

    def tools(self, case: str) -> list[str]:
        """Those of a case, ours first."""
        return sorted(self.distinct(lambda s: s.tool, case=case), key=lambda tool: not tool.startswith(OURS))

    def sizes(self, case: str) -> list[int]:
        return sorted(int(size) for size in self.distinct(lambda s: str(s.size), case=case))

    def median(self, case: str, size: int, verb: str, tool: str = OURS) -> float:
        found = self.of(case, size, verb, tool)
        return found.median if found else math.nan

    def markdown(self) -> str:
        """The whole section, without its markers."""
        lines = ["### Conditions", "", "| | |", "|---|---|"]
        lines += [f"| {key} | {value} |" for key, value in self.results.facts.items()]
        lines += [""] + [f"- {note}" for note in dict.fromkeys(self.results.notes)] + [""]
        for case, title in CASES.items():
            if self.sizes(case):
                lines += [f"### {title}", "", *self.table(case), ""]
        for verb in self.curves():
            lines += [f"![{VERBS[verb]}: seconds by number of agents](bench-{verb}.svg)", ""]
        return "\n".join([*lines, *self.goals()]).rstrip() + "\n"

    def table(self, case: str) -> list[str]:
        """Medians with their spread; the ratio is a tool's median over ours."""
        lines = [
            "| what | tool | seconds, median (least–most) | rounds | times ours | resident MB |",
            "|---|---|---|---|---|---|",
        ]
        ours = self.tools(case)[0]
        for size in self.sizes(case):
            for verb in self.distinct(lambda s: s.verb, case=case, size=size):
                mine = self.median(case, size, verb, ours)
                for tool in self.tools(case):
                    found = self.of(case, size, verb, tool)
                    if not found:
                        continue
                    what = f"{size} {'files' if case == 'scan' else 'agents'}: {VERBS.get(verb, verb)}"
                    remarks = [found.note, found.problem if found.rounds else ""]
                    told = "".join(f"; {remark}" for remark in remarks if remark)
                    peak = f"{found.peak_mb:.0f}" if found.peak_mb else "–"
                    ratio = f"{found.median / mine:.2f}" if found.rounds and mine > 0 else "–"
                    lines.append(
                        f"| {what} | {tool} | {found}{told} | {found.rounds} | {ratio} | {peak} |".replace("\n", " ")
                    )
        return lines

    def goals(self) -> list[str]:
        """What the project aims at, and whether it is met; only what was measured."""
        sizes = self.sizes("waves")
        largest = sizes[-1] if sizes else 0
        peak = max((s.peak_mb for s in self.results.samples if s.size == largest and s.tool == OURS), default=math.nan)

        def against(case: str, verb: str) -> float:
            return self.median(case, 8, verb, PEER) / self.median(case, 8, verb)

        rows = [
            (
                f"eight agents in the plan's order, gated, against {PEER}",
                against("plan-groups", "deploy"),
                2.2,
                True,
                "×",
            ),
            (f"eight agents by dependencies, against {PEER}", against("plan-dependencies", "deploy"), 3.0, True, "×"),
            (f"nothing to do, eight agents, against {PEER}", against("plan-groups", "noop"), 8.0, True, "×"),
            ("deploy of 192 over deploy of 64", self.growth("deploy"), 3.3, False, "×"),
            ("down of 192 over down of 64", self.growth("down"), 4.0, False, "×"),
            ("resident memory with 192 agents", peak if largest == 192 else math.nan, 60.0, False, "MB"),
            ("192 agents asked", self.median("waves", 192, "probe") * 1000, 80.0, False, "ms"),
        ]
        told = [row for row in rows if not math.isnan(row[1])]
        if not told:
            return []
        lines = ["### Against the goals", "", "| figure | goal | measured | met |", "|---|---|---|---|"]
        for what, value, goal, at_least, unit in told:
            met = value >= goal if at_least else value <= goal
            sign = "≥" if at_least else "≤"
            lines.append(f"| {what} | {sign} {goal:g} {unit} | {value:.2f} {unit} | {'yes' if met else 'no'} |")
        return lines

    def growth(self, verb: str) -> float:
        return self.median("waves", 192, verb) / self.median("waves", 64, verb)

    def curves(self) -> dict[str, str]:
        """SVG files by verb, if there are at least two sizes to draw a line through."""
        if len(self.sizes("waves")) < 2:
            return {}
        return {verb: self.curve(verb) for verb in ("deploy", "noop", "down")}

    def curve(self, verb: str) -> str:
        sizes = self.sizes("waves")
        series = {}
        for tool in self.tools("waves"):
            points = [(size, self.of("waves", size, verb, tool)) for size in sizes]
            series[tool] = [(size, found) for size, found in points if found and found.rounds]
        return drawn(f"{VERBS[verb]}: seconds by number of agents", sizes, {t: p for t, p in series.items() if p})


def drawn(title: str, sizes: list[int], series: dict[str, list[tuple[int, Figure]]]) -> str:
    """A chart with logarithmic axes: a line through the medians, a bar from the least to the most."""
    width, height, left, right, top, bottom = 640, 360, 60, 170, 40, 44
    values = [v for points in series.values() for _, found in points for v in (found.least, found.most)] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    high = max(high, low + 1)
    span = math.log(sizes[-1] / sizes[0])

    def x(size: int) -> float:
        return left + (width - left - right) * math.log(size / sizes[0]) / span

    def y(seconds: float) -> float:
        return height - bottom - (height - top - bottom) * (math.log10(seconds) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="22" font-size="14">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        level = y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{width - right}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{level + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
    for size in sizes:
        parts.append(f'<text x="{x(size):.1f}" y="{height - 20}" text-anchor="middle">{size}</text>')
    for points, colour in zip(series.values(), COLOURS, strict=False):
        path = " ".join(f"{x(size):.1f},{y(found.median):.1f}" for size, found in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for size, found in points:
            at = f"{x(size):.1f}"
            parts.append(
                f'<line x1="{at}" x2="{at}" y1="{y(found.least):.1f}" y2="{y(found.most):.1f}" stroke="{colour}"/>'
            )
            parts.append(f'<circle cx="{at}" cy="{y(found.median):.1f}" r="3" fill="{colour}"/>')
    for (tool, end), colour in zip(labels(series, y), COLOURS, strict=False):
        parts.append(f'<text x="{width - right + 10}" y="{end:.1f}" fill="{colour}">{escape(tool)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def labels(series: dict[str, list[tuple[int, Figure]]], y: Callable[[float], float]) -> list[tuple[str, float]]:
    """Where each line's name stands: at its end, and no two on each other. In the order of the series."""
    wanted = sorted((y(points[-1][1].median) + 4, tool) for tool, points in series.items())
    placed: dict[str, float] = {}
    last = -math.inf
    for at, tool in wanted:
        last = max(at, last + 15)
        placed[tool] = last
    return [(tool, placed[tool]) for tool in series]


def write(results: Results, document: Path) -> list[Path]:
    """Replaces what stands between the markers, appends it if there are none; writes the curves beside it."""
    report = Report(results)
    text = document.read_text()
    section = f"{BEGIN}\n\n{report.markdown()}\n{END}"
    if BEGIN in text and END in text:
        before, _, rest = text.partition(BEGIN)
        text = before + section + rest.partition(END)[2]
    else:
        text = f"{text.rstrip()}\n\n## Side by side with other tools\n\n    python3 benchmarks/bench\n\n{section}\n"
    document.write_text(text)
    written = [document]
    for verb, svg in report.curves().items():
        path = document.parent / f"bench-{verb}.svg"
        path.write_text(svg)
        written.append(path)
    return written
