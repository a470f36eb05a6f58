"""The normalizations that are compared, and the operands of their passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy

from shapes import Array

EPSILON = 1e-5
# The length that `tolerance` takes for what depends on statistics: it allows 6e-5 of the largest value.
STATISTICS = 2500
FORMS = ("plain", "relu", "add_relu")
# forward: y, with the statistics of the batch. training: then dx, dscale, dshift and dresidual too.
PASSES = tuple(f"{what}_{form}" for what in ("forward", "training") for form in FORMS)
# Elements this near to zero before a ReLU get no gradient: rounding may turn either side's on or off.
NEAR_ZERO = 1e-4


def split(which: str) -> tuple[str, str]:
    """`forward` or `training`, and the form, of a pass."""
    what, _, form = which.partition("_")
    return what, form


@dataclass(frozen=True)
class NormShape:
    """A normalization of N×H×W×C or N×C, with scale and shift."""

    method: str
    extents: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.extents[-1]

    @property
    def is_matrix(self) -> bool:
        return len(self.extents) == 2

    @property
    def groups(self) -> int:
        """Groups of channels of group norm: 32 of at least two channels, else 8."""
        return 32 if self.channels % 32 == 0 and self.channels > 32 else 8

    @property
    def affine_shape(self) -> tuple[int, ...]:
        """Of scale and shift: per channel, but per element for layer norm of images."""
        return self.extents[1:] if self.method == "layer" else self.extents[-1:]

    @property
    def figures(self) -> dict[str, Any]:
        """The size, for JSON."""
        return {"elements": math.prod(self.extents)}

    def results(self, which: str) -> dict[str, tuple[tuple[int, ...], int]]:
        """The results of a pass: their shapes, and the length of the sum behind an element.

        For elements of x's shape it is a fixed one: both sides add up statistics in parts.
        """
        what, form = split(which)
        results: dict[str, tuple[tuple[int, ...], int]] = {"y": (self.extents, STATISTICS)}
        if what == "forward":
            return results
        summed = math.prod(self.extents) // math.prod(self.affine_shape)
        results |= {
            "dx": (self.extents, STATISTICS), "dscale": (self.affine_shape, summed),
            "dshift": (self.affine_shape, summed),
        }  # fmt: skip
        if form == "add_relu":
            results["dresidual"] = (self.extents, STATISTICS)
        return results

    def request(self, which: str, threads: int) -> dict[str, Any]:
        """What Keel's process is asked for."""
        what, form = split(which)
        return {
            "method": self.method, "form": form, "pass": what, "extents": self.extents,
            "groups": self.groups, "threads": threads,
        }  # fmt: skip

    def text(self) -> str:
        groups = f"({self.groups})" if self.method == "group" else ""
        return f"{self.method}{groups} {'x'.join(map(str, self.extents))}"


@dataclass(frozen=True)
class NormLine:
    """What `--lines` matches, such as `group(32) 32x56x56x64`."""

    shape: NormShape

    @property
    def name(self) -> str:
        return self.shape.text()


def normalized(shape: NormShape, x: Array) -> Array:
    """(x − mean)/√(variance + ε) with statistics in Double."""
    n, c = shape.extents[0], shape.channels
    groups = {"batch": 1, "layer": 1, "instance": c, "group": shape.groups}[shape.method]
    view = x.reshape(1, -1, 1, c) if shape.method == "batch" else x.reshape(n, -1, groups, c // groups)
    axes = (1,) if shape.method == "batch" else (1, 3)
    mean = view.mean(axes, dtype=numpy.float64, keepdims=True)
    variance = view.var(axes, dtype=numpy.float64, keepdims=True)
    centred = view - mean.astype(numpy.float32)
    root = numpy.sqrt(variance + EPSILON).astype(numpy.float32)
    return (centred / root).reshape(shape.extents)


def operands(shape: NormShape) -> dict[str, Array]:
    """Draws x, scale, shift, residual and dy in Keel's layout, the same in every run."""
    random = numpy.random.default_rng(20_250_731)

    def draw(extents: tuple[int, ...]) -> Array:
        return random.standard_normal(extents, dtype=numpy.float32)

    x = draw(shape.extents) * 2 + 1
    scale, shift = draw(shape.affine_shape) * 0.2 + 1, draw(shape.affine_shape) * 0.2
    residual, dy = draw(shape.extents), draw(shape.extents)
    y = normalized(shape, x) * scale + shift
    dy[(numpy.abs(y) < NEAR_ZERO) | (numpy.abs(y + residual) < NEAR_ZERO)] = 0
    return {"x": x, "scale": scale, "shift": shift, "residual": residual, "dy": dy}


_SHAPES = ((32, 56, 56, 64), (8, 28, 28, 256), (16, 112, 112, 32), (128, 512), (4096, 768))


def norm_lines() -> list[NormLine]:
    """All lines; instance norm is one of images."""
    return [
        NormLine(shape)
        for extents in _SHAPES
        for method in ("batch", "layer", "instance", "group")
        if not (shape := NormShape(method, extents)).is_matrix or method != "instance"
    ]
