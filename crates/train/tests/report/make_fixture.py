"""Makes the folder `digits`: a run as its files tell it, from a net of 64, 32 and 10 units in NumPy.

python make_fixture.py PATH_OF_digits.csv
"""
import json
import pathlib
import sys

import numpy as np

rng = np.random.default_rng(0)
table = np.loadtxt(sys.argv[1], delimiter=",")
order = rng.permutation(len(table))
x, labels = table[order, :64] / 16, table[order, 64].astype(int)
seen, unseen = slice(0, 1400), slice(1400, None)
names = ["0.weight", "0.bias", "2.weight", "2.bias"]
shapes = [(64, 32), (32,), (32, 10), (10,)]
params = [rng.uniform(-1, 1, shape) / np.sqrt(shapes[2 * (i // 2)][0]) for i, shape in enumerate(shapes)]
m = [np.zeros(shape) for shape in shapes]
v = [np.zeros(shape) for shape in shapes]


def forward(x):
    hidden = np.maximum(x @ params[0] + params[1], 0)
    logits = hidden @ params[2] + params[3]
    shifted = logits - logits.max(axis=1, keepdims=True)
    return hidden, shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def rounded(number):
    return float(f"{number:.7g}")


def norms(tensors):
    return {name: rounded(np.linalg.norm(tensor)) for name, tensor in zip(names, tensors)}


lines, step, epochs, best = [], 0, 24, (9.0, 0)
steps_per_epoch = 44
for epoch in range(1, epochs + 1):
    losses, hits = [], []
    for rows in np.array_split(rng.permutation(1400), steps_per_epoch):
        step += 1
        progress = step / (epochs * steps_per_epoch)
        lr = 0.006 * min(1.0, step / 88) * (1 + np.cos(np.pi * progress)) / 2
        hidden, log_p = forward(x[rows])
        losses.append(-log_p[np.arange(len(rows)), labels[rows]].mean())
        hits.append((log_p.argmax(axis=1) == labels[rows]).mean())
        g = np.exp(log_p)
        g[np.arange(len(rows)), labels[rows]] -= 1
        g /= len(rows)
        back = g @ params[2].T * (hidden > 0)
        grads = [x[rows].T @ back, back.sum(0), hidden.T @ g, g.sum(0)]
        for i, grad in enumerate(grads):
            m[i] = 0.9 * m[i] + 0.1 * grad
            v[i] = 0.999 * v[i] + 0.001 * grad**2
            update = (m[i] / (1 - 0.9**step)) / (np.sqrt(v[i] / (1 - 0.999**step)) + 1e-8)
            params[i] = params[i] - lr * update
    _, log_p = forward(x[unseen])
    loss = -log_p[np.arange(len(log_p)), labels[unseen]].mean()
    accuracy = (log_p.argmax(axis=1) == labels[unseen]).mean()
    best = min(best, (loss, epoch))
    lines.append({
        "epoch": epoch, "step": step, "split": "train", "loss": rounded(np.mean(losses)),
        "accuracy": rounded(np.mean(hits)), "lr": rounded(lr), "grad_norm": norms(grads), "weight_norm": norms(params),
    })
    lines.append({
        "epoch": epoch, "step": step, "split": "validation", "loss": rounded(loss), "accuracy": rounded(accuracy),
    })

predicted = log_p.argmax(axis=1)
counts = np.zeros((10, 10), int)
np.add.at(counts, (labels[unseen], predicted), 1)
wrong = np.flatnonzero(predicted != labels[unseen])[:8]
right = np.flatnonzero(predicted == labels[unseen])[:16]
samples = [
    {
        "row": int(order[1400 + row]), "shape": [8, 8], "inputs": x[unseen][row].tolist(), "text": None,
        "expected": str(labels[unseen][row]), "predicted": str(predicted[row]),
        "probability": rounded(np.exp(log_p[row].max())),
    }
    for row in [*wrong, *right]
]
results = {
    "status": "done",
    "metrics": [["validation loss", rounded(loss)], ["validation accuracy", rounded(accuracy)],
                ["train loss", lines[-2]["loss"]]],
    "best_epoch": best[1],
    "confusion": {"classes": [str(i) for i in range(10)], "counts": counts.tolist()},
    "samples": samples,
    "summary": """layer          output    parameters  multiply-adds
-------------------------------------------------
Sequential     [32, 10]           0              0
  0: Linear    [32, 32]       2,080         66,560
  1: Relu      [32, 32]           0              0
  2: Linear    [32, 10]         330         10,560
-------------------------------------------------
2,410 parameters, 77,120 multiply-adds""",
    "params": 2410,
    "seed": 0,
    "versions": {"wengert": "0.1.0"},
}
folder = pathlib.Path(__file__).parent / "digits"
(folder / "metrics.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
(folder / "results.json").write_text(json.dumps(results) + "\n")
