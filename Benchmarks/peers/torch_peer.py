"""PyTorch as contenders: one for each way of holding the tensors in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

# Read when torch is loaded: its idle OpenMP threads sleep at once instead of spinning on the cores that
# Keel needs next. README.md says when to choose otherwise, with GOMP_SPINCOUNT.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KMP_BLOCKTIME", "0")

import torch  # noqa: E402

from shapes import Array, Shape  # noqa: E402

CONTIGUOUS = "contiguous"
CHANNELS_LAST = "channels_last"
# Channels last, with the weight brought into oneDNN's own order once, as frozen models have it. An
# eager conv2d reorders the weight in every call. Keel packs its forward weight once, too.
PREPACKED = "prepacked"

_FORMATS = {CONTIGUOUS: torch.contiguous_format, CHANNELS_LAST: torch.channels_last}


def versions() -> dict[str, str]:
    """What a reader needs to know about this PyTorch."""
    return {
        "torch": torch.__version__,
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_waiting": ", ".join(
            f"{name}={os.environ[name]}"
            for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
            if name in os.environ
        ),
    }


def layouts(which: str) -> list[str]:
    """The ways of holding tensors that a pass is timed in."""
    if which == "forward" and hasattr(torch.ops.mkldnn_prepacked, "conv2d_run"):
        return [CONTIGUOUS, CHANNELS_LAST, PREPACKED]
    return [CONTIGUOUS, CHANNELS_LAST]


def settle() -> None:
    """Waits until no thread of this process is running, at most half a second."""
    limit = time.perf_counter() + 0.5
    while time.perf_counter() < limit:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(0.001)
        if time.process_time() - used < 0.2 * (time.perf_counter() - start):
            return


class DifferentiablePass:
    """A pass that takes gradients where it trains: `_once` computes its results, in the order of names."""

    def __init__(self, threads: int, trains: bool) -> None:
        self._threads = threads
        self._trains = trains

    def _once(self) -> list[torch.Tensor]:
        raise NotImplementedError

    def _as_keels(self, tensor: torch.Tensor) -> Array:
        raise NotImplementedError

    def run(self, repetitions: int, warms: bool = True) -> float:
        """Seconds of one run, the mean of the repetitions; one more before them, if any, is not timed."""
        torch.set_num_threads(self._threads)
        with torch.set_grad_enabled(self._trains):
            if warms:
                self._once()
            start = time.perf_counter()
            for _ in range(repetitions):
                self._once()
            seconds = time.perf_counter() - start
        settle()
        return seconds / repetitions

    def named_results(self, names: list[str]) -> dict[str, Array]:
        """What a run computes, in Keel's layout; without training, the first of the names alone."""
        torch.set_num_threads(self._threads)
        with torch.set_grad_enabled(self._trains):
            tensors = self._once()
        settle()
        return {
            name: self._as_keels(tensor.detach())
            for name, tensor in zip(names, tensors, strict=False)
        }


class TorchPass:
    """One pass of one convolution in one memory format, ready to run."""

    def __init__(
        self, shape: Shape, which: str, operands: dict[str, Array], layout: str, threads: int
    ) -> None:
        self._threads = threads
        # Keel's layouts are N×H×W×C and Cout×kH×kW×Cin, of a transposed convolution Cin×kH×kW×Cout; in
        # PyTorch what is last comes second.
        held = _FORMATS[CONTIGUOUS if layout == CONTIGUOUS else CHANNELS_LAST]
        # Cloned, because NumPy's memory is not aligned to cache lines, and PyTorch's own is.
        x, weight, dy = (
            torch.from_numpy(operands[name]).permute(0, 3, 1, 2).clone(memory_format=held)
            for name in ("x", "weight", "dy")
        )
        self._body = _body(shape, which, layout, x, weight, dy)

    def run(self, repetitions: int, warms: bool = True) -> float:
        """Seconds of one run, the mean of the repetitions; one more before them, if any, is not timed."""
        torch.set_num_threads(self._threads)
        body = self._body
        with torch.inference_mode():
            if warms:
                body()
            start = time.perf_counter()
            for _ in range(repetitions):
                body()
            seconds = time.perf_counter() - start
        settle()
        return seconds / repetitions

    def results(self) -> dict[str, Array]:
        """What a run computes, in Keel's layout."""
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            array: Array = self._body().permute(0, 2, 3, 1).contiguous().numpy()
        settle()
        return {"result": array}


def _body(
    shape: Shape,
    which: str,
    layout: str,
    x: torch.Tensor,
    weight: torch.Tensor,
    dy: torch.Tensor,
) -> Callable[[], torch.Tensor]:
    stride, padding, dilation = [shape.stride] * 2, [shape.padding] * 2, [1, 1]
    output_padding, groups, mkldnn = [shape.output_padding] * 2, shape.groups, torch.ops.mkldnn
    if which == "forward" and layout == PREPACKED and shape.transposed:
        packed = mkldnn._reorder_convolution_transpose_weight(
            weight, padding, output_padding, stride, dilation, groups, list(x.shape)
        )
        transposed = mkldnn._convolution_transpose_pointwise
        return lambda: transposed(
            x, packed, None, padding, output_padding, stride, dilation, groups, "none", [], ""
        )
    if which == "forward" and layout == PREPACKED:
        packed = torch.ops.mkldnn_prepacked.conv2d_prepack(
            weight, None, stride, padding, dilation, groups, list(x.shape), "none"
        )
        run = torch.ops.mkldnn_prepacked.conv2d_run
        return lambda: run(x, packed)
    if which == "forward":
        convolution = torch.ops.aten.convolution
        return lambda: convolution(
            x, weight, None, stride, padding, dilation, shape.transposed, output_padding, groups
        )
    mask = [which == "input_gradient", which == "weight_gradient", False]
    index = mask.index(True)
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(
        dy, x, weight, None, stride, padding, dilation, shape.transposed, output_padding, groups, mask
    )[index]
