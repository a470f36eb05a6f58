#!/usr/bin/env python3
"""Times Keel against PyTorch in interleaved rounds, after comparing what they compute.

    compare.py --suite convolution --threads 1,2
    compare.py --lines 'ResNet-18 b1 3x3' --rounds 5 --json
    compare.py --suite norms --passes training_plain,training_relu --compile

Exit status: 0 done, 1 results differ or a peer failed, 2 the call's arguments are wrong.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import pathlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

import affinity
import norms
import report
import shapes
import torch_norms
import torch_peer
import torch_whitenings
import whitenings
from keel_peer import KeelPeer, PeerError
from report import Line, Result
from shapes import Array

BENCHMARKS = pathlib.Path(__file__).resolve().parent.parent
# Seconds of work that a sample lasts at least.
SAMPLE = 0.02


@dataclass(frozen=True)
class Suite:
    """What is compared: lines, their passes, and both sides of a pass."""

    lines: Callable[[], list[Any]]
    passes: tuple[str, ...]
    operands: Callable[[Any], dict[str, Array]]
    # Keel's request, of a shape, a pass and a number of threads.
    prepare: Callable[[KeelPeer, Any, str, int], None]
    # PyTorch's contenders, of a shape and a pass, and one of them.
    layouts: Callable[[Any, str], list[str]]
    peer: Callable[[Any, str, dict[str, Array], str, int], Any]


def suites(compiled: bool) -> dict[str, Suite]:
    return {
        "convolution": Suite(
            shapes.convolution_lines, shapes.PASSES, shapes.operands, KeelPeer.prepare,
            lambda _, which: torch_peer.layouts(which), torch_peer.TorchPass,
        ),
        "norms": Suite(
            norms.norm_lines, norms.PASSES, norms.operands, KeelPeer.normalize,
            lambda shape, _: torch_norms.layouts(shape, compiled), torch_norms.TorchNorm,
        ),
        "whitening": Suite(
            whitenings.whitening_lines, whitenings.PASSES, whitenings.operands, KeelPeer.whiten,
            lambda shape, _: torch_whitenings.layouts(shape), torch_whitenings.TorchWhitening,
        ),
    }  # fmt: skip


class Mismatch(Exception):
    """Two results that must be equal are not."""


@dataclass
class Contender:
    name: str
    run: Callable[[int], float]
    repetitions: int = 1

    def calibrate(self) -> None:
        """Chooses repetitions so that a sample lasts long enough for the clock."""
        # The first run allocates and faults pages in: it would make the work look longer than it is.
        self.run(1)
        seconds = self.run(self.repetitions)
        while seconds * self.repetitions < SAMPLE:
            wanted = 1.2 * SAMPLE / max(seconds, 1e-9)
            # Never grow by more than 16 from one short sample.
            self.repetitions = math.ceil(min(max(wanted, self.repetitions + 1), 16 * self.repetitions))
            seconds = self.run(self.repetitions)


def difference(found: Array, expected: Array) -> float:
    """The largest difference relative to the largest expected magnitude; NaN where either has one."""
    largest = float(numpy.abs(expected).max())
    return float(numpy.abs(found - expected).max()) / max(largest, float(numpy.finfo("f4").tiny))


def tolerance(reduction: int) -> float:
    """A floor for single operations, and growth with the square root of the sum's length."""
    return 1e-5 + 1e-6 * math.sqrt(reduction)


def compare(
    keel: KeelPeer, suite: Suite, line: Line, which: str, data: dict[str, Array], threads: int,
    rounds: int,
) -> Result:
    """Checks and times one pass of one line."""
    shape = line.shape
    suite.prepare(keel, shape, which, threads)
    keel.run(1)
    expected = shape.results(which)
    computed = {name: keel.result(name, extents) for name, (extents, _) in expected.items()}
    contenders = [Contender("keel", keel.run)]
    largest = 0.0
    for layout in suite.layouts(shape, which):
        peer = suite.peer(shape, which, data, layout, threads)
        for name, array in peer.results().items():
            found = difference(computed[name], array)
            bound = tolerance(expected[name][1])
            # Not `found > bound`: a NaN must fail.
            if not found <= bound:
                raise Mismatch(
                    f"{line.name}, {which}, {threads} thread(s), {layout}, {name}: relative"
                    f" difference {found:.2e}, at most {bound:.2e} allowed"
                )
            largest = max(largest, found)
        contenders.append(Contender(layout, peer.run))
    for contender in contenders:
        contender.calibrate()
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            samples[contender.name].append(contender.run(contender.repetitions))
    mine = samples.pop("keel")
    return Result(line, which, threads, largest, mine, samples)


def machine(keel: KeelPeer, threads: int, compiled: bool) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        **keel.machine(threads),
        **torch_peer.versions(),
        "cpus": affinity.confine([os.getpid(), keel.process], threads),
        "torch_compile": "timed" if compiled else "not timed (--compile)",
        "date": now.isoformat(timespec="seconds"),
        "load_average": os.getloadavg()[0],
    }


def run(options: argparse.Namespace) -> None:
    """Compares all lines, prints, and writes the files."""
    suite, lines = options.comparison, options.chosen
    everything: list[Result] = []
    with KeelPeer(options.peer, options.keep_environment) as keel:
        machines = {threads: machine(keel, threads, options.compile) for threads in options.threads}
        for number, line in enumerate(lines, 1):
            data = suite.operands(line.shape)
            keel.load(data)
            for threads in options.threads:
                progress(f"[{number}/{len(lines)}] {line.name}, {threads} thread(s)")
                affinity.confine([os.getpid(), keel.process], threads)
                everything += [
                    compare(keel, suite, line, which, data, threads, options.rounds)
                    for which in options.passes
                ]
    progress("")
    tables: list[str] = []
    for threads in options.threads:
        results = [result for result in everything if result.threads == threads]
        document = report.report(options.suite, machines[threads], options.rounds, results)
        tables.append(report.text(document, results))
        files = report.write(options.output, document, results)
        print("wrote " + ", ".join(file.name for file in files), file=sys.stderr)
    if options.json:
        first = machines[options.threads[0]]
        document = report.report(options.suite, first, options.rounds, everything)
        print(json.dumps(document, indent=2))
    else:
        print("\n\n".join(tables))


def progress(message: str) -> None:
    """Replaces one line on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)


def numbers(text: str) -> list[int]:
    """Thread counts, such as `1,2`, each once and ascending."""
    found = sorted({int(part) for part in text.split(",")})
    if found[0] < 1:
        raise ValueError(text)
    return found


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Times Keel against PyTorch in interleaved rounds, after comparing results."
    )
    processors = len(os.sched_getaffinity(0))
    parser.add_argument("--suite", choices=sorted(suites(False)), default="convolution")
    parser.add_argument("--lines", metavar="PATTERN", default="", help="only lines that match")
    parser.add_argument("--passes", metavar="A,B", help="(default: all of the suite)")
    parser.add_argument(
        "--threads", type=numbers, default=[processors], metavar="A,B",
        help="thread counts of both sides (default: the process's CPUs)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive, default=15, help="(default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "--compile", action="store_true",
        help="also time torch.compile (norms; half a minute for each line and pass; needs a C++"
        " compiler, named by CXX)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-environment", action="store_true", help="leave OPENBLAS_CORETYPE as it is"
    )
    parser.add_argument(
        "--peer", type=pathlib.Path, default=BENCHMARKS / ".build/release/peer",
        help="Keel's executable",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=pathlib.Path, default=BENCHMARKS / "Results", help="folder for the files"
    )
    options = parser.parse_args()
    suite = options.comparison = suites(options.compile)[options.suite]
    options.passes = options.passes.split(",") if options.passes else list(suite.passes)
    if unknown := set(options.passes) - set(suite.passes):
        known = ", ".join(suite.passes)
        parser.error(f"--passes: not one of {known}: {', '.join(sorted(unknown))}")
    if options.compile and options.suite != "norms":
        parser.error("--compile: only for the suite norms")
    try:
        pattern = re.compile(options.lines, re.IGNORECASE)
    except re.error as error:
        parser.error(f"--lines: not a regular expression: {error}")
    options.chosen = [line for line in suite.lines() if pattern.search(line.name)]
    if not options.chosen:
        parser.error("--lines: no line matches")
    return options


def main() -> int:
    options = arguments()
    try:
        run(options)
    except (Mismatch, PeerError) as error:
        progress("")
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
