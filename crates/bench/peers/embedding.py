"""The step of crates/bench/src/bin/embedding.rs in PyTorch, on one thread: medians in microseconds.

    python embedding.py
"""
import time
from statistics import median

import torch

torch.set_num_threads(1)
SHAPE, TOKENS = (50_000, 64), 100


def measure(name, sparse, make):
    torch.manual_seed(0)
    table = torch.nn.Embedding(*SHAPE, sparse=sparse)
    optimizer = make(table.parameters())
    times = []
    for _ in range(301 if sparse else 31):
        tokens = torch.randint(SHAPE[0], (TOKENS,))
        start = time.perf_counter()
        optimizer.zero_grad()
        table(tokens).square().mean().backward()
        optimizer.step()
        times.append((time.perf_counter() - start) * 1e6)
    print(f"{name:24} {'sparse' if sparse else 'dense':6} {median(times):8.0f}", flush=True)


for sparse in (True, False):
    measure("SGD", sparse, lambda p: torch.optim.SGD(p, lr=0.01))
    measure("Adagrad", sparse, lambda p: torch.optim.Adagrad(p, lr=0.01))
    if sparse:
        measure("SparseAdam", sparse, lambda p: torch.optim.SparseAdam(list(p), lr=0.01))
    else:
        measure("Adam", sparse, lambda p: torch.optim.Adam(p, lr=0.01))
        measure("Adam fused", sparse, lambda p: torch.optim.Adam(p, lr=0.01, fused=True))
