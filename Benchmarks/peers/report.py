"""What a comparison says: summaries, a table, files and a chart."""

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
    # The largest difference between the two, relative to the largest value.
    difference: float
    keel: Samples
    torch: dict[str, Samples]

    @property
    def layout(self) -> str:
        """The memory format that PyTorch is fastest in here, by its least time."""
        return min(self.torch, key=lambda layout: min(self.torch[layout]))

    @property
    def speedup(self) -> float:
        """PyTorch's time over Keel's: the median over rounds of the ratio within a round."""
        return median(a / b for a, b in zip(self.torch[self.layout], self.keel, strict=True))

    @property
    def speedup_of_minima(self) -> float:
        """PyTorch's least time over Keel's."""
        return min(self.torch[self.layout]) / min(self.keel)

    def entry(self) -> dict[str, Any]:
        """All there is to know, for JSON; times are seconds."""
        times = {"keel": self.keel} | {f"torch_{name}": s for name, s in self.torch.items()}
        return {
            "line": self.line.name,
            "pass": self.which,
            "threads": self.threads,
            **self.line.shape.figures,
            "difference": self.difference,
            "torch_layout": self.layout,
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
    """The one object of `--json`. Speedups are PyTorch's time over Keel's: above 1 Keel is faster."""
    passes = {
        which: _summary([result for result in results if result.which == which])
        for which in dict.fromkeys(result.which for result in results)
    }
    return {
        "suite": suite,
        "machine": machine,
        "threads": sorted({result.threads for result in results}),
        "rounds": rounds,
        **_summary(results),
        "passes": passes,
        "lines": [result.entry() for result in results],
    }


_TITLES = (
    "line", "pass", "Keel min", "median", "torch min", "median", "layout", "of minima", "paired",
)  # fmt: skip


def _rows(results: list[Result]) -> list[tuple[str, ...]]:
    return [
        (
            result.line.name, result.which.replace("_", " "),
            f"{min(result.keel) * 1e3:.3f}", f"{median(result.keel) * 1e3:.3f}",
            f"{min(result.torch[result.layout]) * 1e3:.3f}",
            f"{median(result.torch[result.layout]) * 1e3:.3f}",
            result.layout, f"{result.speedup_of_minima:.2f}", f"{result.speedup:.2f}",
        )
        for result in results
    ]  # fmt: skip


def text(document: dict[str, Any], results: list[Result]) -> str:
    """A table in Markdown with aligned columns, milliseconds; under it the means."""
    rows = [_TITLES, *_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    left = {_TITLES.index(name) for name in ("line", "pass", "layout")}

    def drawn(cells: tuple[str, ...]) -> str:
        padded = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if column in left else "-" * (width + 1) + ":"
        for column, width in enumerate(widths)
    ) + "|"  # fmt: skip
    return "\n".join(
        [_head(document), "", drawn(rows[0]), rule, *map(drawn, rows[1:]), "", _means(document)]
    )


def _head(document: dict[str, Any]) -> str:
    machine = document["machine"]
    threads = " and ".join(map(str, document["threads"]))
    load = f", load {machine['load_average']:.1f} at the start" if "load_average" in machine else ""
    return "\n".join(
        [
            f"# {document['suite']}: Keel and PyTorch, {threads} thread(s)",
            "",
            f"- CPU: {machine['cpu']}, {machine['processors']} processors{load}",
            f"- Keel: {machine['build']} build; OpenBLAS {machine['blas_version']}, core"
            f" {machine['blas_core']} ({machine['blas_core_choice']})",
            f"- PyTorch {machine['torch']}, {machine['torch_capability']},"
            f" {machine['torch_waiting']}; torch.compile {machine['torch_compile']}",
            f"- {machine['date']}, {document['rounds']} rounds; milliseconds; speedups are PyTorch's"
            " time over Keel's",
        ]
    )


def _means(document: dict[str, Any]) -> str:
    rows = [*document["passes"].items(), ("overall", document)]
    lines = [
        "| pass | geometric mean, paired | of minima | least, paired | where | of minima"
        " | Keel faster |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for name, summary in rows:
        lines.append(
            f"| {name.replace('_', ' ')} | {summary['geomean_speedup']:.2f}"
            f" | {summary['geomean_speedup_of_minima']:.2f} | {summary['min_speedup']:.2f}"
            f" | {summary['min_speedup_line']} | {summary['min_speedup_of_minima']:.2f}"
            f" | {summary['keel_faster']} of {summary['count']} |"
        )
    return "\n".join(lines)


def write(folder: pathlib.Path, document: dict[str, Any], results: list[Result]) -> list[pathlib.Path]:
    """Writes <suite>-<threads>.json and .md, and .png where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{document['suite']}-{'-'.join(map(str, document['threads']))}"
    files = [folder / f"{stem}.json", folder / f"{stem}.md"]
    files[0].write_text(json.dumps(document, indent=2) + "\n")
    files[1].write_text(text(document, results) + "\n")
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
        panel.set_xlabel("speedup of Keel over PyTorch")
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
