"""A comparison as text in Markdown, its columns aligned."""

from __future__ import annotations

from statistics import median
from typing import Any

from report import Result

_LEFT = ("line", "what", "pass", "fastest peer", "where", "geometric mean")


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table, numbers to the right."""
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    left = [title in _LEFT for title in titles]

    def drawn(cells: tuple[str, ...]) -> str:
        padded = (
            cell.ljust(width) if aligned else cell.rjust(width)
            for aligned, cell, width in zip(left, cells, widths, strict=True)
        )
        return "| " + " | ".join(padded) + " |"

    rule = "|".join(
        "-" * (width + 2) if aligned else "-" * (width + 1) + ":"
        for aligned, width in zip(left, widths, strict=True)
    )
    return "\n".join([drawn(titles), f"|{rule}|", *map(drawn, rows)])


def text(document: dict[str, Any], results: list[Result]) -> str:
    """A line for each result; where libraries other than PyTorch take part, the times of all of them; where errors
    were measured, these; the means."""
    parts = [_head(document), _lines(results)]
    if any(not peer.startswith("torch_") for result in results for peer in result.peers):
        parts.append(_contenders(results))
    if any(result.errors for result in results):
        parts.append(_errors(results))
    parts.append(_means(document))
    return "\n\n".join(parts)


def _head(document: dict[str, Any]) -> str:
    machine = document["machine"]
    threads = " and ".join(map(str, document["threads"]))
    load = f", load {machine['load_average']:.1f} at the start" if "load_average" in machine else ""
    runtimes = "".join(f"; {name} {version}" for name, version in machine["runtimes"].items())
    return "\n".join(
        [
            f"# {document['suite']}: Keel and its peers, {threads} thread(s)",
            "",
            f"- CPU: {machine['cpu']}, {machine['processors']} processors{load}",
            f"- Keel: {machine['build']} build; OpenBLAS {machine['blas_version']}, core"
            f" {machine['blas_core']} ({machine['blas_core_choice']})",
            f"- PyTorch {machine['torch']}, {machine['torch_capability']},"
            f" {machine['torch_waiting']}; torch.compile {machine['torch_compile']}{runtimes}",
            f"- {machine['date']}, {document['rounds']} rounds; milliseconds; speedups are the fastest"
            " peer's time over Keel's, < marks those below 1",
        ]
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def _lines(results: list[Result]) -> str:
    titles = (
        "line", "pass", "Keel min", "median", "peer min", "median", "fastest peer", "of minima",
        "paired",
    )  # fmt: skip
    rows = [
        (
            result.line.name, result.which.replace("_", " "),
            _milliseconds(min(result.keel)), _milliseconds(median(result.keel)),
            _milliseconds(min(map(min, result.peers.values()))),
            _milliseconds(median(result.peers[result.fastest])),
            result.fastest, f"{result.speedup_of_minima:.2f}",
            f"{result.speedup:.2f}" + (" <" if result.speedup < 1 else ""),
        )
        for result in results
    ]  # fmt: skip
    return table(titles, rows)


def _contenders(results: list[Result]) -> str:
    """Medians and minima of all."""
    names = list(dict.fromkeys(name for result in results for name in result.peers))
    rows = []
    for result in results:
        times = {"keel": result.keel} | result.peers
        for what, of in (("median", median), ("min", min)):
            cells = (
                _milliseconds(of(times[name])) if name in times else "-"
                for name in ("keel", *names)
            )
            rows.append((f"{result.line.name}, {what}", *cells))
    return table(("line", "keel", *names), rows)


def _errors(results: list[Result]) -> str:
    """Errors against float64, relative to the largest value."""
    modes = list(dict.fromkeys(mode for result in results for mode in result.error_ratios))
    titles = ("line", "PyTorch's error", *(t for mode in modes for t in (f"Keel's, {mode}", "ratio")))
    rows = [
        (
            result.line.name, f"{result.errors['torch']:.1e}",
            *(
                cell
                for mode in modes
                for cell in (f"{result.errors[mode]:.1e}", f"{result.error_ratios[mode]:.1f}")
            ),
        )
        for result in results
    ]  # fmt: skip
    return table(titles, rows)


def _means(document: dict[str, Any]) -> str:
    titles = (
        "geometric mean", "paired", "of minima", "least, paired", "where", "of minima",
        "Keel faster",
    )  # fmt: skip
    summaries = [*document["passes"].items(), *document["groups"].items(), ("overall", document)]
    rows = [
        (
            name.replace("_", " "), f"{summary['geomean_speedup']:.2f}",
            f"{summary['geomean_speedup_of_minima']:.2f}", f"{summary['min_speedup']:.2f}",
            summary["min_speedup_line"], f"{summary['min_speedup_of_minima']:.2f}",
            f"{summary['keel_faster']} of {summary['count']}",
        )
        for name, summary in summaries
    ]  # fmt: skip
    return table(titles, rows)
