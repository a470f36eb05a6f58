"""Networks as contenders: PyTorch, ONNX Runtime, OpenVINO and ncnn.

All are left to wait for their next piece of work as they do by default, spinning where they spin (but
PyTorch's and ncnn's OpenMP threads: see torch_peer), because within a run that is part of how fast they are.
After a sample `settle` waits until all threads of this process sleep: spinning on they would take a core from
the next contender. Sessions without spinning would make runs on several threads slower.

Inputs are set once, and outputs are not copied out, for these as for Keel.
"""

from __future__ import annotations

import copy
import pathlib
import time
import warnings
from collections.abc import Callable
from importlib import metadata

# Before the libraries that read the settings which it makes.
from torch_peer import CHANNELS_LAST, settle

import ncnn  # isort: skip
import numpy
import onnxruntime
import openvino
import torch

from shapes import Array

_CORE = openvino.Core()
# OpenVINO counts the CPUs that it may use when its plugin is loaded, and never again: that must be before
# the process is confined to fewer, or runs on several threads would be given one.
_CORE.get_property("CPU", "FULL_DEVICE_NAME")


def versions() -> dict[str, str]:
    """The versions of the runtimes, by their names."""
    return {name: metadata.version(name) for name in ("onnxruntime", "openvino", "ncnn")}


class NetworkPeer:
    """A network with its input: `_once` runs it."""

    def _once(self) -> None:
        raise NotImplementedError

    def _result(self) -> Array:
        """The result of the last run."""
        raise NotImplementedError

    def run(self, repetitions: int, warms: bool = True) -> float:
        """Seconds of one run, the mean of the repetitions; one more before them, if any, is not timed."""
        if warms:
            self._once()
        start = time.perf_counter()
        for _ in range(repetitions):
            self._once()
        seconds = time.perf_counter() - start
        settle()
        return seconds / repetitions

    def results(self) -> dict[str, Array]:
        """What a run computes, in the order of the ONNX file."""
        self._once()
        settle()
        return {"y": numpy.array(self._result())}


class Torch(NetworkPeer):
    """PyTorch: what is called with x."""

    def __init__(
        self, body: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, threads: int
    ) -> None:
        self._body, self._x, self._threads = body, x, threads

    def run(self, repetitions: int, warms: bool = True) -> float:
        """As all contenders."""
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            return super().run(repetitions, warms)

    def results(self) -> dict[str, Array]:
        """As all contenders."""
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            return super().results()

    def _once(self) -> None:
        self._y = self._body(self._x)

    def _result(self) -> Array:
        array: Array = self._y.contiguous().numpy()
        return array


def pytorch(module: torch.nn.Module, mode: str, x: Array, threads: int) -> Torch:
    """PyTorch `eager`, as a `frozen` trace or `compiled`; any of them in `channels_last` too."""
    # Cloned, because NumPy's memory is not aligned to cache lines, and PyTorch's own is.
    held = torch.from_numpy(x).clone()
    if mode.endswith(CHANNELS_LAST):
        held = held.contiguous(memory_format=torch.channels_last)
        module = copy.deepcopy(module).to(memory_format=torch.channels_last)
    torch.set_num_threads(threads)
    if mode.startswith("frozen"):
        return Torch(frozen(module, held), held, threads)
    if mode.startswith("compiled"):
        torch.compiler.reset()
        compiled = torch.compile(module, dynamic=False, options={"freezing": True})
        return Torch(compiled, held, threads)
    return Torch(module, held, threads)


def frozen(module: torch.nn.Module, x: torch.Tensor) -> torch.jit.ScriptModule:
    """A trace with its weights as constants, batch norms folded and what follows fused."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        trace = torch.jit.freeze(torch.jit.trace(module, x))
        try:
            return torch.jit.optimize_for_inference(trace)
        except RuntimeError:
            # It does not take every network.
            return trace


class OnnxRuntime(NetworkPeer):
    """ONNX Runtime with a batch of its own, which it may plan for."""

    def __init__(self, file: pathlib.Path, x: Array, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_free_dimension_override_by_name("batch", x.shape[0])
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._x = onnxruntime.OrtValue.ortvalue_from_numpy(x)
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input("x", self._x)
        self._binding.bind_output("y")

    def _once(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def _result(self) -> Array:
        array: Array = self._binding.get_outputs()[0].numpy()
        return array


class OpenVino(NetworkPeer):
    """OpenVINO for the shortest time of one batch, in float32."""

    def __init__(self, file: pathlib.Path, x: Array, threads: int) -> None:
        model = _CORE.read_model(str(file))
        model.reshape({"x": list(x.shape)})
        settings = {
            "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
        }  # fmt: skip
        self._request = _CORE.compile_model(model, "CPU", settings).create_infer_request()
        self._request.input_tensors[0].data[:] = x

    def _once(self) -> None:
        self._request.infer()

    def _result(self) -> Array:
        array: Array = self._request.get_output_tensor().data
        return array


class Ncnn(NetworkPeer):
    """ncnn in float32, with the allocators of its own benchmark; of one image."""

    def __init__(
        self, structure: pathlib.Path, weights: pathlib.Path, x: Array, threads: int
    ) -> None:
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        for narrow in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"):
            setattr(options, f"use_{narrow}", False)
        self._allocators = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        options.blob_allocator, options.workspace_allocator = self._allocators
        if self._net.load_param(str(structure)) or self._net.load_model(str(weights)):
            raise RuntimeError(f"ncnn: cannot read {structure}")
        self._x = ncnn.Mat(x[0]).clone()
        self._y: ncnn.Mat | None = None

    def _once(self) -> None:
        # The memory of the last result can be used again.
        self._y = None
        extractor = self._net.create_extractor()
        extractor.input("in0", self._x)
        _, self._y = extractor.extract("out0")

    def _result(self) -> Array:
        return numpy.array(self._y)[None]
