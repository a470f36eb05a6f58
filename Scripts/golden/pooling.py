"""Makes Tests/KeelTestSupport/PoolingGoldens.swift: poolings, their gradients and indices by PyTorch.

Usage: Scripts/golden/pooling.py > Tests/KeelTestSupport/PoolingGoldens.swift

Inputs are whole numbers over 16 in an order that repeats, so that there are ties, and come from a formula
that the tests know too. PyTorch computes in float64; Keel's tensors are channels last.
"""

import torch
import torch.nn.functional as F

BATCH, CHANNELS = 1, 2


def formula(count, a, b, modulus, divisor):
    return [((i * a + b) % modulus - modulus // 2) / divisor for i in range(count)]


def channels_first(values, extents, channels=CHANNELS):
    x = torch.tensor(values, dtype=torch.float64).reshape(BATCH, *extents, channels)
    return x.movedim(-1, 1).contiguous()


def channels_last(x):
    return x.movedim(1, -1).reshape(-1).tolist()


def sliding(kind, x, window, stride, padding, dilation, ceil):
    axes = len(window)
    if kind == "maximum":
        pool = [F.max_pool1d, F.max_pool2d, F.max_pool3d][axes - 1]
        return pool(x, window, stride, padding, dilation, ceil, return_indices=True)
    if kind == "l2":
        pool = [F.lp_pool1d, F.lp_pool2d, F.lp_pool3d][axes - 1]
        return pool(x, 2.0, window if axes > 1 else window[0], stride if axes > 1 else stride[0], ceil), None
    pool = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][axes - 1]
    return pool(x, window, stride, padding, ceil, kind == "average(countsPadding: true)"), None


def adaptive(kind, x, output):
    axes = len(output)
    if kind == "maximum":
        pool = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d][axes - 1]
        return pool(x, output, return_indices=True)
    pool = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d][axes - 1]
    return pool(x, output), None


AVERAGES = ["average(countsPadding: true)", "average(countsPadding: false)"]
CASES = []
for kind in ["maximum"] + AVERAGES:
    for ceil in [False, True]:
        CASES += [
            (kind, [5, 6], [3, 2], [2, 2], [1, 1], [1, 1], ceil),
            (kind, [5, 4], [2, 3], [3, 2], [1, 0], [1, 1], ceil),
        ]
    CASES.append((kind, [8], [3], [3], [1], [1], True))
    CASES.append((kind, [3, 4, 3], [2, 3, 2], [2, 2, 1], [1, 1, 0], [1, 1, 1], True))
CASES += [
    ("maximum", [7, 6], [2, 3], [2, 1], [1, 1], [3, 2], True),
    ("l2", [5, 6], [2, 3], [1, 3], [0, 0], [1, 1], False),
    ("l2", [6], [3], [2], [0], [1], False),
]
ADAPTIVE = [
    (kind, *sizes)
    for kind in ["maximum", AVERAGES[1]]
    for sizes in [([5, 7], [3, 4]), ([6, 4], [3, 1]), ([3, 2], [5, 2]), ([7], [3]), ([3, 4, 2], [2, 3, 1])]
]


def literal(values):
    out, line = [], "        "
    for value in values:
        word = f"{value:.17g}" if isinstance(value, float) else str(value)
        if len(line) + len(word) + 2 > 100:
            out.append(line.rstrip())
            line = "        "
        line += word + ", "
    if len(" ".join(map(str, values))) < 60:
        return "[" + ", ".join(f"{v:.17g}" if isinstance(v, float) else str(v) for v in values) + "]"
    return "[\n" + "\n".join(out + [line.rstrip()]) + "\n      ]"


def main():
    print("// Made by Scripts/golden/pooling.py with PyTorch", torch.__version__.split("+")[0] + ".")
    print("\nimport KeelTensor\n\nextension PoolingGolden {")
    print("  /// Poolings of one image of two channels.")
    print("  public static let all: [PoolingGolden] = [")
    cases = []
    for kind, extents, window, stride, padding, dilation, ceil in CASES:
        axes = [
            f".sliding({i}, {w}, {s}, {p}, {d}, {str(ceil).lower()})"
            for i, w, s, p, d in zip(extents, window, stride, padding, dilation)
        ]
        run = lambda x, k=kind, w=window, s=stride, p=padding, d=dilation, c=ceil: sliding(k, x, w, s, p, d, c)
        cases.append((kind, extents, axes, run))
    for kind, extents, output in ADAPTIVE:
        axes = [f".adaptive({i}, {o})" for i, o in zip(extents, output)]
        cases.append((kind, extents, axes, lambda x, k=kind, o=output: adaptive(k, x, o)))
    for kind, extents, axes, run in cases:
        count = BATCH * CHANNELS
        for extent in extents:
            count *= extent
        x = channels_first(formula(count, 37, 11, 41, 16), extents).requires_grad_()
        y, indices = run(x)
        dy = channels_first(formula(y.numel(), 29, 3, 17, 8), y.shape[2:])
        y.backward(dy)
        print("    PoolingGolden(")
        print(f"      .{kind}, [{', '.join(axes)}],")
        print(f"      y: {literal(channels_last(y.detach()))},")
        if indices is not None:
            print(f"      indices: {literal(channels_last(indices))},")
        print(f"      dx: {literal(channels_last(x.grad))}),")
    print("  ]\n}")


main()
