"""The networks of parity.py and of the suite `inference`: those of torchvision, and some that it lacks, with random
weights and statistics; and how they become ONNX files."""

from __future__ import annotations

import dataclasses
import functools
import importlib.machinery
import importlib.util
import pathlib
import sys
import types
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


@functools.cache
def _load_torchvision() -> types.ModuleType:
    """torchvision.models alone: its networks are plain Python, and its compiled operators fit one version of PyTorch
    only."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("torchvision is not installed: see requirements.txt")
    package = types.ModuleType("torchvision")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = importlib.machinery.ModuleSpec("torchvision", None, is_package=True)
    extension = types.ModuleType("torchvision.extension")
    extension._HAS_OPS = False  # type: ignore[attr-defined]
    extension._has_ops = lambda: False  # type: ignore[attr-defined]
    extension._assert_has_ops = lambda: None  # type: ignore[attr-defined]
    sys.modules["torchvision"] = package
    sys.modules["torchvision.extension"] = extension
    return importlib.import_module("torchvision.models")


class LeNet(nn.Sequential):
    """LeNet-5 for 28×28 images."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
        )  # fmt: skip


class BatchNormNet(nn.Sequential):
    """Keel's network of the same name, for 28×28 digits: batch norm behind everything but the classifier."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),
            nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
            nn.Linear(9216, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip


def _unit(channels: int, to: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, to, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(to),
        nn.ReLU(inplace=True),
    )


class MobileNetV1(nn.Sequential):
    """MobileNet (Howard et al. 2017): depthwise and pointwise convolutions in turn."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [_unit(3, 32, 3, 2)]
        channels = 32
        for to, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
            layers += [_unit(channels, channels, 3, stride, channels), _unit(channels, to, 1)]
            channels = to
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with batch norm and transposed convolutions."""

    def __init__(self, width: int = 16, levels: int = 4) -> None:
        super().__init__()
        widths = [width << i for i in range(levels + 1)]
        self.down = nn.ModuleList(
            nn.Sequential(_unit(a, b, 3), _unit(b, b, 3)) for a, b in zip([3, *widths], widths)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * a, a, 2, 2) for a in reversed(widths[:-1])
        )
        self.join = nn.ModuleList(
            nn.Sequential(_unit(2 * a, a, 3), _unit(a, a, 3)) for a in reversed(widths[:-1])
        )
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of two classes for each pixel."""
        kept: list[Tensor] = []
        for i, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if i else x)
            kept.append(x)
        kept.pop()
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([kept.pop(), up(x)], 1))
        return self.head(x)


class _StyleUnit(nn.Sequential):
    def __init__(self, channels: int, to: int, kernel: int, stride: int = 1, scale: int = 1) -> None:
        layers: list[nn.Module] = [nn.Upsample(scale_factor=scale)] if scale > 1 else []
        layers += [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(channels, to, kernel, stride)]
        super().__init__(*layers, nn.InstanceNorm2d(to, affine=True))


class _StyleBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _StyleUnit(channels, channels, 3)
        self.second = _StyleUnit(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x plus what two convolutions make of it."""
        return x + self.second(functional.relu(self.first(x)))


class StyleTransfer(nn.Module):
    """A network of fast style transfer (Johnson et al. 2016) with instance norm and reflected edges."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _StyleUnit(3, 32, 9), nn.ReLU(), _StyleUnit(32, 64, 3, 2), nn.ReLU(),
            _StyleUnit(64, 128, 3, 2), nn.ReLU(), *[_StyleBlock(128) for _ in range(5)],
            _StyleUnit(128, 64, 3, scale=2), nn.ReLU(), _StyleUnit(64, 32, 3, scale=2), nn.ReLU(),
            nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The picture in another style."""
        return self.body(x)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, and the images that it takes."""

    name: str
    make: Callable[[], nn.Module]
    channels: int = 3
    size: int = 224

    def module(self, seed: int) -> nn.Module:
        """The network in evaluation mode with random weights, scales, shifts and running statistics."""
        torch.manual_seed(seed)
        module = self.make().eval()
        with torch.no_grad():
            for part in module.modules():
                batch_norms = (nn.BatchNorm1d, nn.BatchNorm2d)
                if isinstance(part, (*batch_norms, nn.InstanceNorm2d)) and part.weight is not None:
                    part.weight.uniform_(0.5, 1.5)
                    part.bias.normal_(0, 0.3)
                if isinstance(part, batch_norms):
                    part.running_mean.normal_(0, 0.3)
                    part.running_var.uniform_(0.5, 1.5)
        return module

    def images(self, batch: int, seed: int) -> Tensor:
        """Images of normal numbers."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, self.channels, self.size, self.size, generator=generator)


def torchvision(name: str, size: int = 224, **options: object) -> Network:
    """A network of torchvision."""
    models = _load_torchvision()
    return Network(name, lambda: getattr(models, name)(weights=None, **options), size=size)


def networks() -> list[Network]:
    """The networks whose exports Keel reads."""
    of = torchvision
    return [
        of("resnet18"), of("resnet50"), of("resnext50_32x4d"), of("vgg11_bn"), of("vgg16"),
        of("densenet121"), of("inception_v3", 299, init_weights=False),
        of("googlenet", init_weights=False), of("squeezenet1_1"), of("shufflenet_v2_x1_0"),
        Network("mobilenet_v1", MobileNetV1), of("mobilenet_v2"), of("mobilenet_v3_large"),
        of("mobilenet_v3_small"), of("efficientnet_b0"), of("mnasnet1_0"), of("regnet_y_400mf"),
        of("regnet_x_400mf"), of("convnext_tiny"), of("alexnet"), Network("unet", UNet, size=128),
        Network("lenet5", LeNet, 1, 28), Network("style_transfer", StyleTransfer, size=128),
    ]  # fmt: skip


def export(module: torch.nn.Module, x: torch.Tensor, exporter: str, file: pathlib.Path) -> None:
    """Writes a network as ONNX, its batch open, by tracing (`trace`) or by the default exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "trace":
            torch.onnx.export(
                module, (x,), str(file), dynamo=False, training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False, input_names=["x"], output_names=["y"],
                dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
            )  # fmt: skip
        else:
            torch.onnx.export(
                module, (x,), str(file), dynamo=True, optimize=False, input_names=["x"],
                output_names=["y"], dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
            )  # fmt: skip
