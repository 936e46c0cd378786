"""Fifty steps of SparseAdam, SGD and Adagrad on sparse gradients of an embedding, in f64, by PyTorch 2.15.

    python optimizers_rows.py > ../../crates/nn/tests/fixtures/optimizers_rows.json

Step t reads the rows t^2 mod 7, 3 t + 1 mod 7 and t mod 3 of a table of 7 rows: some of them twice, and row 5 never.
"""
import json

import torch

STEPS, SHAPE = 50, (7, 3)


def tokens(t):
    return torch.tensor([t * t % 7, (3 * t + 1) % 7, t % 3])


def run(make):
    n = SHAPE[0] * SHAPE[1]
    start = torch.cos(torch.arange(n, dtype=torch.float64) * 0.7 + 0.3).reshape(SHAPE)
    table = torch.nn.Embedding(*SHAPE, sparse=True, _weight=start.clone())
    optimizer = make(table.parameters())
    out = []
    for t in range(STEPS):
        optimizer.zero_grad()
        rows = table(tokens(t))
        (torch.sin(1.3 * rows + 0.2 * t) + 0.05 * rows**2).sum().backward()
        assert table.weight.grad.is_sparse
        optimizer.step()
        out.append([float(x).hex() for x in table.weight.detach().flatten()])
    return out


RUNS = {
    "kind = 'lazy_adam'\nlr = 0.05": lambda p: torch.optim.SparseAdam(list(p), lr=0.05),
    "kind = 'lazy_adam'\nlr = 0.02\nbetas = [0.8, 0.95]\neps = 1e-3": lambda p: torch.optim.SparseAdam(
        list(p), lr=0.02, betas=(0.8, 0.95), eps=1e-3
    ),
    "kind = 'sgd'\nlr = 0.1": lambda p: torch.optim.SGD(p, lr=0.1),
    "kind = 'adagrad'\nlr = 0.1\nlr_decay = 0.1\ninitial_accumulator_value = 0.2": lambda p: torch.optim.Adagrad(
        p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.2
    ),
}

if __name__ == "__main__":
    runs = [{"recipe": recipe, "trajectory_hex": run(make)} for recipe, make in RUNS.items()]
    print(json.dumps({"source": f"PyTorch {torch.__version__}", "runs": runs}))
