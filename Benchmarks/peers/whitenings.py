"""The whitenings that are compared, and the operands of their passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy

from shapes import Array

EPSILON = 1e-3
STEPS = 5
# The length that `tolerance` takes: it allows 1e-3 of the largest value, since one side's covariances and
# eigenvectors are in Float.
LENGTH = 1_000_000
# forward: y, with the statistics of the batch. training: then dx too, and dstyle.
PASSES = ("forward", "training")


@dataclass(frozen=True)
class WhiteningShape:
    """A whitening of blocks of channels of N×H×W×C, or a transfer of a style's statistics to it."""

    method: str
    block: int
    extents: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.extents[-1]

    @property
    def figures(self) -> dict[str, Any]:
        """The size, for JSON."""
        return {"elements": math.prod(self.extents), "block": self.block}

    @property
    def operands(self) -> tuple[str, ...]:
        """What gradients are taken of."""
        return ("x", "style") if self.method == "transfer" else ("x",)

    def results(self, which: str) -> dict[str, tuple[tuple[int, ...], int]]:
        """The results of a pass: their shapes, and what stands for the length of the sum behind an element."""
        names = ["y"] + [f"d{name}" for name in self.operands if which == "training"]
        return {name: (self.extents, LENGTH) for name in names}

    def request(self, which: str, threads: int) -> dict[str, Any]:
        """What Keel's process is asked for."""
        return {
            "method": self.method, "block_size": self.block, "extents": self.extents,
            "trains": which == "training", "threads": threads,
        }  # fmt: skip

    def text(self) -> str:
        return f"{self.method}({self.block}) {'x'.join(map(str, self.extents))}"


@dataclass(frozen=True)
class WhiteningLine:
    """What `--lines` matches, such as `zca(16) 32x28x28x64`."""

    shape: WhiteningShape

    @property
    def name(self) -> str:
        return self.shape.text()


def operands(shape: WhiteningShape) -> dict[str, Array]:
    """Draws x, style and dy in Keel's layout, the same in every run.

    Channels of a block are mixed so that eigenvalues lie apart: PyTorch's gradient divides by their
    differences.
    """
    random = numpy.random.default_rng(20_260_411)

    def draw() -> Array:
        x = random.standard_normal(shape.extents, dtype=numpy.float32)
        for first in range(0, shape.channels, shape.block):
            width = min(shape.block, shape.channels - first)
            axes, _ = numpy.linalg.qr(random.standard_normal((width, width)))
            deviations = numpy.geomspace(3, 0.3, width)
            mixing = (deviations[:, None] * axes).astype(numpy.float32)
            x[..., first : first + width] = x[..., first : first + width] @ mixing
        return x + random.standard_normal(shape.channels).astype(numpy.float32)

    x, style = draw(), draw()
    return {"x": x, "style": style, "dy": random.standard_normal(shape.extents, dtype=numpy.float32)}


def whitening_lines() -> list[WhiteningLine]:
    """All lines."""
    images = [(32, 28, 28, 64), (32, 28, 28, 256)]
    whole = [
        WhiteningShape(method, block, extents)
        for method in ("zca", "cholesky", "iternorm")
        for extents in images
        for block in (16, 64)
    ]
    maps = [WhiteningShape("transfer", channels, (1, 64, 64, channels)) for channels in (64, 256)]
    return [WhiteningLine(shape) for shape in whole + maps]
