#!/usr/bin/env python3
"""Prints Tests/Figures/normalization.jsonl: norms by PyTorch, in double, one on each line.

    python Scripts/golden/normalization.py > Tests/Figures/normalization.jsonl

Needs torch. Inputs are sixteenths, so that Float holds them exactly; tensors are channels last. Each line has
the batches of a run of training, the gradients of the last one, the state after it, and y in evaluation.
"""

import json

import torch
from torch import nn

torch.manual_seed(13)
torch.set_default_dtype(torch.float64)


def sixteenths(*shape):
    return torch.randint(-48, 48, shape).double() / 16


def numbers(t):
    return [float(f"{v:.14g}") for v in t.detach().reshape(-1).tolist()]


def tensor(t):
    return {"shape": list(t.shape), "values": numbers(t)}


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def fill(module, extra=()):
    """Sixteenths in every parameter; returns them by the names that Keel gives them."""
    names = {"weight": "scale", "bias": "shift"}
    for name, p in module.named_parameters():
        p.data = sixteenths(*p.shape)
    return {names.get(n, n): tensor(p) for n, p in module.named_parameters()}


def norm(name, kind, module, shape, batches, channels_first, **options):
    parameters = fill(module)
    xs = [sixteenths(*shape) for _ in range(batches)]
    for x in xs:
        x.requires_grad_()
        y = module(first(x)) if channels_first else module(x)
        y = last(y) if channels_first else y
    dy = sixteenths(*y.shape)
    y.backward(dy)
    gradients = {"scale": module.weight, "shift": getattr(module, "bias", None)}
    states = {"runningMean": getattr(module, "running_mean", None),
              "runningVariance": getattr(module, "running_var", None)}
    module.eval()
    e = module(first(xs[-1])) if channels_first else module(xs[-1])
    print(json.dumps({
        "name": name, "kind": kind, "options": options, "parameters": parameters,
        "batches": [tensor(x) for x in xs], "dy": tensor(dy), "y": tensor(y), "dx": tensor(xs[-1].grad),
        "gradients": {k: tensor(p.grad) for k, p in gradients.items() if p is not None},
        "states": {k: tensor(s) for k, s in states.items() if s is not None},
        "evaluation": tensor(last(e) if channels_first else e),
    }))


for dims, shape in [(1, (6, 5)), (1, (2, 4, 3)), (2, (3, 2, 3, 4)), (3, (2, 2, 2, 2, 3))]:
    Module = [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d][dims - 1]
    c = shape[-1]
    for momentum, eps in [(0.1, 1e-5), (0.4, 1e-2), (None, 1e-5)]:
        norm(f"batch {shape}, momentum {momentum}", "batch", Module(c, eps=eps, momentum=momentum), shape, 3,
             len(shape) > 2, epsilon=eps, channels=c, affine=1, tracks=1,
             **({} if momentum is None else {"momentum": momentum}))
    norm(f"batch {shape}, bare", "batch", Module(c, affine=False, track_running_stats=False), shape, 1,
         len(shape) > 2, epsilon=1e-5, channels=c, affine=0, tracks=0, momentum=0.1)

for shape in [(2, 4, 3), (3, 2, 3, 4), (2, 2, 2, 2, 3)]:
    Module = [nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d][len(shape) - 3]
    c = shape[-1]
    for affine, tracks in [(False, False), (True, False), (True, True), (False, True)]:
        norm(f"instance {shape}, affine {affine}, tracks {tracks}", "instance",
             Module(c, affine=affine, track_running_stats=tracks, momentum=0.3), shape, 2, True,
             epsilon=1e-5, channels=c, affine=int(affine), tracks=int(tracks), momentum=0.3)

for shape, c, groups in [((3, 2, 3, 6), 6, [1, 2, 3, 6]), ((2, 5, 4), 4, [2]), ((4, 8), 8, [2, 4])]:
    for g in groups:
        norm(f"group {shape}, {g} groups", "group", nn.GroupNorm(g, c, eps=1e-4), shape, 1, len(shape) > 2,
             epsilon=1e-4, channels=c, groups=g)

for shape, axes in [((4, 7), 1), ((3, 2, 3, 4), 1), ((3, 2, 3, 4), 2), ((3, 2, 3, 4), 3)]:
    norm(f"layer {shape}, last {axes}", "layer", nn.LayerNorm(shape[-axes:]), shape, 1, False,
         epsilon=1e-5, axes=axes)
    norm(f"layer {shape}, last {axes}, no bias", "layer", nn.LayerNorm(shape[-axes:], bias=False), shape, 1,
         False, epsilon=1e-5, axes=axes)
    for eps in [None, 1e-3]:
        norm(f"RMS {shape}, last {axes}, epsilon {eps}", "RMS", nn.RMSNorm(shape[-axes:], eps=eps), shape, 1,
             False, axes=axes, epsilon=eps if eps is not None else float(torch.finfo(torch.float64).eps))


def spectral(name, kind, module, weight_axes, shape, axis, steps, batches):
    """`weight_axes` take PyTorch's weight to Keel's, the output axis first for the matrix of u and v."""
    fill(module)
    # The form that steps v first and then u, as the paper does.
    normalized = nn.utils.spectral_norm(module, n_power_iterations=steps, dim=axis)
    w = normalized.weight_orig
    matrix = w.movedim(axis, 0)
    rest = matrix.shape[1:]
    # The columns of PyTorch's matrix are in its own order of axes; Keel's v is in that of its weight.
    keel_axis = weight_axes.index(axis)
    order = [weight_axes.index(a) for a in range(w.dim()) if a != axis]
    order = [p if p < keel_axis else p - 1 for p in order]

    def v():
        return normalized.weight_v.reshape(rest).permute([order.index(k) for k in range(len(order))]).reshape(1, -1)

    u0, v0 = tensor(normalized.weight_u.reshape(1, -1)), tensor(v())
    normalized.train()
    for _ in range(batches):
        x = sixteenths(*shape)
        x.requires_grad_()
        w.grad = None
        y = last(normalized(first(x))) if len(shape) > 2 else normalized(x)
    dy = sixteenths(*y.shape)
    y.backward(dy)
    u1, v1 = tensor(normalized.weight_u.reshape(1, -1)), tensor(v())
    normalized.eval()
    e = last(normalized(first(x))) if len(shape) > 2 else normalized(x)
    keel = lambda t: tensor(t.permute(weight_axes).contiguous())
    print(json.dumps({
        "name": name, "kind": kind, "options": {"steps": steps, "batches": batches, "outputs": y.shape[-1]},
        "parameters": {"weight": keel(w), "u": u0, "v": v0},
        "batches": [tensor(x)], "dy": tensor(dy), "y": tensor(y), "dx": tensor(x.grad),
        "gradients": {"weight": keel(w.grad)}, "states": {"u": u1, "v": v1}, "evaluation": tensor(e),
    }))


spectral("spectral linear", "spectralLinear", nn.Linear(5, 3, bias=False), [0, 1], (4, 5), 0, 1, 1)
spectral("spectral linear, several steps", "spectralLinear", nn.Linear(4, 6, bias=False), [0, 1], (3, 4), 0, 4, 2)
spectral("spectral convolution", "spectralConvolution", nn.Conv2d(3, 4, 2, bias=False), [0, 2, 3, 1], (2, 4, 5, 3),
         0, 1, 2)
spectral("spectral transposed convolution", "spectralTransposed", nn.ConvTranspose2d(3, 4, 2, bias=False),
         [0, 2, 3, 1], (2, 3, 2, 3), 1, 2, 1)
