"""The networks whose inference is compared, their files, and every contender by its name."""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

import networks
from accuracy import difference
from networks import Network
from shapes import Array

if TYPE_CHECKING:
    from keel_peer import KeelPeer
    from runtimes import NetworkPeer

PASSES = ("forward",)
SEED = 20_260_518
# The length that `tolerance` takes: it allows 1e-3 of the largest value, since a contender may choose
# algorithms like Winograd's.
LENGTH = 1_000_000
# How Keel's plans are made; each mode's error is measured, the first is timed.
MODES = ("default", "exact")
# Where files are kept from run to run, one folder for each definition of the networks.
CACHE = pathlib.Path(__file__).resolve().parent.parent / ".networks"


@dataclass(frozen=True)
class NetworkShape:
    """A network at a batch size; tensors are N×C×H×W, as in its ONNX file."""

    title: str
    network: Network
    batch: int
    # Of one result, without the batch.
    output: tuple[int, ...]

    @property
    def figures(self) -> dict[str, Any]:
        """The size, for JSON."""
        return {"network": self.title, "batch": self.batch}

    def results(self, which: str) -> dict[str, tuple[tuple[int, ...], int]]:
        """The one result: its shape, and what stands for the length of the sum behind an element."""
        return {"y": ((self.batch, *self.output), LENGTH)}

    def request(self, threads: int, mode: str) -> dict[str, Any]:
        """What Keel's process is asked for."""
        return {
            "path": str(onnx_file(self.network)), "batch": self.batch, "threads": threads,
            "exact": mode == "exact",
        }  # fmt: skip


@dataclass(frozen=True)
class NetworkLine:
    """What `--lines` matches, such as `ResNet-18 b1 224x224`."""

    shape: NetworkShape

    @property
    def name(self) -> str:
        size = self.shape.network.size
        return f"{self.shape.title} b{self.shape.batch} {size}x{size}"


def inference_lines() -> list[NetworkLine]:
    """All lines: one image, and a batch, of every network."""
    of, own = networks.torchvision, Network
    chosen: list[tuple[str, Network, int, tuple[int, ...]]] = [
        ("ResNet-18", of("resnet18"), 16, (1000,)),
        ("ResNet-50", of("resnet50"), 16, (1000,)),
        ("VGG-11-BN", of("vgg11_bn"), 16, (1000,)),
        ("MobileNetV2", of("mobilenet_v2"), 16, (1000,)),
        ("DenseNet-121", of("densenet121"), 16, (1000,)),
        ("U-Net", own("unet32", lambda: networks.UNet(32, 4), size=256), 16, (2, 256, 256)),
        ("StyleTransfer", own("style_transfer", networks.StyleTransfer, size=512), 4, (3, 512, 512)),
        ("LeNet-5", own("lenet5", networks.LeNet, 1, 28), 16, (10,)),
        ("BatchNormNet", own("batchnorm_net", networks.BatchNormNet, 1, 28), 16, (10,)),
    ]
    return [
        NetworkLine(NetworkShape(title, network, batch, output))
        for title, network, batched, output in chosen
        for batch in (1, batched)
    ]


def group(line: NetworkLine) -> str:
    """What means are taken over beside those over all lines."""
    return "batch 1" if line.shape.batch == 1 else "batch of 4 or 16"


def operands(shape: NetworkShape) -> dict[str, Array]:
    """Draws images, the same in every run."""
    x: Array = shape.network.images(shape.batch, SEED + 1).numpy()
    return {"x": x}


@functools.lru_cache(maxsize=1)
def module(network: Network) -> torch.nn.Module:
    """The network with its random weights and statistics, the same in every run; not to be changed."""
    return network.module(SEED)


@functools.lru_cache(maxsize=1)
def double_result(shape: NetworkShape) -> Array:
    """What PyTorch computes in float64."""
    x = torch.from_numpy(operands(shape)["x"]).double()
    doubled = copy.deepcopy(module(shape.network)).double()
    with torch.inference_mode():
        result: Array = doubled(x).numpy()
    return result


def file(network: Network, suffix: str) -> pathlib.Path:
    """Where a file of a network is kept: in a folder for this PyTorch and the source of the networks."""
    digest = hashlib.sha256(f"{torch.__version__} {SEED}".encode())
    digest.update(pathlib.Path(networks.__file__).read_bytes())
    folder = CACHE / digest.hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{network.name}-{network.size}{suffix}"


def onnx_file(network: Network) -> pathlib.Path:
    """The network's ONNX file with its batch open, written where there is none yet."""
    wanted = file(network, ".onnx")
    if not wanted.exists():
        part = wanted.with_suffix(f".{os.getpid()}.part")
        networks.export(module(network), network.images(1, SEED), "trace", part)
        part.replace(wanted)
    return wanted


def ncnn_files(network: Network) -> tuple[pathlib.Path, pathlib.Path]:
    """The network's files for ncnn, structure and weights in Float, for one image."""
    wanted = file(network, ".ncnn.param"), file(network, ".ncnn.bin")
    if not all(path.exists() for path in wanted):
        import pnnx

        x = network.images(1, SEED)
        with tempfile.TemporaryDirectory(dir=wanted[0].parent) as folder:
            trace = pathlib.Path(folder, "model.pt")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.jit.trace(module(network), x).save(str(trace))
            written = trace.with_suffix(".ncnn.param"), trace.with_suffix(".ncnn.bin")
            size = ",".join(map(str, x.shape))
            # The module's own function also reads the Python that it writes, which not all networks make valid.
            done = subprocess.run(
                [pnnx.EXEC_PATH, trace, f"inputshape=[{size}]", "fp16=0"], cwd=folder,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode != 0 or not all(path.exists() for path in written):
                raise RuntimeError(f"pnnx, {network.name}: {done.stderr[-500:]}")
            for path, to in zip(written, wanted, strict=True):
                path.replace(to)
    return wanted


def contenders(shape: NetworkShape, compiled: bool) -> list[str]:
    """The names of all that a line is timed with, PyTorch's eager mode first."""
    names = ["torch_eager", "torch_channels_last", "torch_frozen", "torch_frozen_channels_last"]
    names += ["torch_compiled", "torch_compiled_channels_last"] if compiled else []
    names += ["onnxruntime", "openvino"]
    return names + ["ncnn"] if shape.batch == 1 else names


def peer(
    shape: NetworkShape, which: str, data: dict[str, Array], name: str, threads: int
) -> NetworkPeer:
    """A contender by its name, ready to run."""
    import runtimes

    network, x = shape.network, data["x"]
    if name == "onnxruntime":
        return runtimes.OnnxRuntime(onnx_file(network), x, threads)
    if name == "openvino":
        return runtimes.OpenVino(onnx_file(network), x, threads)
    if name == "ncnn":
        return runtimes.Ncnn(*ncnn_files(network), x, threads)
    return runtimes.pytorch(module(network), name.removeprefix("torch_"), x, threads)


def errors(
    keel: KeelPeer, shape: NetworkShape, threads: int, reference: dict[str, Array]
) -> dict[str, float]:
    """The largest differences from the result in float64, relative to the largest value: PyTorch's own in
    float32, and Keel's in every mode."""
    expected = double_result(shape)
    found = {"torch": reference["y"]}
    for mode in MODES:
        keel.infer(shape, threads, mode)
        keel.run(1)
        found[mode] = keel.result("y", expected.shape)
    return {name: difference(array, expected) for name, array in found.items()}


def versions() -> dict[str, str]:
    """What a reader needs to know about the runtimes."""
    import runtimes

    return runtimes.versions()
