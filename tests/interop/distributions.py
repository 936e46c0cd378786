"""Distributions: densities, entropies and divergences with their gradients, in the format of layers.json.

    python tests/interop/distributions.py > tests/fixtures/distributions.json
"""
import torch
from torch.distributions import Bernoulli, Categorical, Gumbel, Normal, Uniform, kl_divergence

from common import case, write

torch.manual_seed(3)


def randn(*shape):
    return torch.randn(*shape)


def positive(*shape):
    return torch.rand(*shape) + 0.5


def of(kind, *parameters):
    return kind(*parameters, validate_args=False)


def add(name, inputs, forward):
    return case(name, None, inputs, forward, description=name)


# Two parameters, the second of another shape, and a value.
pair = [randn(3, 4), positive(4), randn(3, 4)]
# A second distribution.
pairs = [randn(3, 4), positive(4), randn(4), positive(3, 1)]
# An interval, values inside of it, and an interval around it.
interval, inside = [randn(3, 4) - 5, positive(4) + 2], randn(3, 4)
around = [interval[0] - 1, interval[1] + positive(3, 4)]
logits, others = 3 * randn(2, 5), randn(5)
coins = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
classes = torch.tensor([4, 0])

cases = [
    add("normal log_prob", pair, lambda m, s, x: of(Normal, m, s).log_prob(x)),
    add("normal entropy", pair[:2], lambda m, s: of(Normal, m, s).entropy()),
    add("normal kl", pairs, lambda m, s, n, t: kl_divergence(of(Normal, m, s), of(Normal, n, t))),
    add("uniform log_prob", [*interval, inside], lambda a, b, x: of(Uniform, a, b).log_prob(x)),
    add("uniform entropy", interval, lambda a, b: of(Uniform, a, b).entropy()),
    add("uniform kl", [*interval, *around], lambda a, b, c, d: kl_divergence(of(Uniform, a, b), of(Uniform, c, d))),
    add("bernoulli log_prob", [8 * randn(2, 3)], lambda z: Bernoulli(logits=z).log_prob(coins)),
    add("bernoulli entropy", [8 * randn(2, 3)], lambda z: Bernoulli(logits=z).entropy()),
    add(
        "bernoulli kl",
        [3 * randn(2, 3), randn(3)],
        lambda z, u: kl_divergence(Bernoulli(logits=z), Bernoulli(logits=u.expand(2, 3))),
    ),
    add("categorical log_prob", [logits], lambda z: Categorical(logits=z).log_prob(classes)),
    add("categorical entropy", [logits], lambda z: Categorical(logits=z).entropy()),
    add(
        "categorical kl",
        [logits, others],
        lambda z, u: kl_divergence(Categorical(logits=z), Categorical(logits=u.expand(2, 5))),
    ),
    add("gumbel log_prob", pair, lambda m, s, x: of(Gumbel, m, s).log_prob(x)),
    add("gumbel entropy", pair[:2], lambda m, s: of(Gumbel, m, s).entropy().expand(3, 4)),
]

write("distributions.py", cases)
