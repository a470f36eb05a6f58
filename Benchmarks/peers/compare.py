#!/usr/bin/env python3
"""Times Keel against PyTorch, and networks against other runtimes too, in interleaved rounds, after comparing what
they compute.

    compare.py --suite convolution --threads 1,2
    compare.py --lines 'ResNet-18 b1 3x3' --rounds 5 --json
    compare.py --suite norms --passes training_plain,training_relu --full
    compare.py --suite inference --threads 1,2 --lines 'ResNet|U-Net'
    compare.py --suite inference --memory

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
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import affinity
import inference
import norms
import report
import shapes
import tables
import torch_norms
import torch_peer
import torch_whitenings
import whitenings
from accuracy import difference, tolerance
from keel_peer import KeelPeer, PeerError
from report import Line, Result
from shapes import Array

BENCHMARKS = pathlib.Path(__file__).resolve().parent.parent
# What `--memory` measures where no lines are asked for.
MEMORY_LINES = "ResNet-50 b1 |U-Net b1 "
# Seconds of work that a sample lasts at least.
SAMPLE = 0.02
# Seconds of a run from which on none is made before it that is not timed.
LONG = 0.2
# Seconds before a sample, in which the threads of the contender before it stop looking out for work.
PAUSE = 0.05


@dataclass(frozen=True)
class Suite:
    """What is compared: lines, their passes, and all sides of a pass."""

    lines: Callable[[], list[Any]]
    passes: tuple[str, ...]
    operands: Callable[[Any], dict[str, Array]]
    # Keel's request, of a shape, a pass and a number of threads.
    prepare: Callable[[KeelPeer, Any, str, int], None]
    # The names of the contenders beside Keel, of a shape and a pass, and one of them. All are held to the first.
    peers: Callable[[Any, str], list[str]]
    peer: Callable[[Any, str, dict[str, Array], str, int], Any]
    # What the names begin with in reports.
    prefix: str = "torch_"
    # Versions of contenders other than PyTorch.
    versions: Callable[[], dict[str, str]] = dict
    # What means are taken over beside passes.
    group: Callable[[Any], str | None] = lambda line: None
    # Errors against what is exact, from the first contender's results.
    errors: Callable[[KeelPeer, Any, int, dict[str, Array]], dict[str, float]] | None = None


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
        "inference": Suite(
            inference.inference_lines, inference.PASSES, inference.operands,
            lambda keel, shape, _, threads: keel.infer(shape, threads, inference.MODES[0]),
            lambda shape, _: inference.contenders(shape, compiled), inference.peer, prefix="",
            versions=inference.versions, group=inference.group, errors=inference.errors,
        ),
    }  # fmt: skip


class Mismatch(Exception):
    """Two results that must be equal are not."""


@dataclass
class Contender:
    name: str
    run: Callable[[int, bool], float]
    repetitions: int = 1
    # Whether a run that is not timed comes before a sample.
    warms: bool = True

    def calibrate(self) -> None:
        """Chooses repetitions so that a sample lasts long enough for the clock."""
        # The first run allocates and faults pages in: it would make the work look longer than it is.
        self.run(1, False)
        seconds = self.run(self.repetitions, False)
        while seconds * self.repetitions < SAMPLE:
            wanted = 1.2 * SAMPLE / max(seconds, 1e-9)
            # Never grow by more than 16 from one short sample.
            self.repetitions = math.ceil(min(max(wanted, self.repetitions + 1), 16 * self.repetitions))
            seconds = self.run(self.repetitions, True)
        self.warms = seconds < LONG


def compare(
    keel: KeelPeer, suite: Suite, line: Line, which: str, data: dict[str, Array], threads: int,
    rounds: int,
) -> Result:
    """Checks and times one pass of one line: every result is held to that of the first peer."""
    shape = line.shape
    peers = {
        suite.prefix + name: suite.peer(shape, which, data, name, threads)
        for name in suite.peers(shape, which)
    }
    found = {name: peer.results() for name, peer in peers.items()}
    reference = next(iter(found.values()))
    errors = suite.errors(keel, shape, threads, reference) if suite.errors else {}
    suite.prepare(keel, shape, which, threads)
    keel.run(1)
    expected = shape.results(which)
    found["keel"] = {name: keel.result(name, extents) for name, (extents, _) in expected.items()}
    largest = dict.fromkeys(found, 0.0)
    for side, results in found.items():
        for name, (_, length) in expected.items():
            off, bound = difference(results[name], reference[name]), tolerance(length)
            # Not `off > bound`: a NaN must fail.
            if not off <= bound:
                raise Mismatch(
                    f"{line.name}, {which}, {threads} thread(s), {side}, {name}: relative"
                    f" difference {off:.2e}, at most {bound:.2e} allowed"
                )
            largest[side] = max(largest[side], off)
    del found, reference
    contenders = [Contender("keel", keel.run)]
    contenders += [Contender(name, peer.run) for name, peer in peers.items()]
    for contender in contenders:
        contender.calibrate()
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            time.sleep(PAUSE)
            samples[contender.name].append(contender.run(contender.repetitions, contender.warms))
    mine = samples.pop("keel")
    return Result(
        line, which, threads, largest["keel"], mine, samples, suite.group(line), errors
    )


def machine(keel: KeelPeer, suite: Suite, threads: int, compiled: bool) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        **keel.machine(threads),
        **torch_peer.versions(),
        "runtimes": suite.versions(),
        "cpus": affinity.confine([os.getpid(), keel.process], threads),
        "torch_compile": "timed" if compiled else "not timed (--full)",
        "date": now.isoformat(timespec="seconds"),
        "load_average": os.getloadavg()[0],
    }


@dataclass(frozen=True)
class Measured:
    """What a process has found of a line; its results leave out the line, which stays where it is."""

    # By the number of threads.
    machines: dict[int, dict[str, Any]]
    results: list[Result]


def measure(number: int) -> Measured:
    """Compares one of the call's lines, in a process of its own."""
    options = arguments()
    suite, line = options.comparison, options.chosen[number]
    results: list[Result] = []
    with KeelPeer(options.peer, options.keep_environment) as keel:
        machines = {
            threads: machine(keel, suite, threads, options.full) for threads in options.threads
        }
        data = suite.operands(line.shape)
        keel.load(data)
        for threads in options.threads:
            affinity.confine([os.getpid(), keel.process], threads)
            results += [
                compare(keel, suite, line, which, data, threads, options.rounds)
                for which in options.passes
            ]
    return Measured(machines, [replace(result, line=None) for result in results])


def run(options: argparse.Namespace) -> int:
    """Compares all lines, prints, and writes the files; the exit status. What peers never give back ends with the
    process of their line, and a line that fails does not take the others with it."""
    suite, lines = options.comparison, options.chosen
    everything: list[Result] = []
    machines: dict[int, dict[str, Any]] = {}
    status = 0
    for number, line in enumerate(lines):
        progress(f"[{number + 1}/{len(lines)}] {line.name}")
        try:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                measured = process.submit(measure, number).result()
        except (Mismatch, PeerError, BrokenProcessPool) as error:
            progress("")
            print(f"error: {line.name}: {error}", file=sys.stderr, flush=True)
            status = 1
            continue
        machines = machines or measured.machines
        results = [replace(result, line=line) for result in measured.results]
        everything += results
        finished(results, number + 1, len(lines))
    if everything:
        tell(options, machines, everything)
    return status


def tell(
    options: argparse.Namespace, machines: dict[int, dict[str, Any]], everything: list[Result]
) -> None:
    """Prints what all lines have come to, and writes the files."""
    texts: list[str] = []
    for threads in options.threads:
        results = [result for result in everything if result.threads == threads]
        document = report.report(options.suite, machines[threads], options.rounds, results)
        texts.append(tables.text(document, results))
        files = report.write(options.output, document, results, texts[-1])
        print("wrote " + ", ".join(file.name for file in files), file=sys.stderr)
    if options.json:
        first = machines[options.threads[0]]
        document = report.report(options.suite, first, options.rounds, everything)
        print(json.dumps(document, indent=2))
    else:
        print("\n\n".join(texts))


def run_memory(options: argparse.Namespace) -> int:
    """Measures what stays in memory, prints, and writes the files."""
    import resident

    document = resident.measure(
        options.chosen, options.peer, options.keep_environment, options.threads[0]
    )
    files = resident.write(options.output, document)
    print("wrote " + ", ".join(file.name for file in files), file=sys.stderr)
    print(json.dumps(document, indent=2) if options.json else resident.text(document))
    return 0


def progress(message: str) -> None:
    """Replaces one line on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)


def finished(results: list[Result], number: int, count: int) -> None:
    """Says what a line has come to: a suite may take an hour."""
    progress("")
    for result in results:
        times = {"Keel": min(result.keel), result.fastest: min(result.peers[result.fastest])}
        text = ", ".join(f"{name} {seconds * 1e3:.3f} ms" for name, seconds in times.items())
        print(
            f"[{number}/{count}] {result.line.name}, {result.which}, {result.threads} thread(s):"
            f" {text}, paired {result.speedup:.2f}",
            file=sys.stderr, flush=True,
        )  # fmt: skip


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
        description="Times Keel against PyTorch and others in interleaved rounds, after comparing"
        " results."
    )
    processors = len(os.sched_getaffinity(0))
    parser.add_argument("--suite", choices=sorted(suites(False)), default="convolution")
    parser.add_argument("--lines", metavar="PATTERN", default="", help="only lines that match")
    parser.add_argument("--passes", metavar="A,B", help="(default: all of the suite)")
    parser.add_argument(
        "--threads", type=numbers, default=[processors], metavar="A,B",
        help="thread counts of all sides (default: the process's CPUs)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive, default=15, help="(default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument(
        "--full", action="store_true",
        help="also time torch.compile (norms, inference; half a minute and more for each line and"
        " pass; needs a C++ compiler, named by CXX)",
    )  # fmt: skip
    parser.add_argument(
        "--memory", action="store_true",
        help="instead of times, the increase of resident memory from before loading a network to"
        " after its first run (inference; default lines: ResNet-50 and U-Net at batch 1)",
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
    suite = options.comparison = suites(options.full)[options.suite]
    options.passes = options.passes.split(",") if options.passes else list(suite.passes)
    if unknown := set(options.passes) - set(suite.passes):
        known = ", ".join(suite.passes)
        parser.error(f"--passes: not one of {known}: {', '.join(sorted(unknown))}")
    if options.full and options.suite not in ("norms", "inference"):
        parser.error("--full: only for the suites norms and inference")
    if options.memory and options.suite != "inference":
        parser.error("--memory: only for the suite inference")
    if options.memory and not options.lines:
        options.lines = MEMORY_LINES
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
        return (run_memory if options.memory else run)(options)
    except (Mismatch, PeerError) as error:
        progress("")
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
