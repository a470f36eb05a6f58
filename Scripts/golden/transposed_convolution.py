"""Golden figures of transposed convolutions: results and gradients of PyTorch for small whole numbers.

Every sum is exact in float32. Operands are filled in channels-last order by whole(i, shift); results are
printed in channels-last order, as Tests/KeelReferenceTests/TransposedConvolutionTests.swift holds them.
Run: python Scripts/golden/transposed_convolution.py
"""

import torch

CASES = {
    "1-D, stride 2, output padding above the stride": dict(
        x=(1, 3, 2), outputs=2, kernel=(2,), stride=2, padding=1, output_padding=2, dilation=3),
    "2-D, 2 groups, stride 2×1, output padding 1×0": dict(
        x=(1, 2, 2, 4), outputs=2, kernel=(3, 2), stride=(2, 1), padding=(1, 0),
        output_padding=(1, 0), groups=2),
    "3-D, depthwise": dict(
        x=(1, 2, 1, 2, 2), outputs=2, kernel=(2, 1, 2), stride=(1, 2, 2), groups=2),
}


def whole(shape, shift):
    i = torch.arange(torch.Size(shape).numel()) + shift
    return ((i * 7 + i * i % 5) % 11 - 5).float().reshape(shape)


def channels_first(t):
    return t.movedim(-1, 1).contiguous()


def channels_last(t):
    return [int(v) for v in t.movedim(1, -1).reshape(-1)]


for name, case in CASES.items():
    case = dict(case)
    shape, outputs, kernel = case.pop("x"), case.pop("outputs"), case.pop("kernel")
    groups = case.get("groups", 1)
    x = channels_first(whole(shape, 0)).requires_grad_()
    w = channels_first(whole((shape[-1], *kernel, outputs // groups), 3)).requires_grad_()
    b = whole((outputs,), 5).requires_grad_()
    function = getattr(torch.nn.functional, f"conv_transpose{len(kernel)}d")
    y = function(x, w, b, **case)
    last = (y.shape[0], *y.shape[2:], y.shape[1])
    y.backward(channels_first(whole(last, 1)))
    print(name, tuple(last))
    for label, t in [("y", y), ("dx", x.grad), ("dWeight", w.grad)]:
        print(f"  {label}: {channels_last(t.detach())}")
    print(f"  dBias: {[int(v) for v in b.grad]}")
