#!/usr/bin/env python3
"""Prints Tests/Figures/losses.jsonl: losses and their gradients by PyTorch, in double, one on each line.

    python Scripts/golden/losses.py > Tests/Figures/losses.jsonl

Needs torch. Inputs are sixteenths, so that Float holds them exactly.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def sixteenths(*shape, low=-48, high=48):
    return torch.randint(low, high, shape).double() / 16


ROWS, PIXELS = (5, 4), (2, 2, 3, 4)
WEIGHTS = torch.tensor([0.5, 2.0, 1.25, 0.75])
POSITIVE = torch.tensor([0.25, 3.0, 1.5, 2.0])


def distributions(*shape):
    """Sixteenths that add up to 1 along the last axis; some are 0."""
    q = torch.zeros(shape).reshape(-1, shape[-1])
    for row in q:
        for k in torch.randint(0, shape[-1] - 1, (16,)):
            row[k] += 1 / 16
    return q.reshape(shape)


def labels(*shape, ignored=None):
    y = torch.randint(0, 4, shape)
    if ignored is not None:
        y.reshape(-1)[1] = ignored
        y.reshape(-1)[-1] = ignored
    return y


def numbers(t):
    """Twelve digits each; whole numbers stay whole."""
    return [float(f"{v:.12g}") if t.is_floating_point() else int(v)
            for v in t.detach().reshape(-1).tolist()]


def operand(t):
    kind = "floats" if t.is_floating_point() else "labels"
    return {"shape": list(t.shape), kind: numbers(t)}


def classes_second(x):
    """Channels last to PyTorch's order."""
    return x.movedim(-1, 1).contiguous() if x.dim() > 1 else x


def figure(name, loss, operands, compute, sides=1):
    """Runs a loss; where it has a value for each element, the gradient is that of a weighted sum."""
    leaves = [o.clone().requires_grad_() for o in operands[:sides]]
    value = compute(*leaves, *operands[sides:])
    cotangent = torch.ones(()) if value.dim() == 0 else sixteenths(*value.shape)
    grads = torch.autograd.grad(value, leaves, cotangent)
    print(json.dumps({
        "name": name, **loss, "operands": [operand(o) for o in operands],
        "cotangent": numbers(cotangent), "value": numbers(value),
        "gradients": [numbers(g) for g in grads],
    }, separators=(",", ":")))


def reductions(kind, weighted=False, batch_mean=False, **parameters):
    """Each reduction's name in torch, and the loss as the tests name it."""
    for r in ["none", "sum", "mean"] + (["batchmean"] if batch_mean else []):
        yield r, {
            "kind": kind, "parameters": parameters, "weighted": weighted,
            "reduction": "batchMean" if r == "batchmean" else r,
        }


x, y = sixteenths(*ROWS), sixteenths(*ROWS)
y[0, 0] = x[0, 0]
y[1, 1] = x[1, 1] + 1
for name, kind, parameters, f in [
    ("mse", "squaredError", {}, F.mse_loss),
    ("l1", "absoluteError", {}, F.l1_loss),
    ("smooth l1", "smoothL1", {"beta": 1}, F.smooth_l1_loss),
    ("smooth l1, beta 0.5", "smoothL1", {"beta": 0.5}, lambda a, b, reduction: F.smooth_l1_loss(a, b, beta=0.5, reduction=reduction)),
    ("smooth l1, beta 0", "smoothL1", {"beta": 0}, lambda a, b, reduction: F.smooth_l1_loss(a, b, beta=0.0, reduction=reduction)),
    ("huber, delta 0.75", "huber", {"delta": 0.75}, lambda a, b, reduction: F.huber_loss(a, b, delta=0.75, reduction=reduction)),
]:
    for r, loss in reductions(kind, **parameters):
        figure(f"{name}, {r}", loss, [x, y], lambda a, b, f=f, r=r: f(a, b, reduction=r), sides=2)
signs = torch.where(torch.rand(ROWS) < 0.5, -1.0, 1.0)
for r, loss in reductions("logistic"):
    figure(f"soft margin, {r}", loss, [x, signs], lambda a, s, r=r: F.soft_margin_loss(a, s, reduction=r))
t = torch.randint(0, 17, ROWS).double() / 16
for r, loss in reductions("binaryCrossEntropy"):
    figure(f"bce with logits, {r}", loss, [x, t], lambda a, t, r=r: F.binary_cross_entropy_with_logits(a, t, reduction=r))
for r, loss in reductions("binaryCrossEntropy", weighted=True):
    figure(f"bce with logits, pos_weight, {r}", loss, [x, t, POSITIVE],
           lambda a, t, w, r=r: F.binary_cross_entropy_with_logits(a, t, pos_weight=w, reduction=r))
l = torch.log_softmax(sixteenths(*ROWS), -1).float().double()
q = distributions(*ROWS)
for r, loss in reductions("klDivergence", batch_mean=True):
    figure(f"kl, {r}", loss, [l, q], lambda a, q, r=r: F.kl_div(a, q, reduction=r))
a, b = sixteenths(7), sixteenths(7)
b[2] = a[2]
for margin in [0, 0.5]:
    for r, loss in reductions("marginRanking", margin=margin):
        figure(f"margin ranking, margin {margin}, {r}", loss, [a, b, signs.reshape(-1)[:7]],
               lambda a, b, s, r=r, m=margin: F.margin_ranking_loss(a, b, s, margin=m, reduction=r), sides=2)

for shape in [ROWS, PIXELS]:
    z = sixteenths(*shape)
    for ignored in [None, -100, 2]:
        target = labels(*shape[:-1], ignored=ignored)
        index = -100 if ignored is None else ignored
        ignoring = {} if ignored is None else {"ignoring": ignored}
        for weighted in [False, True]:
            extra = [WEIGHTS] if weighted else []
            what = f"{shape}, ignored {ignored}, weighted {weighted}"
            if shape == ROWS or ignored == -100:
                for r, loss in reductions("negativeLogLikelihood", weighted, **ignoring):
                    figure(f"nll, {what}, {r}", loss, [z, target] + extra,
                           lambda a, t, w=None, r=r, i=index: F.nll_loss(classes_second(a), t, w, ignore_index=i, reduction=r))
            for smoothing in [0, 0.25]:
                if smoothing and ignored == -100 and shape == PIXELS:
                    continue
                for r, loss in reductions("crossEntropy", weighted, smoothing=smoothing, **ignoring):
                    figure(f"cross-entropy, {what}, smoothing {smoothing}, {r}", loss, [z, target] + extra,
                           lambda a, t, w=None, r=r, i=index, s=smoothing: F.cross_entropy(
                               classes_second(a), t, w, ignore_index=i, label_smoothing=s, reduction=r))
# All labels ignored: the mean is NaN, and the gradient 0.
z, target = sixteenths(2, 4), torch.full((2,), -100)
leaf = z.clone().requires_grad_()
value = F.cross_entropy(leaf, target)
assert value.isnan() and (torch.autograd.grad(value, leaf)[0] == 0).all()

for shape in [ROWS, PIXELS]:
    z, q = sixteenths(*shape), distributions(*shape)
    for weighted in [False, True]:
        for smoothing in [0, 0.25]:
            extra = [WEIGHTS] if weighted else []
            for r, loss in reductions("softCrossEntropy", weighted, smoothing=smoothing):
                figure(f"soft cross-entropy, {shape}, weighted {weighted}, smoothing {smoothing}, {r}", loss, [z, q] + extra,
                       lambda a, q, w=None, r=r, s=smoothing: F.cross_entropy(
                           classes_second(a), classes_second(q), w, label_smoothing=s, reduction=r))


def reduce(v, r):
    return {"none": v, "sum": v.sum(), "mean": v.mean()}[r]


# These have no function in torch: their definitions, differentiated by autograd.
z = sixteenths(*ROWS)
t = torch.randint(0, 2, ROWS).double()


def sigmoid_focal(z, t, gamma, alpha, r):
    ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p = torch.sigmoid(z)
    p_t = p * t + (1 - p) * (1 - t)
    v = ce * (1 - p_t) ** gamma
    if alpha is not None:
        v = (alpha * t + (1 - alpha) * (1 - t)) * v
    return reduce(v, r)


for gamma, alpha in [(2, 0.25), (2, None), (0.5, 0.75)]:
    tail = {} if alpha is None else {"alpha": alpha}
    for r, loss in reductions("binaryFocal", gamma=gamma, **tail):
        figure(f"sigmoid focal, {gamma}, {alpha}, {r}", loss, [z, t], lambda a, t, g=gamma, al=alpha, r=r: sigmoid_focal(a, t, g, al, r))
target = labels(5)
for gamma in [2, 0.5]:
    for r, loss in reductions("focal", gamma=gamma):
        def focal(a, t, g=gamma, r=r):
            log_p = torch.log_softmax(a, -1).gather(-1, t[..., None])[..., 0]
            return reduce(-(1 - log_p.exp()) ** g * log_p, r)
        figure(f"focal, {gamma}, {r}", loss, [z, target], focal)
for r, loss in reductions("entropy"):
    figure(f"entropy, {r}", loss, [z],
           lambda a, r=r: reduce(-(a.softmax(-1) * a.log_softmax(-1)).sum(-1), r))
other = sixteenths(*ROWS)
for r, loss in reductions("minimumEntropyConsensus"):
    figure(f"consensus, {r}", loss, [z, other],
           lambda a, b, r=r: reduce((-0.5 * (a.log_softmax(-1) + b.log_softmax(-1))).min(-1).values, r), sides=2)
