"""Fifty steps of Muon, Adan and schedule-free AdamW, in f64.

    python optimizers_papers.py > ../../crates/nn/tests/fixtures/optimizers_papers.json

Muon is torch.optim.Muon 2.15 whose Newton-Schulz iteration keeps f64: this program replaces `torch.bfloat16`, to which
PyTorch rounds it, in that module, and changes nothing else. Schedule-free AdamW is `schedulefree` 1.4.1 of its authors;
with a warm-up as there. Adan is algorithm 1 of Xie et al. 2022 (https://arxiv.org/abs/2208.06677) in NumPy, with the
decays and bias corrections of the authors' program (https://github.com/sail-sg/Adan); `adan-pytorch`, another
implementation, has to agree where it does the same: it skips the first gradient.

    pip install schedulefree==1.4.1 adan-pytorch==0.1.0
"""
import json
import types

import adan_pytorch
import numpy as np
import schedulefree
import torch
from torch.optim import _muon

STEPS = 50


def gradient(p, t):
    return np.sin(p * 1.3 + 0.2 * t) + 0.1 * p


def start(shape):
    n = int(np.prod(shape))
    return np.cos(np.arange(n) * 0.7 + 0.3).reshape(shape)


def hexed(x):
    return [float(v).hex() for v in np.asarray(x).flatten()]


def in_full_precision(f):
    """The function with f64 in place of bf16."""
    fake = types.SimpleNamespace(bfloat16=torch.float64, addmm=torch.addmm)
    return types.FunctionType(f.__code__, {**f.__globals__, "torch": fake}, f.__name__, f.__defaults__)


_muon._zeropower_via_newtonschulz = in_full_precision(_muon._zeropower_via_newtonschulz)


def muon(shape, **settings):
    p = torch.tensor(start(shape), requires_grad=True)
    optimizer = torch.optim.Muon([p], **settings)
    out = []
    for t in range(STEPS):
        p.grad = torch.tensor(gradient(p.detach().numpy(), t))
        optimizer.step()
        out.append(hexed(p.detach()))
    return out, None


def schedule_free(shape, **settings):
    p = torch.tensor(start(shape), requires_grad=True)
    optimizer = schedulefree.AdamWScheduleFree([p], foreach=False, **settings)
    optimizer.train()
    out, shown = [], []
    for t in range(STEPS):
        p.grad = torch.tensor(gradient(p.detach().numpy(), t))
        optimizer.step()
        out.append(hexed(p.detach()))
        optimizer.eval()
        shown.append(hexed(p.detach()))
        optimizer.train()
        # The way there and back may cost a bit of p.
        with torch.no_grad():
            p.copy_(torch.tensor([float.fromhex(x) for x in out[-1]], dtype=torch.float64).reshape(shape))
    return out, shown


def adan(shape, lr, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0, no_prox=False, steps=STEPS, skip_first=False):
    p = start(shape)
    m, v, n = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    b1, b2, b3 = betas
    before, out = None, []
    for t in range(1, steps + 1):
        g = gradient(p, t - 1)
        d = np.zeros(shape) if before is None else g - before
        before = g
        if not (skip_first and t == 1):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * d
            n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
        u = m / (1 - b1**t) + b2 * v / (1 - b2**t)
        u = u / (np.sqrt(n / (1 - b3**t)) + eps)
        p = p * (1 - lr * weight_decay) - lr * u if no_prox else (p - lr * u) / (1 + lr * weight_decay)
        out.append(hexed(p))
    return out, None


def check_adan():
    p = torch.tensor(start([7]), requires_grad=True)
    # Here the decays are 1 minus those of the authors' program.
    optimizer = adan_pytorch.Adan([p], lr=0.02, betas=(0.1, 0.2, 0.05), eps=1e-3, weight_decay=0.1)
    found = []
    for t in range(STEPS):
        p.grad = torch.tensor(gradient(p.detach().numpy(), t))
        optimizer.step()
        found.append(p.detach().numpy().copy())
    ours, _ = adan([7], 0.02, (0.9, 0.8, 0.95), 1e-3, 0.1, skip_first=True)
    for a, b in zip(found, ours):
        assert np.abs(a - np.array([float.fromhex(x) for x in b])).max() < 1e-12


check_adan()
RUNS = [
    ([3, 5], "kind = 'muon'\nlr = 0.02", muon, dict(lr=0.02)),
    ([5, 3], "kind = 'muon'\nlr = 0.02\nadjust_lr_fn = 'match_rms_adamw'\nweight_decay = 0.3", muon,
     dict(lr=0.02, adjust_lr_fn="match_rms_adamw", weight_decay=0.3)),
    ([6, 2], "kind = 'muon'\nlr = 0.02\nadjust_lr_fn = 'spectral_unclamped'\nnesterov = false\nmomentum = 0.8\nns_steps = 3\nweight_decay = 0.0", muon,
     dict(lr=0.02, adjust_lr_fn="spectral_unclamped", nesterov=False, momentum=0.8, ns_steps=3, weight_decay=0.0)),
    ([2, 6], "kind = 'muon'\nlr = 0.02\nns_coefficients = [2.0, -1.5, 0.5]\neps = 10.0\nadjust_lr_fn = 'original'", muon,
     dict(lr=0.02, ns_coefficients=(2.0, -1.5, 0.5), eps=10.0, adjust_lr_fn="original")),
    ([7], "kind = 'adan'\nlr = 0.02", adan, dict(lr=0.02)),
    ([7], "kind = 'adan'\nlr = 0.05\nbetas = [0.9, 0.8, 0.95]\neps = 1e-3\nweight_decay = 0.2", adan,
     dict(lr=0.05, betas=(0.9, 0.8, 0.95), eps=1e-3, weight_decay=0.2)),
    ([7], "kind = 'adan'\nlr = 0.05\nbetas = [0.9, 0.8, 0.95]\nweight_decay = 0.2\nno_prox = true", adan,
     dict(lr=0.05, betas=(0.9, 0.8, 0.95), weight_decay=0.2, no_prox=True)),
    ([7], "kind = 'schedule_free_adamw'", schedule_free, dict()),
    ([7], "kind = 'schedule_free_adamw'\nlr = 0.05\nbetas = [0.8, 0.95]\neps = 1e-3\nweight_decay = 0.2\nr = 1.0", schedule_free,
     dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.2, r=1.0)),
    # Their warm-up ends at step 10 and begins with a tenth: ours has that of nine tenths as a factor.
    ([7], "kind = 'schedule_free_adamw'\nlr = { kind = 'constant', lr = 0.05, warmup_steps = 9, warmup_start_factor = 0.1 }\nweight_lr_power = 1.0", schedule_free,
     dict(lr=0.05, warmup_steps=10, weight_lr_power=1.0)),
]
runs = []
for shape, recipe, run, settings in RUNS:
    trajectory, shown = run(shape, **settings)
    entry = {"shape": shape, "recipe": recipe, "start": hexed(start(shape)), "trajectory_hex": trajectory}
    if shown:
        entry["evaluated_hex"] = shown
    runs.append(entry)
print(json.dumps({"source": f"PyTorch {torch.__version__}, schedulefree 1.4.1, NumPy; tests/interop/optimizers_papers.py", "runs": runs}))
