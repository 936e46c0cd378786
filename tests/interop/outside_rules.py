"""Steps of Muon and LAMB by definition, in NumPy and f64: the rules of examples/parts.

    python outside_rules.py > ../fixtures/outside_rules.json

Muon is PyTorch's (torch/optim/_muon.py) without its rounding to bf16, which this program checks against
torch.optim.Muon to within that rounding; LAMB is algorithm 2 of You et al. 2020 with the identity as its
phi, as in optax.
"""
import json
import math

import numpy as np
import torch

STEPS = 8
LR = 0.05


def start(shape):
    return np.cos(np.arange(math.prod(shape)) * 0.7 + 0.3).reshape(shape)


def gradient(p, t):
    return np.sin(p * 1.3 + 0.2 * t) + 0.1


def newton_schulz(n, steps=5, eps=1e-7):
    tall = n.shape[0] > n.shape[1]
    x = n.T if tall else n
    x = x / max(np.linalg.norm(x), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def muon(shape, momentum=0.95, nesterov=True, ns_steps=5):
    p, b, out = start(shape), np.zeros(shape), []
    theirs = torch.tensor(p, requires_grad=True)
    optimizer = torch.optim.Muon([theirs], lr=LR, momentum=momentum, nesterov=nesterov, ns_steps=ns_steps, weight_decay=0.0)
    for t in range(STEPS):
        theirs.grad = torch.tensor(gradient(p, t))
        g = gradient(p, t)
        b = momentum * b + (1 - momentum) * g
        n = momentum * b + (1 - momentum) * g if nesterov else b
        p = p - LR * math.sqrt(max(1, shape[0] / shape[1])) * newton_schulz(n, ns_steps)
        optimizer.step()
        assert np.abs(theirs.detach().numpy() - p).max() < 5e-2 * LR * (t + 1), "not PyTorch's"
        out.append(p.flatten().tolist())
    return out


def lamb(shape, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
    p, m, v, out = start(shape), np.zeros(shape), np.zeros(shape), []
    for t in range(1, STEPS + 1):
        g = gradient(p, t - 1)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        r = (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps) + weight_decay * p
        p = p - LR * np.linalg.norm(p) / np.linalg.norm(r) * r
        out.append(p.flatten().tolist())
    return out


RUNS = [
    ("muon", [3, 5], "kind = 'muon'", muon),
    ("muon tall", [5, 3], "kind = 'muon'", muon),
    ("muon plain", [4, 4], "kind = 'muon'\nmomentum = 0.8\nnesterov = false\nns_steps = 3", lambda s: muon(s, 0.8, False, 3)),
    ("lamb", [3, 5], "kind = 'lamb'", lamb),
    ("lamb all", [7], "kind = 'lamb'\nbetas = [0.8, 0.9]\neps = 1e-3\nweight_decay = 0.1", lambda s: lamb(s, (0.8, 0.9), 1e-3, 0.1)),
]
lines = [
    f"    {json.dumps(name)}: {json.dumps({'shape': shape, 'recipe': recipe + chr(10) + f'lr = {LR}', 'start': start(shape).flatten().tolist(), 'trajectory': run(shape)})}"
    for name, shape, recipe, run in RUNS
]
print('{\n  "source": "NumPy, f64; tests/interop/outside_rules.py",\n  "runs": {\n' + ",\n".join(lines) + "\n  }\n}")
