"""Golden figures of resizing, padding and pixel shuffling: results and gradients of PyTorch in float64.

Operands are filled in channels-last order by whole(shape, shift); results are printed in channels-last order,
as Tests/KeelReferenceTests/MovementGoldenTests.swift holds them.
Run: python Scripts/golden/movement.py
"""

import torch
import torch.nn.functional as F


def whole(shape, shift):
    i = torch.arange(torch.Size(shape).numel()) + shift
    return ((i * 7 + i * i % 5) % 11 - 5).double().reshape(shape)


def channels_first(t):
    return t.movedim(-1, 1).contiguous()


def channels_last(t):
    return t.movedim(1, -1)


def resize(size=None, **options):
    return lambda x: F.interpolate(x, size=size, **options)


def pad(amounts, mode, **options):
    return lambda x: F.pad(x, amounts, mode=mode, **options)


IMAGE, SMALL = (1, 2, 3, 2), (1, 4, 5, 1)
CASES = {
    "bilinear up": (IMAGE, resize((3, 5), mode="bilinear")),
    "bilinear up, corners aligned": (IMAGE, resize((3, 5), mode="bilinear", align_corners=True)),
    "bilinear up, corners aligned, to one row": (
        SMALL, resize((1, 7), mode="bilinear", align_corners=True)),
    "bilinear down": (SMALL, resize((2, 3), mode="bilinear")),
    "bilinear down, corners aligned": (
        SMALL, resize((2, 3), mode="bilinear", align_corners=True)),
    "bilinear by 1.5, scale kept": (SMALL, resize(scale_factor=1.5, mode="bilinear")),
    "nearest up": (IMAGE, resize((3, 5), mode="nearest")),
    "nearest down": (SMALL, resize((3, 2), mode="nearest")),
    "nearest-exact up": (IMAGE, resize((3, 5), mode="nearest-exact")),
    "nearest-exact down": (SMALL, resize((3, 2), mode="nearest-exact")),
    "linear up": ((1, 3, 2), resize((5,), mode="linear")),
    "trilinear up": ((1, 2, 1, 2, 1), resize((3, 2, 3), mode="trilinear")),
    "constant 9, cut above and left": (SMALL, pad((-1, 2, -2, 1), "constant", value=9)),
    "reflect": (SMALL, pad((2, 1, 0, 3), "reflect")),
    "replicate": (SMALL, pad((2, 1, 0, 3), "replicate")),
    "circular": (SMALL, pad((2, 5, 0, 4), "circular")),
    "pixel shuffle": ((1, 1, 2, 8), lambda x: F.pixel_shuffle(x, 2)),
    "pixel unshuffle": ((1, 2, 4, 2), lambda x: F.pixel_unshuffle(x, 2)),
}


def figures(t):
    return ", ".join(
        f"{float(v) if abs(v) > 1e-12 else 0:.10g}" for v in channels_last(t.detach()).reshape(-1))


for name, (shape, function) in CASES.items():
    x = channels_first(whole(shape, 0)).requires_grad_()
    y = function(x)
    y.backward(channels_first(whole(channels_last(y).shape, 1)))
    print(f"{name}: {shape} to {tuple(channels_last(y).shape)}")
    print(f"  y: [{figures(y)}]")
    print(f"  dx: [{figures(x.grad)}]")
