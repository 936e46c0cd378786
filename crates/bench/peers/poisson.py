"""W11 in PyTorch and in JAX: the physics-informed net of `src/poisson.rs`, with the same data, initial values and Adam.

    python crates/bench/peers/poisson.py torch            # eager, one thread; prints a line of JSON as `peer` does
    python crates/bench/peers/poisson.py jax --steps 500  # a jitted step
    python crates/bench/peers/poisson.py jax --losses 100 # the losses of the first steps, one in a line

`peer --workload W11 --losses 100` prints those of wengert; they agree to 1e-9. Needs NumPy, and PyTorch or JAX.
"""

import argparse
import json
import math
import os
import statistics
import time

import numpy as np

POINTS, WARM_UP = 256, 50
BETA1, BETA2, EPSILON, RATE = 0.9, 0.999, 1e-8, 1e-3


def uniform(stream, shape, bound):
    """SplitMix64 by counter, in single precision within the bound."""
    i = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(stream) * np.uint64(0xD1342543DE82EF95) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(16777216)
    low, high = np.float32(-bound), np.float32(bound)
    return (low + (high - low) * unit).reshape(shape).astype(np.float64)


def initial():
    """Weights `[outputs, inputs]` and biases of the three layers."""
    params = []
    for stream, inputs, outputs in [(100, 1, 32), (102, 32, 32), (104, 32, 1)]:
        bound = np.float32(1) / np.sqrt(np.float32(inputs))
        params += [uniform(stream, (outputs, inputs), bound), uniform(stream + 1, (outputs,), bound)]
    return params


X = ((np.arange(POINTS) + 0.5) / POINTS).reshape(POINTS, 1)
ENDS = np.array([[0.0], [1.0]])


def torch_step(threads):
    import torch

    torch.set_num_threads(threads)
    params = [torch.tensor(p, requires_grad=True) for p in initial()]
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
        return loss.item()

    return step, torch.__version__


def jax_step(threads):
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
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

    params = [jnp.array(p) for p in initial()]
    zeros = [jnp.zeros_like(p) for p in params]
    state = (params, zeros, zeros, jnp.float64(1))

    def step():
        nonlocal state
        value, *state = update(*state)
        return float(value)

    return step, jax.__version__


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["torch", "jax"])
    parser.add_argument("--workload", choices=["W11"], default="W11")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--losses", type=int, default=0)
    arguments = parser.parse_args()
    step, version = {"torch": torch_step, "jax": jax_step}[arguments.library](arguments.threads)
    if arguments.losses:
        for _ in range(arguments.losses):
            print(repr(step()))
        return
    warm_up = [step() for _ in range(WARM_UP)]
    samples, begin = [], time.perf_counter()
    for _ in range(arguments.steps):
        if len(samples) >= 10 and time.perf_counter() - begin > 2.5:
            break
        start = time.perf_counter()
        step()
        samples.append((time.perf_counter() - start) * 1e6)
    result = {
        "peer": arguments.library,
        "version": version,
        "workload": "W11",
        "threads": arguments.threads,
        "us_per_step_median": statistics.median(samples),
        "us_per_step_min": min(samples),
        "loss_first": warm_up[0],
        "loss_last": warm_up[-1],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
