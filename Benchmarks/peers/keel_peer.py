"""Keel as a contender: a process of its own that runs what it is told and says how long it took."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile

import numpy

from inference import NetworkShape
from norms import NormShape
from shapes import Array, Shape
from whitenings import WhiteningShape

# What each pass reads.
_OPERANDS = {
    "forward": ("x", "weight"),
    "input_gradient": ("dy", "weight"),
    "weight_gradient": ("x", "dy"),
}


class PeerError(Exception):
    """Keel's process could not be started, answered with an error, or ended."""


class KeelPeer:
    """The process behind the `peer` executable of the Benchmarks package."""

    def __init__(self, executable: pathlib.Path, keep_environment: bool = False) -> None:
        environment = dict(os.environ)
        if not keep_environment:
            # A core pinned below the CPU's halves the speed of OpenBLAS's products.
            environment.pop("OPENBLAS_CORETYPE", None)
        self._folder = tempfile.TemporaryDirectory(prefix="keel-peer-")
        try:
            self._process = subprocess.Popen(
                [str(executable), self._folder.name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )  # fmt: skip
        except OSError as error:
            raise PeerError(f"cannot start {executable}: {error.strerror}") from error

    def __enter__(self) -> KeelPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._folder.cleanup()

    @property
    def process(self) -> int:
        """The process's number."""
        return self._process.pid

    def machine(self, threads: int) -> dict[str, object]:
        """CPU, OpenBLAS's version and core, and the rest of what Keel's benchmarks print."""
        machine: dict[str, object] = json.loads(self._ask(f"machine {threads}"))
        return machine

    def load(self, operands: dict[str, Array]) -> None:
        """Hands over operands, such as x, weight and dy, in Keel's layout; a network's x as its file has it."""
        for name, array in operands.items():
            array.tofile(self._path(name))

    def prepare(self, shape: Shape, which: str, threads: int) -> None:
        """Prepares a pass on what was loaded; the forward pass packs its weight here."""
        request = {
            "pass": which, "transposed": shape.transposed, "batch": shape.batch, "threads": threads,
            "height": shape.size, "width": shape.size,
            "input_channels": shape.inputs, "output_channels": shape.outputs,
            "kernel": shape.kernel, "stride": shape.stride, "padding": shape.padding,
            "output_padding": shape.output_padding, "groups": shape.groups,
        }  # fmt: skip
        missing = [name for name in _OPERANDS[which] if not self._path(name).exists()]
        if missing:
            raise PeerError(f"{which}: not loaded: {', '.join(missing)}")
        self._ask("prepare " + json.dumps(request))

    def normalize(self, shape: NormShape, which: str, threads: int) -> None:
        """Prepares a pass of a normalization on what was loaded."""
        self._ask("normalize " + json.dumps(shape.request(which, threads)))

    def whiten(self, shape: WhiteningShape, which: str, threads: int) -> None:
        """Prepares a pass of a whitening on what was loaded."""
        self._ask("whiten " + json.dumps(shape.request(which, threads)))

    def infer(self, shape: NetworkShape, threads: int, mode: str) -> None:
        """Prepares a network, planned as the mode says, on what was loaded."""
        self._ask("network " + json.dumps(shape.request(threads, mode)))

    def run(self, repetitions: int, warms: bool = True) -> float:
        """Seconds of one run, the mean of the repetitions; one more before them, if any, is not timed."""
        return float(self._ask(f"{'run' if warms else 'rerun'} {repetitions}")) / repetitions

    def result(self, name: str, extents: tuple[int, ...]) -> Array:
        """A result of the last run; of a convolution's pass there is one, by any name."""
        self._ask(f"result {name}")
        return numpy.fromfile(self._path(name), dtype=numpy.float32).reshape(extents)

    def _path(self, name: str) -> pathlib.Path:
        return pathlib.Path(self._folder.name, name)

    def _ask(self, request: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError as error:
            raise PeerError(f"Keel's process ended before: {request}") from error
        status, _, text = answer.rstrip("\n").partition(" ")
        if status == "":
            raise PeerError(f"Keel's process ended in: {request}")
        if status != "ok":
            raise PeerError(f"{request}: {text}")
        return text
