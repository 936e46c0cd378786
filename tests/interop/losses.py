"""Makes fixtures/losses.json: every loss with every reduction and setting, in the names of PyTorch.

    python tests/interop/losses.py > tests/fixtures/losses.json

The classes stand in the last axis; PyTorch gets its rows as one matrix.
"""
import itertools

import torch
import torch.nn.functional as F

from common import case, write

REDUCTIONS = ["mean", "sum", "none"]
generator = torch.Generator().manual_seed(4)
cases = []


def normal(*shape):
    # Four digits are enough to tell definitions apart, and keep the fixture short.
    return (torch.randn(shape, generator=generator) * 1e4).round() / 1e4


def uniform(*shape):
    return (torch.rand(shape, generator=generator) * 0.9 + 0.05).mul(1e4).round() / 1e4


def signs(*shape):
    return torch.randint(0, 2, shape, generator=generator) * 2.0 - 1.0


def add(name, inputs, forward):
    cases.append(case(name, None, inputs, forward, description=name))


def every(name, inputs, loss, reductions=REDUCTIONS, **settings):
    """The loss under each reduction and each combination of settings."""
    for values in itertools.product(*settings.values()):
        chosen = dict(zip(settings, values))
        for reduction in reductions:
            words = [name] + [f"{k}={v}" for k, v in chosen.items()] + [reduction]
            add(" ".join(words), inputs, lambda *x: loss(*x, reduction=reduction, **chosen))


def batch_mean(x, *rest, loss, reduction, **settings):
    """The sum over the first extent, which PyTorch has for kl_div alone."""
    if reduction != "batchmean":
        return loss(x, *rest, reduction=reduction, **settings)
    return loss(x, *rest, reduction="sum", **settings) / x.shape[0]


pair = [normal(2, 3), normal(2, 3)]
every("mse", pair, lambda *x, **s: batch_mean(*x, loss=F.mse_loss, **s), REDUCTIONS + ["batchmean"])
every("l1", pair, F.l1_loss)
every("huber", pair, F.huber_loss, delta=[1.0, 0.4, 3.0])
every("smooth_l1", pair, F.smooth_l1_loss, beta=[1.0, 0.4, 0.0])
every("gaussian_nll", pair + [uniform(2, 3)], F.gaussian_nll_loss, full=[False, True], eps=[1e-6, 0.5])


def poisson(x, counts, **settings):
    # Whole counts are constants: PyTorch's gradient of Stirling's formula at 0 is NaN.
    return F.poisson_nll_loss(x, counts.double(), **settings)


counts = torch.tensor([[0, 1, 2], [5, 3, 7]])
every("poisson_nll", [normal(2, 3), counts], poisson, log_input=[True], full=[False, True])
every("poisson_nll", [uniform(2, 3), counts], poisson, log_input=[False], full=[False, True],
      eps=[1e-8, 0.1])

# Labels beyond the classes stand for nothing but what is ignored.
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.25])


def rows(loss):
    """The loss of x [.., classes], reduced, or with the rows' shape."""
    def reshaped(x, target, weight=False, ignore=None, reduction="mean", **settings):
        if weight:
            settings["weight"] = WEIGHT
        if ignore is not None:
            settings["ignore_index"] = ignore
        classes = x.shape[-1]
        soft = target.is_floating_point()
        flat = target.reshape(-1, classes) if soft else target.flatten()
        y = loss(x.reshape(-1, classes), flat, reduction=reduction, **settings)
        return y.reshape(x.shape[:-1]) if reduction == "none" else y
    return reshaped


labels = torch.tensor([[2, 0, 255], [3, 255, 1]])
inside = torch.tensor([[2, 0, 3], [3, 1, 1]])
every("cross_entropy", [normal(2, 3, 4), labels], rows(F.cross_entropy), weight=[False, True],
      ignore=[255], label_smoothing=[0.0, 0.1, 1.0])
every("cross_entropy", [normal(2, 3, 4), inside], rows(F.cross_entropy), weight=[False, True],
      ignore=[None, 3], label_smoothing=[0.0, 0.1])
soft = torch.softmax(normal(2, 3, 4), -1)
every("cross_entropy soft", [normal(2, 3, 4), soft], rows(F.cross_entropy), weight=[False, True],
      label_smoothing=[0.0, 0.1])
every("cross_entropy one row", [normal(4), torch.tensor(2)],
      lambda x, t, **s: F.cross_entropy(x, t, **s), label_smoothing=[0.0, 0.1])
every("nll", [normal(2, 3, 4), labels], rows(F.nll_loss), weight=[False, True], ignore=[255])
every("nll", [normal(2, 3, 4), inside], rows(F.nll_loss), weight=[False, True], ignore=[None])
every("multi_margin", [normal(2, 3, 4), inside], rows(F.multi_margin_loss), weight=[False, True],
      p=[1, 2], margin=[1.0, 0.3])

factors = torch.tensor([0.5, 2.0, 1.5])
for weight in [None, factors]:
    word = "False" if weight is None else "True"
    every(f"bce weight={word}", [uniform(2, 3), uniform(2, 3)],
          lambda x, t, **s: F.binary_cross_entropy(x, t, weight=weight, **s))
    for positive in [None, torch.tensor([3.0, 0.2, 1.0])]:
        pos = "False" if positive is None else "True"
        every(f"bce_with_logits weight={word} pos_weight={pos}", [normal(2, 3), uniform(2, 3)],
              lambda x, t, **s: F.binary_cross_entropy_with_logits(
                  x, t, weight=weight, pos_weight=positive, **s))

logs = torch.log_softmax(normal(2, 3), -1)
every("kl_div", [logs, torch.softmax(normal(2, 3), -1)], F.kl_div, REDUCTIONS + ["batchmean"],
      log_target=[False])
every("kl_div", [logs, torch.log_softmax(normal(2, 3), -1)], F.kl_div, REDUCTIONS + ["batchmean"],
      log_target=[True])
every("hinge", [normal(2, 3), signs(2, 3)],
      lambda x, t, **s: batch_mean(torch.relu(1 - t * x), loss=lambda x, reduction: {
          "mean": x.mean(), "sum": x.sum(), "none": x}[reduction], **s), REDUCTIONS + ["batchmean"])

# The targets of what follows are no more than signs, with no gradient of their own.
every("hinge_embedding", [normal(2, 3), torch.tensor([[1, -1, -1], [-1, 1, 1]])],
      F.hinge_embedding_loss, margin=[1.0, 0.3])
every("margin_ranking", [normal(2, 3), normal(2, 3), torch.tensor([[1, -1, -1], [-1, 1, 1]])],
      F.margin_ranking_loss, margin=[0.0, 0.5])
every("cosine_embedding", [normal(4, 3), normal(4, 3), torch.tensor([1, -1, -1, 1])],
      F.cosine_embedding_loss, margin=[0.0, 0.2])
every("triplet_margin", [normal(4, 3), normal(4, 3), normal(4, 3)], F.triplet_margin_loss,
      margin=[1.0, 2.5], p=[2.0, 1.0, 3.0], swap=[False, True])

write("losses.py", cases)
