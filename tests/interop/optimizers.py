"""Fifty steps of further optimizer settings and schedules in PyTorch, f64.

    python optimizers.py > ../../crates/nn/tests/fixtures/optimizers_more.json

Same objective, start and layout as optimizers.json, whose settings are others.
Lion, which PyTorch does not have, is the paper's algorithm 2 (Chen et al. 2023) in plain Python.
"""
import json
import math
import warnings

import torch
from torch.optim import lr_scheduler as sched

warnings.filterwarnings("ignore")
# The default type stays single: NAdam keeps its running product in it whatever the parameters are.
START = [1.0, -2.0, 0.5]
STEPS = 50


def loss(p):
    return 0.5 * (p[0] - 3) ** 2 + 2 * (p[1] + 1) ** 2 + torch.sin(p[2]) * p[0]


def gradient(p):
    return [p[0] - 3 + math.sin(p[2]), 4 * (p[1] + 1), math.cos(p[2]) * p[0]]


def run(name, settings):
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([p], **settings)
    trajectory = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(p).backward()
        optimizer.step()
        trajectory.append([x.hex() for x in p.tolist()])
    return {"optimizer": name, "settings": settings, "trajectory_hex": trajectory}


def lion(lr, betas=(0.9, 0.99), weight_decay=0.0):
    p, m, trajectory = list(START), [0.0] * 3, []
    for _ in range(STEPS):
        g = gradient(p)
        for i in range(3):
            c = betas[0] * m[i] + (1 - betas[0]) * g[i]
            p[i] -= lr * ((c > 0) - (c < 0) + weight_decay * p[i])
            m[i] = betas[1] * m[i] + (1 - betas[1]) * g[i]
        trajectory.append([x.hex() for x in p])
    settings = {"lr": lr, "betas": list(betas), "weight_decay": weight_decay}
    return {"optimizer": "Lion", "settings": settings, "trajectory_hex": trajectory}


RUNS = {
    "sgd nesterov dampening 0": ("SGD", {"lr": 0.02, "momentum": 0.5, "nesterov": True}),
    "sgd all": ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.2, "weight_decay": 0.03}),
    "sgd maximize": ("SGD", {"lr": 0.01, "momentum": 0.9, "maximize": True, "weight_decay": 0.1}),
    "rmsprop momentum": ("RMSprop", {"lr": 0.01, "momentum": 0.5}),
    "rmsprop centered": ("RMSprop", {"lr": 0.02, "centered": True, "eps": 1e-3}),
    "rmsprop all": ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.3, "alpha": 0.5, "eps": 1e-2, "weight_decay": 0.2}),
    "adagrad eps": ("Adagrad", {"lr": 0.2, "eps": 0.1, "weight_decay": 0.05}),
    "adadelta all": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    "adam betas": ("Adam", {"lr": 0.05, "betas": [0.5, 0.6]}),
    "adam beta1 0": ("Adam", {"lr": 0.05, "betas": [0.0, 0.9]}),
    "adam amsgrad weight_decay": ("Adam", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.2, "betas": [0.8, 0.7]}),
    "adam decoupled": ("Adam", {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    "adamw amsgrad": ("AdamW", {"lr": 0.1, "amsgrad": True, "betas": [0.8, 0.7]}),
    "adamw maximize": ("AdamW", {"lr": 0.01, "maximize": True, "weight_decay": 0.3}),
    "adamax all": ("Adamax", {"lr": 0.1, "betas": [0.7, 0.8], "eps": 1e-3, "weight_decay": 0.1}),
    "nadam all": ("NAdam", {"lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.02}),
    "nadam decoupled": ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "radam all": ("RAdam", {"lr": 0.1, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.1}),
    "radam short": ("RAdam", {"lr": 0.1, "betas": [0.8, 0.5]}),
    "radam decoupled": ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
}

BASE = 0.3
# Ours, as TOML without the base rate, beside PyTorch's.
SCHEDULES = {
    "kind = 'step', step_size = 3": lambda o: sched.StepLR(o, 3),
    "kind = 'multi_step', milestones = [0, 4, 4, 30]": lambda o: sched.MultiStepLR(o, [0, 4, 4, 30]),
    "kind = 'exponential', gamma = 0.5": lambda o: sched.ExponentialLR(o, 0.5),
    "kind = 'linear'": lambda o: sched.LinearLR(o),
    "kind = 'linear', start_factor = 1, end_factor = 0, total_iters = 33": lambda o: sched.LinearLR(o, 1, 0, 33),
    "kind = 'polynomial'": lambda o: sched.PolynomialLR(o),
    "kind = 'polynomial', total_iters = 41, power = 0.5": lambda o: sched.PolynomialLR(o, 41, 0.5),
    "kind = 'cosine', t_max = 9": lambda o: sched.CosineAnnealingLR(o, 9),
    "kind = 'cosine', T_max = 100, eta_min = 0.1": lambda o: sched.CosineAnnealingLR(o, 100, 0.1),
    "kind = 'cosine_warm_restarts', t_0 = 7": lambda o: sched.CosineAnnealingWarmRestarts(o, 7),
    "kind = 'cosine_warm_restarts', T_0 = 1, T_mult = 3, eta_min = 0.01": lambda o: sched.CosineAnnealingWarmRestarts(o, 1, 3, 0.01),
    "kind = 'joined', milestones = [10, 20], pieces = [{ kind = 'linear', lr = 0.3, total_iters = 10 }, 0.3, { kind = 'exponential', lr = 0.3, gamma = 0.9 }]":
        lambda o: sched.SequentialLR(o, [sched.LinearLR(o, total_iters=10), sched.ConstantLR(o, 1.0), sched.ExponentialLR(o, 0.9)], [10, 20]),
}
CYCLES = {
    "total_steps = 50, pct_start = 0.5, three_phase = true": dict(pct_start=0.5, three_phase=True),
    "total_steps = 50, anneal_strategy = 'linear', div_factor = 10, final_div_factor = 100": dict(anneal_strategy="linear", div_factor=10, final_div_factor=100),
    "total_steps = 50, pct_start = 0.2, three_phase = true, anneal_strategy = 'linear'": dict(pct_start=0.2, three_phase=True, anneal_strategy="linear"),
}
METRICS = [5.0, 4.0, 4.0, 3.9999, 4.5, 3.0, 3.1, 3.2, 3.3, 3.0, 2.99995, math.nan, 7.0, 2.0, 2.0] + [2.0] * 35
PLATEAUS = {
    "kind = 'plateau', patience = 2": dict(patience=2),
    "kind = 'plateau', patience = 1, factor = 0.5, cooldown = 3, min_lr = 0.05": dict(patience=1, factor=0.5, cooldown=3, min_lr=0.05),
    "kind = 'plateau', mode = 'max', patience = 3, threshold = 0.5, threshold_mode = 'abs'": dict(mode="max", patience=3, threshold=0.5, threshold_mode="abs"),
    "kind = 'plateau', mode = 'max', patience = 0, factor = 0.9, eps = 0.02": dict(mode="max", patience=0, factor=0.9, eps=0.02),
}


def rates(make, metrics=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    scheduler, out = make(optimizer), []
    for step in range(STEPS):
        out.append(float(optimizer.param_groups[0]["lr"]).hex())
        optimizer.step()
        if metrics is not None:
            scheduler.step(metrics[step])
        elif step + 1 < STEPS:
            scheduler.step()
    return out


runs = {name: run(*spec) for name, spec in RUNS.items()}
runs["lion"] = lion(0.02)
runs["lion all"] = lion(0.03, (0.6, 0.7), 0.1)
print(json.dumps({
    "source": f"PyTorch {torch.__version__}, f64; tests/interop/optimizers.py",
    "start": START,
    "runs": runs,
    "schedules": {
        "base_lr": BASE,
        "lr_hex": {name: rates(make) for name, make in SCHEDULES.items()},
        "one_cycle": {name: rates(lambda o: sched.OneCycleLR(o, max_lr=0.5, total_steps=50, **more)) for name, more in CYCLES.items()},
        "metrics": [None if math.isnan(m) else m for m in METRICS],
        "plateau": {name: rates(lambda o: sched.ReduceLROnPlateau(o, **more), METRICS) for name, more in PLATEAUS.items()},
    },
}, indent=None))
