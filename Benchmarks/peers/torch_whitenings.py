"""Whitening written in PyTorch: eigh, cholesky and products, block by block and batched."""

from __future__ import annotations

from collections.abc import Callable

import torch

from shapes import Array
from torch_peer import CHANNELS_LAST, CONTIGUOUS, DifferentiablePass
from whitenings import EPSILON, STEPS, WhiteningShape

SINGLE = " single"
BATCHED = " batched"


def layouts(shape: WhiteningShape) -> list[str]:
    """The ways that a pass is timed in; one block needs no batch."""
    kinds = [BATCHED] if shape.block == shape.channels else [SINGLE, BATCHED]
    return [layout + kind for layout in (CONTIGUOUS, CHANNELS_LAST) for kind in kinds]


class TorchWhitening(DifferentiablePass):
    """One pass of one whitening in one layout, ready to run."""

    def __init__(
        self, shape: WhiteningShape, which: str, operands: dict[str, Array], layout: str, threads: int
    ) -> None:
        super().__init__(threads, which == "training")
        self._shape = shape
        self._channels_last = layout.startswith(CHANNELS_LAST)
        self._body = _body(shape, self._channels_last, layout.endswith(BATCHED))
        self._tensors = [self._held(operands[name]) for name in shape.operands]
        self._dy = self._held(operands["dy"])
        if self._trains:
            for tensor in self._tensors:
                tensor.requires_grad_()

    def results(self) -> dict[str, Array]:
        """What a run computes, in Keel's layout."""
        return self.named_results(["y"] + [f"d{name}" for name in self._shape.operands])

    def _once(self) -> list[torch.Tensor]:
        y = self._body(*self._tensors)
        if not self._trains:
            return [y]
        return [y, *torch.autograd.grad(y, self._tensors, self._dy)]

    def _held(self, array: Array) -> torch.Tensor:
        """N×H×W×C, or N×C×H×W; cloned, because NumPy's memory is not aligned to cache lines."""
        tensor = torch.from_numpy(array)
        return tensor.clone() if self._channels_last else tensor.permute(0, 3, 1, 2).contiguous()

    def _as_keels(self, tensor: torch.Tensor) -> Array:
        array: Array = (tensor if self._channels_last else tensor.permute(0, 2, 3, 1)).contiguous().numpy()
        return array


def _root(method: str, sigma: torch.Tensor) -> torch.Tensor:
    """Σ^(−1/2) by eigenvalues, or nearly by steps of Newton and Schulz."""
    if method == "iternorm":
        trace = sigma.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        scaled = sigma / trace
        p = torch.eye(sigma.shape[-1]).expand_as(sigma)
        for _ in range(STEPS):
            p = torch.baddbmm(p, torch.matrix_power(p, 3), scaled, beta=1.5, alpha=-0.5)
        return p * trace.rsqrt()
    values, vectors = torch.linalg.eigh(sigma)
    return (vectors * values.rsqrt()[..., None, :]) @ vectors.mT


def _whitened(method: str, x: torch.Tensor) -> torch.Tensor:
    """Of blocks × channels × positions."""
    centred = x - x.mean(-1, keepdim=True)
    sigma = torch.baddbmm(
        EPSILON * torch.eye(x.shape[-2]).expand(x.shape[0], -1, -1), centred, centred.mT,
        alpha=1 / x.shape[-1],
    )
    if method == "cholesky":
        return torch.linalg.solve_triangular(torch.linalg.cholesky(sigma), centred, upper=False)
    return _root(method, sigma) @ centred


def _transferred(x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """Of samples × channels × positions: x whitened, then colored by the style's covariance and mean."""
    mean = style.mean(-1, keepdim=True)
    centred = style - mean
    sigma = torch.baddbmm(
        EPSILON * torch.eye(style.shape[-2]).expand(style.shape[0], -1, -1), centred, centred.mT,
        alpha=1 / style.shape[-1],
    )
    values, vectors = torch.linalg.eigh(sigma)
    coloring = (vectors * values.sqrt()[..., None, :]) @ vectors.mT
    own = x - x.mean(-1, keepdim=True)
    sigma = torch.baddbmm(
        EPSILON * torch.eye(x.shape[-2]).expand(x.shape[0], -1, -1), own, own.mT,
        alpha=1 / x.shape[-1],
    )
    return coloring @ _root("zca", sigma) @ own + mean


def _body(shape: WhiteningShape, channels_last: bool, batched: bool) -> Callable[..., torch.Tensor]:
    n, h, w, c = shape.extents
    d = shape.block

    def transfer(x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        if channels_last:
            y = _transferred(x.reshape(n, h * w, c).mT, style.reshape(n, h * w, c).mT)
            return y.mT.reshape(n, h, w, c)
        return _transferred(x.reshape(n, c, h * w), style.reshape(n, c, h * w)).reshape(n, c, h, w)

    def whiten(x: torch.Tensor) -> torch.Tensor:
        # Blocks × channels × positions.
        rows = x.reshape(-1, c).T if channels_last else x.transpose(0, 1).reshape(c, -1)
        blocks = rows.reshape(c // d, d, -1)
        if batched:
            y = _whitened(shape.method, blocks)
        else:
            y = torch.cat([_whitened(shape.method, block) for block in blocks.split(1)])
        y = y.reshape(c, -1)
        return y.T.reshape(n, h, w, c) if channels_last else y.reshape(c, n, h, w).transpose(0, 1)

    return transfer if shape.method == "transfer" else whiten
