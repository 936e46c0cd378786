"""Makes fixtures/edge_cases_losses.json: losses at their borders, in the names of PyTorch.

    python tests/interop/edge_cases_losses.py > tests/fixtures/edge_cases_losses.json

The first three are cases of a larger collection that was made in the same way.
"""
import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
INF = math.inf
cases = {}


def plain(t):
    """Nested lists, with names for what JSON has no number for."""
    if isinstance(t, list):
        return [plain(x) for x in t]
    return t if math.isfinite(t) else str(t)


def edge(name, inputs, f):
    x = [torch.tensor(x, requires_grad=True) for x in inputs]
    y = f(*x)
    y.sum().backward()
    cases[name] = {
        "inputs": plain(inputs),
        "value": plain(y.tolist()),
        "grads_of_sum": [plain(x.grad.tolist()) for x in x],
    }


edge("CE ignore all mean", [[[1.0, 2.0]]], lambda x: F.cross_entropy(x, torch.tensor([-100])))
edge("CE label smooth .1", [[[1.0, 2.0, 3.0]]],
     lambda x: F.cross_entropy(x, torch.tensor([0]), label_smoothing=0.1))
edge("CE soft target", [[[1.0, 2.0]]], lambda x: F.cross_entropy(x, torch.tensor([[0.3, 0.7]])))
edge("CE ignore all sum", [[[1.0, 2.0]]],
     lambda x: F.cross_entropy(x, torch.tensor([-100]), reduction="sum"))
edge("CE ignore all smooth", [[[1.0, 2.0]]],
     lambda x: F.cross_entropy(x, torch.tensor([-100]), label_smoothing=0.1))
edge("CE of no weight", [[[1.0, 2.0], [0.5, 1.0]]],
     lambda x: F.cross_entropy(x, torch.tensor([0, 1]), weight=torch.tensor([0.0, 1.0])))
edge("CE far out", [[[1000.0, 0.0, -1000.0]]], lambda x: F.cross_entropy(x, torch.tensor([2])))
edge("CE far out smooth", [[[1000.0, 0.0, -1000.0]]],
     lambda x: F.cross_entropy(x, torch.tensor([0]), label_smoothing=0.1))
edge("BCE 0 and 1", [[0.0, 1.0, 0.0, 1.0]],
     lambda x: F.binary_cross_entropy(x, torch.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none"))
edge("BCE 0 and 1, half", [[0.0, 1.0]], lambda x: F.binary_cross_entropy(x, torch.tensor([0.5, 0.5])))
edge("BCE close to 0", [[1e-50, 1e-13, 1e-11]],
     lambda x: F.binary_cross_entropy(x, torch.ones(3), reduction="none"))
edge("BCE nan", [[math.nan, 0.5]],
     lambda x: torch.stack([F.binary_cross_entropy_with_logits(x, torch.ones(2))]))
edge("BCEwithlogits far out, pos_weight", [[-1000.0, 1000.0, 0.0]],
     lambda x: F.binary_cross_entropy_with_logits(
         x, torch.tensor([1.0, 0.0, 0.5]), pos_weight=torch.tensor([3.0, 3.0, 3.0]), reduction="none"))
edge("kl_div target 0", [[[-1.0, -2.0], [-0.5, -3.0]]],
     lambda x: F.kl_div(x, torch.tensor([[0.0, 1.0], [0.5, 0.0]]), reduction="batchmean"))
edge("kl_div log_target -inf", [[-1.0, -2.0]],
     lambda x: F.kl_div(x, torch.tensor([-700.0, 0.0]), reduction="none", log_target=True))
edge("huber at delta", [[1.0, -1.0, 0.95, 0.0, 1e200, INF]],
     lambda x: F.huber_loss(x, torch.zeros(6), reduction="none"))
edge("smooth_l1 at beta", [[0.5, -0.5, 0.48, 0.0, 1e200, INF]],
     lambda x: F.smooth_l1_loss(x, torch.zeros(6), beta=0.5, reduction="none"))
edge("smooth_l1 beta 0 at 0", [[0.0, 2.0]],
     lambda x: F.smooth_l1_loss(x, torch.zeros(2), beta=0.0, reduction="none"))
edge("gaussian_nll var 0", [[1.0, 0.0], [0.0, 0.0]],
     lambda x, v: F.gaussian_nll_loss(x, torch.zeros(2), v, reduction="none"))
edge("gaussian_nll var at eps", [[1.0], [1e-6]],
     lambda x, v: F.gaussian_nll_loss(x, torch.zeros(1), v, reduction="none"))
edge("poisson_nll target 0 and 1, full", [[0.5, -0.5]],
     lambda x: F.poisson_nll_loss(x, torch.tensor([0.0, 1.0]), full=True, reduction="none"))
edge("poisson_nll rate 0", [[0.0, 0.0]],
     lambda x: F.poisson_nll_loss(x, torch.tensor([0.0, 1.0]), log_input=False, reduction="none"))
edge("hinge at the margin", [[1.0, -1.0, 0.0]],
     lambda x: torch.relu(1 - x * torch.tensor([1.0, -1.0, 1.0])))
edge("hinge_embedding at the margin", [[1.0, 2.0, 0.5]],
     lambda x: F.hinge_embedding_loss(x, -torch.ones(3), reduction="none"))
edge("margin_ranking equal", [[1.0], [1.0]],
     lambda x, y: F.margin_ranking_loss(x, y, torch.ones(1), reduction="none"))
edge("multi_margin at the margin", [[[0.0, 1.0, 0.5]]],
     lambda x: F.multi_margin_loss(x, torch.tensor([1]), reduction="none"))
edge("cosine_embedding zero vector", [[[0.0, 0.0]], [[1.0, 2.0]]],
     lambda x, y: F.cosine_embedding_loss(x, y, torch.ones(1), reduction="none"))
for p in [1.0, 2.0, 3.0]:
    edge(f"triplet_margin equal points p={p}", [[[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]],
         lambda a, b, c: F.triplet_margin_loss(a, b, c, p=p, reduction="none"))
edge("triplet_margin norm 0", [[[0.0, 0.0]], [[0.0, 0.0]], [[1.0, 2.0]]],
     lambda a, b, c: F.triplet_margin_loss(a, b, c, margin=5.0, eps=0.0, reduction="none"))
edge("triplet_margin at the margin", [[[0.0]], [[0.0]], [[1.0]]],
     lambda a, b, c: F.triplet_margin_loss(a, b, c, eps=0.0, reduction="none"))

lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(body)}" for name, body in cases.items())
source = f"PyTorch {torch.__version__}, CPU, f64; tests/interop/edge_cases_losses.py"
print(f'{{\n  "source": {json.dumps(source)},\n  "cases": {{\n{lines}\n  }}\n}}')
