"""Fifty steps of optimizers whose settings follow schedules, in PyTorch, f64.

    python scheduled_settings.py > ../../crates/nn/tests/fixtures/scheduled_settings.json

PyTorch has schedulers for the rate alone, and a momentum for OneCycleLR. Before each step this program writes the
setting into `param_groups`, from the formulas in PyTorch's documentation of the schedulers.
Objective and start are those of optimizers.json.
"""
import json
import math

import torch
from torch.optim.lr_scheduler import OneCycleLR

START = [1.0, -2.0, 0.5]
STEPS = 50


def loss(p):
    return 0.5 * (p[0] - 3) ** 2 + 2 * (p[1] + 1) ** 2 + torch.sin(p[2]) * p[0]


def linear(lr, start, end, total):
    return lambda t: lr * (start + (end - start) * min(t, total) / total)


def cosine(lr, t_max, eta_min=0.0):
    return lambda t: eta_min + (lr - eta_min) * (1 + math.cos(math.pi * t / t_max)) / 2


def step(lr, step_size, gamma):
    return lambda t: lr * gamma ** (t // step_size)


def run(make, before=lambda group, t: None, scheduler=None, clip=None):
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = make([p])
    schedule = scheduler(optimizer) if scheduler else None
    trajectory = []
    for t in range(STEPS):
        optimizer.zero_grad()
        loss(p).backward()
        before(optimizer.param_groups[0], t)
        if clip:
            torch.nn.utils.clip_grad_norm_([p], clip(t))
        optimizer.step()
        if schedule and t + 1 < STEPS:
            schedule.step()
        trajectory.append([x.hex() for x in p.tolist()])
    return trajectory


def setting(name, f):
    return lambda group, t: group.__setitem__(name, f(t))


def beta(index, f):
    def before(group, t):
        betas = list(group["betas"])
        betas[index] = f(t)
        group["betas"] = tuple(betas)

    return before


O = torch.optim
RUNS = [
    ("kind = 'sgd'\nlr = 0.05\nmomentum = { kind = 'linear', lr = 0.9, start_factor = 0.5, end_factor = 1.0, total_iters = 20 }",
     run(lambda p: O.SGD(p, lr=0.05, momentum=0.5), setting("momentum", linear(0.9, 0.5, 1.0, 20)))),
    ("kind = 'sgd'\nlr = 0.05\nmomentum = 0.5\nweight_decay = { kind = 'step', lr = 0.2, step_size = 7, gamma = 0.5 }",
     run(lambda p: O.SGD(p, lr=0.05, momentum=0.5), setting("weight_decay", step(0.2, 7, 0.5)))),
    ("kind = 'adamw'\nlr = 0.1\nweight_decay = { kind = 'cosine', lr = 0.3, t_max = 49 }",
     run(lambda p: O.AdamW(p, lr=0.1), setting("weight_decay", cosine(0.3, 49)))),
    ("kind = 'adam'\nlr = 0.1\nbetas = [0.8, { kind = 'linear', lr = 0.99, start_factor = 0.9, end_factor = 1.0, total_iters = 30 }]",
     run(lambda p: O.Adam(p, lr=0.1, betas=(0.8, 0.9)), beta(1, linear(0.99, 0.9, 1.0, 30)))),
    ("kind = 'rmsprop'\nlr = 0.02\ncentered = true\nmomentum = { kind = 'cosine', lr = 0.5, t_max = 60 }\neps = { kind = 'step', lr = 0.1, step_size = 10, gamma = 0.1 }",
     run(lambda p: O.RMSprop(p, lr=0.02, centered=True, momentum=0.5),
         lambda group, t: group.update(momentum=cosine(0.5, 60)(t), eps=step(0.1, 10, 0.1)(t)))),
    ("kind = 'nadam'\nlr = 0.1\nbetas = [{ kind = 'cosine', lr = 0.9, t_max = 50, eta_min = 0.5 }, 0.99]",
     run(lambda p: O.NAdam(p, lr=0.1, betas=(0.9, 0.99)), beta(0, cosine(0.9, 50, 0.5)))),
    ("kind = 'sgd'\nlr = 0.1\nclip_norm = { kind = 'step', lr = 2.0, step_size = 5, gamma = 0.8 }",
     run(lambda p: O.SGD(p, lr=0.1), clip=step(2.0, 5, 0.8))),
    ("kind = 'sgd'\nlr = { kind = 'one_cycle', max_lr = 0.1, total_steps = 50 }\nmomentum = { kind = 'one_cycle_momentum', total_steps = 50 }",
     run(lambda p: O.SGD(p, lr=0.1, momentum=0.9), scheduler=lambda o: OneCycleLR(o, 0.1, total_steps=50))),
    ("kind = 'adam'\nlr = { kind = 'one_cycle', max_lr = 0.2, total_steps = 50, pct_start = 0.4, three_phase = true, anneal_strategy = 'linear' }\n"
     "betas = [{ kind = 'one_cycle_momentum', total_steps = 50, pct_start = 0.4, three_phase = true, anneal_strategy = 'linear', base_momentum = 0.7, max_momentum = 0.9 }, 0.99]",
     run(lambda p: O.Adam(p, lr=0.2, betas=(0.9, 0.99)),
         scheduler=lambda o: OneCycleLR(o, 0.2, total_steps=50, pct_start=0.4, three_phase=True, anneal_strategy="linear", base_momentum=0.7, max_momentum=0.9))),
]
print(json.dumps({
    "source": f"PyTorch {torch.__version__}, f64; tests/interop/scheduled_settings.py",
    "start": START,
    "runs": [{"recipe": recipe, "trajectory_hex": trajectory} for recipe, trajectory in RUNS],
}))
