#!/usr/bin/env python3
"""What PyTorch counts of the built-in networks: writes Tests/Figures/summary.json.

For each network: its trainable values, running statistics, the multiply-adds of a forward pass of one
image and of a forward and a backward pass of two (half of FlopCounterMode's figures), and for each layer
with weights its output's shape (channels last), parameters and multiply-adds, sorted. For some also the
receptive field of the last value with positions, found by following a gradient to the image, and for
torchvision's networks the names of the state dictionary.

Photographs' networks are torchvision's own, of which only the Python files are needed: it runs without
its compiled operators. Others are written here. Needs torch and torchvision:

    python Scripts/golden/summary.py            # writes the file
    python Scripts/golden/summary.py --check    # exits with 1 where it differs
"""

import json
import pathlib
import sys

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Without its compiled library torchvision fails at import, where it describes operators that are not there.
describe, torch.library.register_fake = torch.library.register_fake, lambda *_, **__: lambda f: f
from torchvision import models  # noqa: E402

torch.library.register_fake = describe

FILE = pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Figures" / "summary.json"


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2450, 500), nn.ReLU(), nn.Linear(500, 10))


def batchnorm_net():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10))


def cifar_plain():
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10))


class Basic(nn.Module):
    """A residual block whose shortcut, where shapes differ, takes every other position and adds channels
    of zeros, and so has no weights."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.added, self.stride = outputs - inputs, stride
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU()

    def forward(self, x):
        skipped = x[:, :, :: self.stride, :: self.stride]
        before = self.added // 2
        skipped = nn.functional.pad(skipped, (0, 0, 0, 0, before, self.added - before))
        return self.relu(self.body(x) + skipped)


def resnet20():
    layers, width = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for outputs in (16, 32, 64):
        for position in range(3):
            layers.append(Basic(width, outputs, 2 if position == 0 and outputs > 16 else 1))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def digits():
    layers, channels = [nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for width in (16, 32, 64):
        for position in range(2):
            layers.append(Bottleneck(channels, width, 2 if position == 0 and width > 16 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


class UNet(nn.Module):
    def __init__(self, channels, classes, width, padding, norm):
        super().__init__()

        def pair(inputs, outputs):
            layers = []
            for i in (inputs, outputs):
                layers.append(nn.Conv2d(i, outputs, 3, padding=padding, bias=not norm))
                layers += [nn.BatchNorm2d(outputs)] if norm else []
                layers.append(nn.ReLU())
            return nn.Sequential(*layers)

        widths = [width << level for level in range(5)]
        self.down = nn.ModuleList(pair(i, o) for i, o in zip([channels] + widths, widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(pair(2 * w, w) for w in reversed(widths[:-1]))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        kept = []
        for level, layer in enumerate(self.down):
            x = layer(self.pool(x) if level else x)
            kept.append(x)
        for up, merge, skipped in zip(self.up, self.merge, reversed(kept[:-1])):
            x = up(x)
            h, w = x.shape[2:]
            top, left = (skipped.shape[2] - h) // 2, (skipped.shape[3] - w) // 2
            x = merge(torch.cat([skipped[:, :, top:top + h, left:left + w], x], 1))
        return self.head(x)


NETWORKS = {
    "digits": (digits, [1, 8, 8]),
    "lenet": (lenet, [1, 28, 28]),
    "batchnorm-net": (batchnorm_net, [1, 28, 28]),
    "cifar-plain": (cifar_plain, [3, 32, 32]),
    "resnet20": (resnet20, [3, 32, 32]),
    "resnet18": (models.resnet18, [3, 224, 224]),
    "resnet34": (models.resnet34, [3, 224, 224]),
    "resnet50": (models.resnet50, [3, 224, 224]),
    "vgg11": (models.vgg11, [3, 224, 224]),
    "vgg11-bn": (models.vgg11_bn, [3, 224, 224]),
    "mobilenet-v2": (models.mobilenet_v2, [3, 224, 224]),
    "densenet121": (models.densenet121, [3, 224, 224]),
    "unet": (lambda: UNet(1, 2, 64, 0, False), [1, 572, 572]),
    "unet-padded": (lambda: UNet(3, 1, 32, 1, True), [3, 256, 256]),
}

# The part that ends in positions and an image larger than its field. A narrow U-Net has the same field.
FIELDS = {
    "lenet": (lambda: lenet()[:6], [1, 64, 64]),
    "batchnorm-net": (lambda: batchnorm_net()[:8], [1, 32, 32]),
    "cifar-plain": (lambda: cifar_plain()[:6], [3, 64, 64]),
    "resnet20": (lambda: resnet20()[:-3], [3, 192, 192]),
    "resnet18": (lambda: nn.Sequential(*list(models.resnet18().children())[:-2]), [3, 608, 608]),
    "resnet50": (lambda: nn.Sequential(*list(models.resnet50().children())[:-2]), [3, 608, 608]),
    "vgg11": (lambda: models.vgg11().features, [3, 288, 288]),
    "mobilenet-v2": (lambda: models.mobilenet_v2().features, [3, 608, 608]),
    "unet": (lambda: UNet(1, 2, 2, 0, False), [1, 476, 476]),
    "unet-padded": (lambda: UNet(3, 1, 2, 1, True), [3, 512, 512]),
}


def multiply_adds(counter):
    total = counter.get_total_flops()
    assert total % 2 == 0
    return total // 2


def figures(make, image):
    with torch.device("meta"):
        network = make().eval()
        x = torch.zeros([1] + image)
        pair = torch.zeros([2] + image)
    shapes = {}
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.modules.batchnorm._BatchNorm)):
            def hook(_, inputs, output, name=name):
                n, c, *rest = output.shape
                shapes[name] = [n, *rest, c]
            module.register_forward_hook(hook)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    top = type(network).__name__
    layers = []
    for name, shape in shapes.items():
        module = network.get_submodule(name)
        counts = counter.get_flop_counts().get(f"{top}.{name}", {})
        layers.append([shape, sum(p.numel() for p in module.parameters()), sum(counts.values()) // 2])
    forward = multiply_adds(counter)
    assert sum(layer[2] for layer in layers) == forward
    result = {
        "input": [1, *image[1:], image[0]],
        "parameters": sum(p.numel() for p in network.parameters()),
        "running_statistics": sum(b.numel() for b in network.buffers() if b.dim() > 0),
        "multiply_adds": forward,
        "layers": sorted(layers),
    }
    # FlopCounterMode counts the weight gradient of a grouped convolution as if it had one group.
    if all(getattr(module, "groups", 1) == 1 for module in network.modules()):
        network.train()
        with FlopCounterMode(display=False) as counter:
            network(pair).sum().backward()
        result["training_multiply_adds"] = multiply_adds(counter)
    if type(network).__module__.startswith("torchvision."):
        names = network.state_dict().keys()
        result["names"] = sorted(n for n in names if not n.endswith("num_batches_tracked"))
    return result


def field(make, image):
    """The side of the part of the image that a position sees: where its gradient is not zero, once every
    weight is positive and nothing chooses."""
    network = make().double()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (nn.ReLU, nn.ReLU6, nn.modules.batchnorm._BatchNorm)):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.fill_(1 / max(parameter[0].numel(), 1))
    x = torch.ones([1] + image, dtype=torch.double, requires_grad=True)
    y = network(x)
    side, largest = y.shape[3], 0
    # Behind a transposed convolution neighbours see parts of different sizes.
    for i in range(side // 2, side // 2 + (16 if isinstance(network, UNet) else 1)):
        (gradient,) = torch.autograd.grad(y[0, :, i, i].sum(), x, retain_graph=True)
        seen = gradient[0, 0].abs().sum(0).nonzero().flatten()
        low, high = seen.min().item(), seen.max().item()
        assert low > 0 and high < image[2] - 1, "the image is too small for the field"
        largest = max(largest, high - low + 1)
    return largest


def text():
    lines = []
    for name, (make, image) in NETWORKS.items():
        result = figures(make, image)
        if name in FIELDS:
            result["field"] = field(*FIELDS[name])
        layers = ",\n".join(f"      {json.dumps(layer)}" for layer in result.pop("layers"))
        head = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in result.items())
        lines.append(f'  {json.dumps(name)}: {{\n{head},\n    "layers": [\n{layers}\n    ]\n  }}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    made = text()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if FILE.read_text() == made else f"{FILE} differs from what this script makes")
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(made)
