"""Special values of arithmetic and its gradients as PyTorch has them, for ArithmeticValueTests."""

import torch

inf, nan = float("inf"), float("nan")
A = [1.0, 2.0, nan, 1.0, inf, 0.0, 0.0, -2.0, -2.0, 0.0, inf, -1.0]
B = [1.0, 3.0, 1.0, nan, inf, -0.0, 2.0, 2.0, 0.5, -1.0, 0.0, 0.0]


def text(tensor):
    words = {"nan": ".nan", "inf": ".infinity", "-inf": "-.infinity"}
    return "[" + ", ".join(words.get(str(v), f"{v:.9g}") for v in tensor.tolist()) + "]"


for name in ["add", "sub", "mul", "div", "maximum", "minimum", "pow"]:
    a = torch.tensor(A, requires_grad=True)
    b = torch.tensor(B, requires_grad=True)
    y = getattr(torch, name)(a, b)
    y.sum().backward()
    print(f"(.{name}, {text(y)},\n {text(a.grad)},\n {text(b.grad)}),")

X = [0.0, -0.0, 1.5, -1.5, inf, -inf, nan, 2.0**-133]
for name in ["neg", "abs", "exp", "log", "sqrt", "reciprocal", "square", "sign", "erf"]:
    x = torch.tensor(X, requires_grad=True)
    y = getattr(torch, name)(x)
    y.sum().backward()
    print(f"(.{name}, {text(y)},\n {text(x.grad)}),")

R = [[2.0, 2.0, 1.0], [nan, 1.0, nan], [0.0, 0.0, -0.0], [inf, -inf, 1.0], [-3.0, 4.0, 0.0]]
for name, f in {
    "sum": lambda x: x.sum(1), "mean": lambda x: x.mean(1), "maximum": lambda x: x.max(1).values,
    "minimum": lambda x: x.min(1).values,
    "absoluteSum": lambda x: torch.linalg.vector_norm(x, 1, dim=1),
    "euclideanNorm": lambda x: torch.linalg.vector_norm(x, 2, dim=1),
}.items():
    x = torch.tensor(R, requires_grad=True)
    y = f(x)
    y.sum().backward()
    print(f"(.{name}, {text(y)},\n {text(x.grad.flatten())}),")
