"""PyTorch's normalizations as contenders, eager and compiled, in both memory formats."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from norms import EPSILON, NormShape, split
from shapes import Array
from torch_peer import CHANNELS_LAST, CONTIGUOUS, DifferentiablePass

COMPILED = " compiled"


def layouts(shape: NormShape, compiled: bool) -> list[str]:
    """The ways that a pass is timed in; matrices have but one memory format."""
    eager = [CONTIGUOUS] if shape.is_matrix else [CONTIGUOUS, CHANNELS_LAST]
    return eager + [layout + COMPILED for layout in eager] if compiled else eager


class TorchNorm(DifferentiablePass):
    """One pass of one normalization in one memory format, ready to run."""

    def __init__(
        self, shape: NormShape, which: str, operands: dict[str, Array], layout: str, threads: int
    ) -> None:
        self._shape = shape
        self._channels_last = layout.startswith(CHANNELS_LAST)
        what, form = split(which)
        super().__init__(threads, what == "training")
        self._tensors = {
            name: self._held(operands[name])
            for name in ("x", "scale", "shift", "residual", "dy")
            if name != "residual" or form == "add_relu"
        }
        self._wanted = [name for name in self._tensors if name != "dy"]
        if self._trains:
            for name in self._wanted:
                self._tensors[name].requires_grad_()
        body = _body(shape, form)
        if layout.endswith(COMPILED):
            torch.compiler.reset()
            body = torch.compile(body, dynamic=False)
        self._body = body

    def results(self) -> dict[str, Array]:
        """What a run computes, in Keel's layout."""
        return self.named_results(["y"] + ["d" + name for name in self._wanted])

    def _once(self) -> list[torch.Tensor]:
        given = self._tensors
        y = self._body(given["x"], given["scale"], given["shift"], given.get("residual"))
        if not self._trains:
            return [y]
        wanted = [given[name] for name in self._wanted]
        return [y, *torch.autograd.grad(y, wanted, given["dy"])]

    @property
    def _permutes(self) -> bool:
        """Whether images are N×C×H×W here; layer norm in channels last is one of N×H×W×C as it is."""
        return not (self._shape.method == "layer" and self._channels_last)

    def _held(self, array: Array) -> torch.Tensor:
        """Cloned, because NumPy's memory is not aligned to cache lines, and PyTorch's own is."""
        tensor = torch.from_numpy(array)
        if not self._permutes or tensor.dim() < 3:
            return tensor.clone()
        if tensor.dim() == 3:
            return tensor.permute(2, 0, 1).contiguous()
        held = torch.channels_last if self._channels_last else torch.contiguous_format
        return tensor.permute(0, 3, 1, 2).clone(memory_format=held)

    def _as_keels(self, tensor: torch.Tensor) -> Array:
        if self._permutes and tensor.dim() >= 3:
            tensor = tensor.movedim(-3, -1)
        array: Array = tensor.contiguous().numpy()
        return array


def _body(shape: NormShape, form: str) -> Callable[..., torch.Tensor]:
    """A run's computation; add and ReLU in place, as PyTorch's own networks have them."""

    def norm(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        if shape.method == "batch":
            return functional.batch_norm(x, None, None, scale, shift, True, 0.1, EPSILON)
        if shape.method == "instance":
            return functional.instance_norm(x, weight=scale, bias=shift, eps=EPSILON)
        if shape.method == "group":
            return functional.group_norm(x, shape.groups, scale, shift, EPSILON)
        return functional.layer_norm(x, list(scale.shape), scale, shift, EPSILON)

    def body(
        x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, residual: torch.Tensor | None
    ) -> torch.Tensor:
        y = norm(x, scale, shift)
        if residual is not None:
            y = y.add_(residual)
        return y if form == "plain" else functional.relu_(y)

    return body
