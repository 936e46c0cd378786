"""Steps of LAMB by definition, in NumPy and f64: a rule of examples/parts.

    python outside_rules.py > ../fixtures/outside_rules.json

LAMB is algorithm 2 of You et al. 2020 with the identity as its
phi, as in optax.
"""
import json
import math

import numpy as np

STEPS = 8
LR = 0.05


def start(shape):
    return np.cos(np.arange(math.prod(shape)) * 0.7 + 0.3).reshape(shape)


def gradient(p, t):
    return np.sin(p * 1.3 + 0.2 * t) + 0.1


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
    ("lamb", [3, 5], "kind = 'lamb'", lamb),
    ("lamb all", [7], "kind = 'lamb'\nbetas = [0.8, 0.9]\neps = 1e-3\nweight_decay = 0.1", lambda s: lamb(s, (0.8, 0.9), 1e-3, 0.1)),
]
lines = [
    f"    {json.dumps(name)}: {json.dumps({'shape': shape, 'recipe': recipe + chr(10) + f'lr = {LR}', 'start': start(shape).flatten().tolist(), 'trajectory': run(shape)})}"
    for name, shape, recipe, run in RUNS
]
print('{\n  "source": "NumPy, f64; tests/interop/outside_rules.py",\n  "runs": {\n' + ",\n".join(lines) + "\n  }\n}")
