"""How far results may be from each other."""

from __future__ import annotations

import math

import numpy

from shapes import Array


def difference(found: Array, expected: Array) -> float:
    """The largest difference relative to the largest expected magnitude; NaN where either has one, infinite for
    another shape."""
    if found.shape != expected.shape:
        return math.inf
    largest = float(numpy.abs(expected).max())
    return float(numpy.abs(found - expected).max()) / max(largest, float(numpy.finfo("f4").tiny))


def tolerance(reduction: int) -> float:
    """A floor for single operations, and growth with the square root of the sum's length."""
    return 1e-5 + 1e-6 * math.sqrt(reduction)
