"""W11 in PyTorch and in JAX: the physics-informed net of `src/poisson.rs`, with the same data, initial values and Adam.

    python crates/bench/peers/poisson.py torch            # eager, one thread; prints a line of JSON as `peer` does
    python crates/bench/peers/poisson.py jax --steps 500  # a jitted step
    python crates/bench/peers/poisson.py jax --losses 100 # the losses of the first steps, one in a line

`peer --workload W11 --losses 100` prints those of wengert; they agree to 1e-13. Needs NumPy, and PyTorch or JAX.
"""

import math

import numpy as np

import measure
from workloads import INITIAL

POINTS = 256
BETA1, BETA2, EPSILON, RATE = 0.9, 0.999, 1e-8, 1e-3
X = ((np.arange(POINTS) + 0.5) / POINTS).reshape(POINTS, 1)
ENDS = np.array([[0.0], [1.0]])


def torch_step(threads):
    import torch

    torch.set_num_threads(threads)
    params = [torch.tensor(p, requires_grad=True) for p in INITIAL["W11"]()]
    x, ends = torch.tensor(X, requires_grad=True), torch.tensor(ENDS)
    force = math.pi * math.pi * (math.pi * x.detach()).sin()
    optimizer = torch.optim.Adam(params, lr=RATE, betas=(BETA1, BETA2), eps=EPSILON)

    def forward(x):
        w1, b1, w2, b2, w3, b3 = params
        linear = torch.nn.functional.linear
        return linear(linear(linear(x, w1, b1).tanh(), w2, b2).tanh(), w3, b3)

    def step():
        (slope,) = torch.autograd.grad(forward(x).sum(), x, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        loss = (curvature + force).square().mean() + forward(ends).square().mean()
        optimizer.zero_grad()
        loss.backward(inputs=params)
        optimizer.step()
        return loss.detach()

    return step, torch.__version__


def jax_step():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x, ends = jnp.array(X), jnp.array(ENDS)

    def forward(params, x):
        w1, b1, w2, b2, w3, b3 = params
        return jnp.tanh(jnp.tanh(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3

    def loss(params):
        slope = jax.grad(lambda x: forward(params, x).sum())
        curvature = jax.grad(lambda x: slope(x).sum())(x)
        rest = curvature + math.pi * math.pi * jnp.sin(math.pi * x)
        return (rest**2).mean() + (forward(params, ends) ** 2).mean()

    @jax.jit
    def update(params, mean, square, count):
        value, grads = jax.value_and_grad(loss)(params)
        mean = [BETA1 * m + (1 - BETA1) * g for m, g in zip(mean, grads)]
        square = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(square, grads)]
        m, v = 1 - BETA1**count, 1 - BETA2**count
        params = [
            p - RATE * (a / m) / (jnp.sqrt(b / v) + EPSILON) for p, a, b in zip(params, mean, square)
        ]
        return value, params, mean, square, count + 1

    params = [jnp.array(p) for p in INITIAL["W11"]()]
    zeros = [jnp.zeros_like(p) for p in params]
    state = (params, zeros, zeros, jnp.float64(1))

    def step():
        nonlocal state
        value, *state = update(*state)
        return value

    return step, jax.__version__


def main():
    parser = measure.parser(__doc__, ["W11"])
    parser.add_argument("library", choices=["torch", "jax"])
    arguments = parser.parse_args()
    measure.use_cores(arguments.threads)
    if arguments.library == "torch":
        peer, (step, version) = "PyTorch", torch_step(arguments.threads)
    else:
        peer, (step, version) = "JAX", jax_step()
    measure.measure(arguments, peer, version, measure.repeated(step))


if __name__ == "__main__":
    main()
