"""What a comparison says: summaries, files and a chart."""

from __future__ import annotations

import json
import math
import pathlib
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

# Samples of one contender, seconds of one run each, one per round.
Samples = list[float]


class Shape(Protocol):
    """What is compared, with its size for JSON."""

    @property
    def figures(self) -> dict[str, Any]: ...

    def results(self, which: str) -> dict[str, tuple[tuple[int, ...], int]]: ...


class Line(Protocol):
    """A line of a suite: what `--lines` matches, and what is compared."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> Shape: ...


@dataclass(frozen=True)
class Result:
    """The times of one pass of one line."""

    line: Line
    which: str
    threads: int
    # The largest difference of Keel's results from the first peer's, relative to the largest value.
    difference: float
    keel: Samples
    peers: dict[str, Samples]
    # What means are taken over beside the pass.
    group: str | None
    # Errors against what is exact: `torch`, and Keel's in each mode.
    errors: dict[str, float]

    @property
    def fastest(self) -> str:
        """The peer that is fastest here, by its median."""
        return min(self.peers, key=lambda peer: median(self.peers[peer]))

    @property
    def speedup(self) -> float:
        """The fastest peer's time over Keel's: the median over rounds of the ratio within a round."""
        return median(a / b for a, b in zip(self.peers[self.fastest], self.keel, strict=True))

    @property
    def speedup_of_minima(self) -> float:
        """The least time of any peer over Keel's."""
        return min(map(min, self.peers.values())) / min(self.keel)

    @property
    def error_ratios(self) -> dict[str, float]:
        """Keel's errors over PyTorch's own, of each mode."""
        floor = max(self.errors.get("torch", 0.0), 1e-9)
        return {mode: error / floor for mode, error in self.errors.items() if mode != "torch"}

    def entry(self) -> dict[str, Any]:
        """All there is to know, for JSON; times are seconds."""
        times = {"keel": self.keel} | self.peers
        return {
            "line": self.line.name,
            "pass": self.which,
            "threads": self.threads,
            **self.line.shape.figures,
            "difference": self.difference,
            **{f"error_{name}": error for name, error in self.errors.items()},
            "fastest_peer": self.fastest,
            "speedup": self.speedup,
            "speedup_of_minima": self.speedup_of_minima,
            "minimum": {name: min(samples) for name, samples in times.items()},
            "median": {name: median(samples) for name, samples in times.items()},
        }


def _mean(numbers: list[float]) -> float:
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def _summary(results: list[Result]) -> dict[str, Any]:
    speedups = [result.speedup for result in results]
    slowest = min(results, key=lambda result: result.speedup)
    return {
        "geomean_speedup": _mean(speedups),
        "geomean_speedup_of_minima": _mean([result.speedup_of_minima for result in results]),
        "min_speedup": slowest.speedup,
        "min_speedup_line": slowest.line.name,
        "min_speedup_of_minima": min(result.speedup_of_minima for result in results),
        "keel_faster": sum(speedup > 1 for speedup in speedups),
        "count": len(results),
    }


def report(suite: str, machine: dict[str, Any], rounds: int, results: list[Result]) -> dict[str, Any]:
    """The one object of `--json`. Speedups are the fastest peer's time over Keel's: above 1 Keel is faster."""
    passes = {
        which: _summary([result for result in results if result.which == which])
        for which in dict.fromkeys(result.which for result in results)
    }
    groups = {
        group: _summary([result for result in results if result.group == group])
        for group in dict.fromkeys(result.group for result in results)
        if group is not None
    }
    modes = {mode: None for result in results for mode in result.error_ratios}
    ratios = {mode: max(result.error_ratios[mode] for result in results) for mode in modes}
    return {
        "suite": suite,
        "machine": machine,
        "threads": sorted({result.threads for result in results}),
        "rounds": rounds,
        **_summary(results),
        "passes": passes,
        "groups": groups,
        **{f"max_error_{mode}_over_torch": ratio for mode, ratio in ratios.items()},
        "lines": [result.entry() for result in results],
    }


def write(
    folder: pathlib.Path, document: dict[str, Any], results: list[Result], text: str
) -> list[pathlib.Path]:
    """Writes <suite>-<threads>.json and, of the text, .md, and .png where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{document['suite']}-{'-'.join(map(str, document['threads']))}"
    files = [folder / f"{stem}.json", folder / f"{stem}.md"]
    files[0].write_text(json.dumps(document, indent=2) + "\n")
    files[1].write_text(text + "\n")
    chart = folder / f"{stem}.png"
    return files + [chart] if _draw(chart, document, results) else files


def _draw(file: pathlib.Path, document: dict[str, Any], results: list[Result]) -> bool:
    """One panel per pass, one bar per line; False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    passes = list(document["passes"])
    names = list(dict.fromkeys(result.line.name for result in results))
    figure, panels = pyplot.subplots(
        1, len(passes), sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(4 + 3.2 * len(passes), 2 + 0.17 * len(names)),
    )  # fmt: skip
    for panel, which in zip(panels[0], passes, strict=True):
        chosen = [result for result in results if result.which == which]
        speedups = [result.speedup for result in chosen]
        colors = ["tab:blue" if speedup >= 1 else "tab:orange" for speedup in speedups]
        # Ratios: twice as fast is as far from 1 as half as fast.
        panel.barh(
            [names.index(result.line.name) for result in chosen],
            [speedup - 1 for speedup in speedups], left=1, color=colors,
        )  # fmt: skip
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.axvline(1, color="black", linewidth=0.8)
        panel.set_title(
            f"{which.replace('_', ' ')}\nmean {_mean(speedups):.2f}, least {min(speedups):.2f}"
        )
        panel.set_xlabel("speedup of Keel over the fastest peer")
        panel.grid(axis="x", alpha=0.3)
        panel.margins(y=0.5 / max(len(names), 1))
    panels[0][0].set_yticks(range(len(names)), names, fontsize=7)
    panels[0][0].invert_yaxis()
    machine = document["machine"]
    threads = ", ".join(map(str, document["threads"]))
    figure.suptitle(
        f"{document['suite']}, {threads} thread(s), {machine['cpu']}, PyTorch {machine['torch']}"
    )
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
    return True
