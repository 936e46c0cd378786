"""Data and initial values of the workloads, drawn as by `src/main.rs` and `src/nets.rs`. Needs NumPy."""

import math

import numpy as np


def draws(stream, n):
    """The first numbers of a stream: SplitMix64 by counter."""
    i = np.arange(1, n + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(stream) * np.uint64(0xD1342543DE82EF95) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(stream, shape, low, high):
    """Numbers in single precision, computed as `low + (high - low) * unit`."""
    unit = (draws(stream, math.prod(shape)) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    low, high = np.float32(low), np.float32(high)
    return (low + (high - low) * unit).reshape(shape)


def bounded(stream, shape, inputs):
    """Numbers within `1 / sqrt(inputs)`."""
    bound = np.float32(1) / np.sqrt(np.float32(inputs))
    return uniform(stream, shape, -bound, bound)


def labels(stream, n, classes):
    return ((draws(stream, n) >> np.uint64(33)) % np.uint64(classes)).astype(np.int64)


def linear(stream, inputs, outputs):
    """The weight `[outputs, inputs]` and the bias of a layer."""
    return [bounded(stream, (outputs, inputs), inputs), bounded(stream + 1, (outputs,), inputs)]


def mlp(*sizes, stream=100):
    """Weights and biases of fully connected layers."""
    pairs = enumerate(zip(sizes, sizes[1:]))
    return [p for i, (inputs, outputs) in pairs for p in linear(stream + 2 * i, inputs, outputs)]


def convolution(stream, outputs, inputs):
    """The weight and the bias of a convolution with windows of 5 x 5."""
    taps = 25 * inputs
    return [bounded(stream, (outputs, inputs, 5, 5), taps), bounded(stream + 1, (outputs,), taps)]


def norm():
    """The weight and the bias of a layer normalization of width 64."""
    return [np.ones(64, np.float32), np.zeros(64, np.float32)]


def transformer():
    """Tokens, positions, two blocks in PyTorch's order, the last normalization and the head."""
    params = [uniform(100, (65, 64), -0.1, 0.1), uniform(101, (64, 64), -0.1, 0.1)]
    for stream in [102, 110]:
        params += linear(stream, 64, 192) + linear(stream + 2, 64, 64)
        params += linear(stream + 4, 64, 256) + linear(stream + 6, 256, 64) + norm() + norm()
    return params + norm() + [bounded(118, (65, 64), 64)]


def recurrent():
    """Weights of the input and of the state, both biases, and the head."""
    shapes = [(192, 32), (192, 64), (192,), (192,)]
    return [bounded(100 + i, shape, 64) for i, shape in enumerate(shapes)] + linear(104, 64, 10)


# One batch for all steps: inputs and targets, the leaves of W7, the gradient of W8.
DATA = {
    "W1": lambda: [uniform(1, (2, 2), -1, 1), uniform(2, (2, 2), 0, 1)],
    "W2": lambda: [uniform(1, (32, 16), -1, 1), uniform(2, (32, 1), -1, 1)],
    "W3": lambda: [uniform(1, (64, 784), 0, 1), labels(2, 64, 10)],
    "W4": lambda: [uniform(1, (256, 1024), -1, 1), labels(2, 256, 10)],
    "W5": lambda: [uniform(1, (64, 1, 28, 28), 0, 1), labels(2, 64, 10)],
    "W6": lambda: [labels(1, 1024, 65).reshape(16, 64), labels(2, 1024, 65)],
    "W7": lambda: [uniform(stream, (1_000_000,), -1, 1) for stream in [1, 2, 3]],
    "W8": lambda: [uniform(1, (10_000_000,), -1, 1)],
    "W9": lambda: [uniform(1, (48, 300), -1, 1), labels(2, 48, 7)],
    "W10": lambda: [uniform(1, (16, 50, 32), -1, 1), labels(2, 16, 10)],
}

INITIAL = {
    "W1": lambda: mlp(2, 3, 2),
    "W2": lambda: mlp(16, 32, 32, 1),
    "W3": lambda: mlp(784, 128, 10),
    "W4": lambda: mlp(1024, 1024, 1024, 10),
    "W5": lambda: convolution(100, 6, 1) + convolution(102, 16, 6) + mlp(400, 120, 84, 10, stream=104),
    "W6": transformer,
    "W8": lambda: [uniform(100, (10_000_000,), -1, 1)],
    "W9": lambda: mlp(300, 200, 100, 7),
    "W10": recurrent,
    "W11": lambda: [p.astype(np.float64) for p in mlp(1, 32, 32, 1)],
}
