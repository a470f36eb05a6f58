#!/usr/bin/env python3
"""Prints Tests/Figures/training.json: optimizers, clipping, schedules and initial weights by PyTorch.

    python Scripts/golden/training.py > Tests/Figures/training.json

Needs torch. Weights and gradients are sixteenths, so that Float holds them exactly.
"""

import json
import math

import torch

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)
STEPS, COUNT = 6, 7


def sixteenths(*shape):
    return torch.randint(-48, 48, shape).double() / 16


def numbers(t):
    return [float(f"{v:.12g}") for v in t.detach().reshape(-1).tolist()]


weights, gradients = sixteenths(COUNT), sixteenths(STEPS, COUNT)

optimizers = []
for kind, options in [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.05)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)),
    ("AdamW", dict(lr=0.01)),
    ("AdamW", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("Adam", dict(lr=0.01)),
    ("Adam", dict(lr=0.05, betas=(0.8, 0.95), weight_decay=0.1)),
    ("RMSprop", dict(lr=0.01)),
    ("RMSprop", dict(lr=0.01, alpha=0.9, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.01, alpha=0.9, momentum=0.9)),
    ("RMSprop", dict(lr=0.01, alpha=0.9, centered=True)),
    ("RMSprop", dict(lr=0.01, alpha=0.9, centered=True, momentum=0.5, weight_decay=0.1)),
]:
    w = weights.clone().requires_grad_()
    optimizer = getattr(torch.optim, kind)([w], **options)
    steps = []
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        steps.append(numbers(w))
    betas = options.pop("betas", (0.9, 0.999))
    numeric = {k: float(v) for k, v in options.items()}
    optimizers.append({"kind": kind, "options": {**numeric, "beta1": betas[0], "beta2": betas[1]},
                       "weights": steps})

clipping = []
parts = [sixteenths(3), sixteenths(2, 4)]
for limit in [0.5, 4.0, 100.0]:
    for kind in ["norm", "value"]:
        params = [torch.zeros_like(p, requires_grad=True) for p in parts]
        for p, g in zip(params, parts):
            p.grad = g.clone()
        if kind == "norm":
            torch.nn.utils.clip_grad_norm_(params, limit)
        else:
            torch.nn.utils.clip_grad_value_(params, limit)
        clipping.append({"kind": kind, "limit": limit, "clipped": [numbers(p.grad) for p in params]})

schedules = []
total = 12
for kind, options, make in [
    ("step", {"factor": 0.5, "every": 4},
     lambda o: torch.optim.lr_scheduler.StepLR(o, 4, 0.5)),
    ("milestones", {"factor": 0.1, "first": 3, "second": 7},
     lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [3, 7], 0.1)),
    ("cosine", {"final": 0.01},
     lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, total, 0.01)),
]:
    optimizer = torch.optim.SGD([weights.clone().requires_grad_()], lr=0.4)
    schedule = make(optimizer)
    rates = []
    for _ in range(total):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    schedules.append({"kind": kind, "options": options, "rates": rates})

gains = {name: torch.nn.init.calculate_gain(name)
         for name in ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]}
gains["leaky_relu 0.2"] = torch.nn.init.calculate_gain("leaky_relu", 0.2)

# Deviations and bounds as torch's initializers draw them: of the call itself, by a generator that gives
# back what it was asked for.
fans = []
for layer, groups in [
    (torch.nn.Conv2d(24, 96, 3), 1), (torch.nn.Conv2d(24, 96, (3, 5), groups=4), 4),
    (torch.nn.Conv2d(16, 16, 3, groups=16), 16), (torch.nn.Linear(30, 50), 1),
]:
    w = layer.weight
    asked = {}

    class Probe(torch.Tensor):
        def normal_(self, mean=0, std=1, generator=None):
            asked["deviation"] = std
            return self

        def uniform_(self, low=0, high=1, generator=None):
            asked["bound"] = high
            return self

    def draw(f, **options):
        asked.clear()
        f(w.detach().clone().as_subclass(Probe), **options)
        return next(iter(asked.values()))

    init = torch.nn.init
    fan_in, fan_out = init._calculate_fan_in_and_fan_out(w)
    fans.append({
        "shape": list(w.shape), "groups": groups, "in": fan_in, "out": fan_out,
        "kaimingNormal": draw(init.kaiming_normal_, nonlinearity="relu"),
        "kaimingNormalOut": draw(init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
        "kaimingUniform": draw(init.kaiming_uniform_, nonlinearity="relu"),
        "standard": draw(init.kaiming_uniform_, a=math.sqrt(5)),
        "xavierNormal": draw(init.xavier_normal_),
        "xavierUniform": draw(init.xavier_uniform_, gain=5 / 3),
    })

truncated = torch.nn.init.trunc_normal_(torch.empty(1_000_000), 0.5, 2.0, -1.0, 2.0)
print(json.dumps({
    "torch": torch.__version__.split("+")[0], "start": numbers(weights),
    "gradients": [numbers(g) for g in gradients], "optimizers": optimizers,
    "clippedGradients": [numbers(p) for p in parts], "clipping": clipping,
    "schedules": schedules, "gains": gains, "fans": fans,
    "truncated": {"mean": truncated.mean().item(), "deviation": truncated.std().item()},
}, indent=1))
