"""W1 to W10 in PyTorch, with the data, initial values and optimizers of `peer`.

    python crates/bench/peers/torch_steps.py --workload W3              # eager, fused optimizer; one line of JSON
    python crates/bench/peers/torch_steps.py --workload W3 --compile    # torch.compile of the whole step, as one graph
    python crates/bench/peers/torch_steps.py --workload W3 --losses 20  # the losses of the first steps, one in a line

Options are those of `peer`. Needs NumPy and PyTorch; `--compile` also needs a C++ compiler, and PyTorch 2.15 was tried.
"""

import torch
from torch import nn
from torch.nn import functional as F

import measure
from workloads import DATA, INITIAL

# The gradient and the recurrent layer become parts of the compiled step.
torch._dynamo.config.trace_autograd_ops = True
torch._dynamo.config.allow_rnn = True


def mlp(activation, *sizes):
    layers = [layer for pair in zip(sizes, sizes[1:]) for layer in (nn.Linear(*pair), activation())]
    return nn.Sequential(*layers[:-1])


def lenet():
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        mlp(nn.ReLU, 400, 120, 84, 10),
    )


class Block(nn.Module):
    """`nn.TransformerEncoderLayer` with normalization first, a causal mask and no dropout."""

    def __init__(self):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(64, 192), nn.Linear(64, 64)
        self.linear1, self.linear2 = nn.Linear(64, 256), nn.Linear(256, 64)
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)

    def forward(self, x):
        heads = self.in_proj(self.norm1(x)).view(-1, 64, 3, 4, 16).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out_proj(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(65, 64), nn.Embedding(64, 64)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 65, bias=False)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions.weight
        return self.head(self.norm(self.blocks(x))).flatten(0, 1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(32, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


def half_sse(x, y):
    return (x - y).square().sum() / 2


# The net, its loss and its optimizer.
TRAININGS = {
    "W1": (
        lambda: mlp(nn.ReLU, 2, 3, 2).append(nn.Sigmoid()),
        lambda x, y: half_sse(x, y) * 0.5,
        torch.optim.SGD,
        {"lr": 0.01},
    ),
    "W2": (lambda: mlp(nn.Tanh, 16, 32, 32, 1), F.mse_loss, torch.optim.Adam, {"lr": 1e-3}),
    "W3": (lambda: mlp(nn.ReLU, 784, 128, 10), F.cross_entropy, torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "W4": (lambda: mlp(nn.ReLU, 1024, 1024, 1024, 10), F.cross_entropy, torch.optim.Adam, {"lr": 1e-4}),
    "W5": (lenet, F.cross_entropy, torch.optim.Adam, {"lr": 1e-3}),
    "W6": (Transformer, F.cross_entropy, torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.01}),
    "W9": (lambda: mlp(nn.SiLU, 300, 200, 100, 7), F.cross_entropy, torch.optim.RMSprop, {"lr": 1e-3}),
    "W10": (Recurrent, F.cross_entropy, torch.optim.Adam, {"lr": 1e-3}),
}


def eager_update(optimizer, params, options):
    """Applies gradients by an optimizer of PyTorch."""
    if optimizer is not torch.optim.RMSprop:  # which has no fused variant
        options = {**options, "fused": True}
    optimizer = optimizer(params, **options)

    def update(grads):
        for p, g in zip(params, grads):
            p.grad = g
        optimizer.step()

    return update


def traceable_update(optimizer, params, options):
    """Applies gradients by operations. The compiler cannot trace `step` of an optimizer together with the net."""
    lr, momentum, decay = [options.get(name, 0.0) for name in ("lr", "momentum", "weight_decay")]
    means, squares = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    # Of 0.9 and 0.999, in double precision. The compiler would compute `0.9**count` for each element.
    power1, power2 = [torch.ones((), dtype=torch.float64) for _ in range(2)]

    def sgd(grads):
        for p, g, mean in zip(params, grads, means):
            p.sub_(lr * (mean.mul_(momentum).add_(g) if momentum else g))

    def rmsprop(grads):
        for p, g, square in zip(params, grads, squares):
            p.sub_(lr * g / (square.mul_(0.99).add_(0.01 * g * g).sqrt() + 1e-8))

    def adam(grads):
        rest1, rest2 = 1 - power1.mul_(0.9), 1 - power2.mul_(0.999)
        for p, g, mean, square in zip(params, grads, means, squares):
            p.mul_(1 - lr * decay)
            mean.mul_(0.9).add_(0.1 * g)
            square.mul_(0.999).add_(0.001 * g * g)
            p.sub_(lr * (mean / rest1) / ((square / rest2).sqrt() + 1e-8))

    rules = {torch.optim.SGD: sgd, torch.optim.RMSprop: rmsprop, torch.optim.Adam: adam, torch.optim.AdamW: adam}
    return torch.no_grad()(rules[optimizer])


def training(workload, compiled):
    """A step that trains a net on the same batch."""
    make, loss, optimizer, options = TRAININGS[workload]
    net, (x, y) = make(), map(torch.tensor, DATA[workload]())
    params = list(net.parameters())
    with torch.no_grad():
        for p, value in zip(params, INITIAL[workload](), strict=True):
            assert p.shape == value.shape
            p.copy_(torch.tensor(value))
    update = (traceable_update if compiled else eager_update)(optimizer, params, options)

    def step():
        value = loss(net(x), y)
        update(torch.autograd.grad(value, params))
        return value.detach()

    return torch.compile(step, fullgraph=True) if compiled else step


def elementwise(compiled):
    """W7: gradients of a million elements; the last loss of the warm-up is the sum of all of them."""
    leaves, count = [torch.tensor(leaf, requires_grad=True) for leaf in DATA["W7"]()], 0

    def gradients():
        x, a, b = leaves
        value = (torch.tanh(x * a + b) * torch.sigmoid(x)).mean()
        return value.detach(), torch.autograd.grad(value, leaves)

    if compiled:
        gradients = torch.compile(gradients, fullgraph=True)

    def step():
        nonlocal count
        count += 1
        value, grads = gradients()
        return sum(g.sum() for g in grads) if count == measure.WARM_UP else value

    return step


def large_adam(compiled):
    """W8: Adam on ten million elements with a fixed gradient; the loss is computed first and last in the warm-up."""
    (p,), (g,) = [map(torch.tensor, values["W8"]()) for values in (INITIAL, DATA)]
    make, count = traceable_update if compiled else eager_update, 0
    update = make(torch.optim.Adam, [p], {"lr": 1e-3})
    if compiled:
        update = torch.compile(update, fullgraph=True)

    def step():
        nonlocal count
        count += 1
        loss = (p * g).mean() if count in (1, measure.WARM_UP) else 0.0
        update([g])
        return loss

    return step


def main():
    parser = measure.parser(__doc__, list(DATA))
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    measure.use_cores(arguments.threads)
    torch.set_num_threads(arguments.threads)
    workload, compiled = arguments.workload, arguments.compile
    others = {"W7": elementwise, "W8": large_adam}
    step = others[workload](compiled) if workload in others else training(workload, compiled)
    peer = "PyTorch, compiled" if compiled else "PyTorch"
    measure.measure(arguments, peer, torch.__version__, measure.repeated(step))


if __name__ == "__main__":
    main()
