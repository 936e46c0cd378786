"""The norms of the gradients of each example, as in crates/bench/src/bin/per_example.rs, by torch.func.vmap(grad).

    python per_example.py [THREADS]

A 64-128-10 net with tanh and 256 rows; medians of fifteen rounds in microseconds, eager and compiled.
"""
import sys
import time
from statistics import median

import torch
from torch.func import grad, vmap

torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
torch.manual_seed(0)
ROWS, ROUNDS = 256, 15
net = [torch.randn(128, 64) / 8, torch.randn(128) / 8, torch.randn(10, 128) / 11, torch.randn(10) / 11]
x, y = torch.randn(ROWS, 64), torch.arange(ROWS) % 10


def loss(net, x, y):
    logits = torch.tanh(x @ net[0].T + net[1]) @ net[2].T + net[3]
    return torch.nn.functional.cross_entropy(logits, y)


def norms():
    grads = vmap(grad(loss), in_dims=(None, 0, 0))(net, x, y)
    return sum(g.flatten(1).square().sum(1) for g in grads).sqrt()


for name, f in [("vmap(grad)", norms), ("compiled", torch.compile(norms))]:
    for _ in range(5):
        f()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        f()
        times.append((time.perf_counter() - start) * 1e6)
    print(f"{torch.get_num_threads()} threads, {ROWS} examples: {name} {median(times):.0f} us", flush=True)
