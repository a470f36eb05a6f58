"""Golden figures of convolutions with padding modes: results and gradients of PyTorch for small whole numbers.

Every sum is exact in float32. Operands are filled in channels-last order by whole(shape, shift); results are
printed in channels-last order, as Tests/KeelExecutionTests/ConvolutionPaddingTests.swift holds them.
Run: python Scripts/golden/convolution_padding.py
"""

import torch

CASES = {
    "1-D, reflect, stride 2": dict(
        x=(1, 5, 2), outputs=1, kernel=(3,), stride=2, padding=2, padding_mode="reflect"),
    "2-D, replicate, padding 1×2": dict(
        x=(1, 2, 3, 1), outputs=2, kernel=(3, 3), padding=(1, 2), padding_mode="replicate"),
    "2-D, circular, same, even window": dict(
        x=(1, 3, 3, 1), outputs=1, kernel=(2, 2), padding="same", padding_mode="circular"),
}


def whole(shape, shift):
    i = torch.arange(torch.Size(shape).numel()) + shift
    return ((i * 7 + i * i % 5) % 11 - 5).float().reshape(shape)


def channels_first(t):
    return t.movedim(-1, 1).contiguous()


def channels_last(t):
    return [int(v) for v in t.detach().movedim(1, -1).reshape(-1)]


for name, case in CASES.items():
    case = dict(case)
    shape, outputs, kernel = case.pop("x"), case.pop("outputs"), case.pop("kernel")
    layer = getattr(torch.nn, f"Conv{len(kernel)}d")(
        shape[-1], outputs, kernel, bias=False, **case)
    layer.weight.data = channels_first(whole((outputs, *kernel, shape[-1]), 3))
    x = channels_first(whole(shape, 0)).requires_grad_()
    y = layer(x)
    last = (y.shape[0], *y.shape[2:], y.shape[1])
    y.backward(channels_first(whole(last, 1)))
    print(name, tuple(last))
    for label, t in [("y", y), ("dx", x.grad), ("dWeight", layer.weight.grad)]:
        print(f"  {label}: {channels_last(t)}")
