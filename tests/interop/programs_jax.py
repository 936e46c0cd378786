"""The operations of random programs in JAX; see random_programs.py.

Recurrent layers and attention are not part of JAX: programs with them are compared with PyTorch alone.
"""
import functools
import json
import os

# Programs run once: compiling takes longer than running.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import jax
import jax.numpy as jnp
import numpy
import optax
from jax import lax, nn
from jax.scipy import special

import programs_jax_more

jax.config.update("jax_enable_x64", True)
# The most steps of a program that is compiled: seven of eight programs have no more.
LONGEST = 3
VERSION = f"JAX {jax.__version__}"


def numbers(array):
    return numpy.array([float(word) for word in array["data"].split()]).reshape(array["shape"])


def indices(index):
    return numpy.array(index["data"], dtype=numpy.int64).reshape(index["shape"])


def given(s, key):
    return numbers(s[key]) if key in s else None


def reduction(f):
    def reduced(x, s):
        axes = tuple(range(x.ndim)) if s.get("axes") is None else tuple(s["axes"])
        return f(x, axes, s.get("keepdim", False), s)
    return reduced


def norm(x, axes, keepdim, s):
    p = float(s["p"])
    if p == numpy.inf:
        return jnp.max(jnp.abs(x), axes, keepdims=keepdim)
    return jnp.sum(jnp.abs(x) ** p, axes, keepdims=keepdim) ** (1 / p)


def part(x, axis, start, end, step=1):
    index = [slice(None)] * x.ndim
    index[axis % x.ndim] = slice(start, end, step)
    return x[tuple(index)]


def sliced(x, s):
    n = x.shape[s["axis"]]
    start, end = (at % n if at < 0 else at for at in s["range"])
    return part(x, s["axis"], start, end, s.get("step", 1))


def pad(mode):
    def padded(x, s):
        sides = [(0, 0)] * x.ndim
        sides[s["axis"] % x.ndim] = (s["before"], s["after"])
        return jnp.pad(x, sides, mode, **({"constant_values": s["value"]} if mode == "constant" else {}))
    return padded


def along(x, axis, index):
    """The index of every element of `index`, with the axis replaced."""
    grid = list(numpy.indices(index.shape))
    grid[axis % x.ndim] = index
    return tuple(grid)


def at_slices(x, axis, index):
    return (slice(None),) * (axis % x.ndim) + (index,)


def conv(axes):
    def convolved(x, w, *bias_and_s):
        *bias, s = bias_and_s
        dilation = s["dilation"][-axes:]
        if s["padding"] == "same":
            # PyTorch puts the odd one after.
            reach = [(k - 1) * d for k, d in zip(w.shape[2:], dilation)]
            padding = [(r // 2, r - r // 2) for r in reach]
        else:
            padding = [(p, p) for p in s["padding"][-axes:]]
        y = lax.conv_general_dilated(
            x, w, s["stride"][-axes:], padding, rhs_dilation=dilation, feature_group_count=s["groups"]
        )
        return y if not bias else y + bias[0].reshape(1, -1, *[1] * axes)
    return convolved


def windows(x, axes, s):
    """The arguments of `reduce_window`. In ceil mode a window may end behind the padding, if it begins before."""
    kernel, stride, before, dilation = (s[key][-axes:] for key in ("kernel", "stride", "padding", "dilation"))
    ones = (1,) * (x.ndim - axes)
    padding = [(0, 0)] * (x.ndim - axes)
    for n, k, step, p, d in zip(x.shape[-axes:], kernel, stride, before, dilation):
        rest = n + 2 * p - d * (k - 1) - 1
        count = rest // step + 1
        if s["ceil_mode"] and rest % step and count * step < n + p:
            count += 1
        # Not negative, because JAX then refuses the derivative of a maximum. The count of windows is the same.
        padding.append((p, max(0, (count - 1) * step + d * (k - 1) + 1 - n - p)))
    of = {"window_dimensions": ones + tuple(kernel), "window_strides": ones + tuple(stride)}
    return of | {"padding": padding, "window_dilation": ones + tuple(dilation)}


def max_pool(axes):
    return lambda x, s: lax.reduce_window(x, -jnp.inf, lax.max, **windows(x, axes, s))


def avg_pool(axes):
    def pooled(x, s):
        args = windows(x, axes, s)
        sides = [(0, 0)] * (x.ndim - axes) + [(p, p) for p in s["padding"][-axes:]]
        padded = numpy.pad(numpy.ones(x.shape), sides, constant_values=float(s["count_include_pad"]))
        rest = args | {"padding": [(0, after - p) for (_, after), (_, p) in zip(args["padding"], sides)]}
        total = lax.reduce_window(x, 0.0, lax.add, **args)
        return total / lax.reduce_window(padded, 0.0, lax.add, **rest)
    return pooled


def adaptive(axes, f):
    def pooled(x, s):
        for k in range(axes):
            axis, n, m = x.ndim - axes + k, x.shape[x.ndim - axes + k], s["output"][k + 2 - axes]
            cells = [part(x, axis, i * n // m, -((i + 1) * n // -m)) for i in range(m)]
            x = jnp.stack([f(cell, axis) for cell in cells], axis)
        return x
    return pooled


def upsample(axes):
    def larger(x, s):
        for k, factor in enumerate(s["factor"][-axes:]):
            x = jnp.repeat(x, factor, x.ndim - axes + k)
        return x
    return larger


def normalized(x, axes, eps=1e-5):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / jnp.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


def channels(values, x):
    return values.reshape(1, -1, *[1] * (x.ndim - 2))


def batch_norm(x, *rest):
    *affine, s = rest
    if s["evaluates"]:
        mean, variance = given(s, "running_mean"), given(s, "running_var")
        y = (x - channels(mean, x)) / jnp.sqrt(channels(variance, x) + 1e-5)
    else:
        y = normalized(x, (0, *range(2, x.ndim)))
    return y * channels(affine[0], x) + channels(affine[1], x) if affine else y


def layer_norm(x, *rest):
    *affine, s = rest
    y = normalized(x, tuple(range(-len(s["shape"]), 0)))
    return y * affine[0] + affine[1] if affine else y


def rms_norm(x, *rest):
    *weight, s = rest
    y = x / jnp.sqrt((x ** 2).mean(tuple(range(-len(s["shape"]), 0)), keepdims=True) + 1e-5)
    return y * weight[0] if weight else y


def group_norm(x, *rest):
    *affine, s = rest
    groups = x.reshape(x.shape[0], s["num_groups"], -1)
    y = normalized(groups, (2,)).reshape(x.shape)
    return y * channels(affine[0], x) + channels(affine[1], x) if affine else y


def reduced(losses, s):
    kind = s["reduction"]
    if kind == "batchmean":
        return losses.sum() / losses.shape[0]
    return {"mean": jnp.mean, "sum": jnp.sum, "none": lambda y: y}[kind](losses)


def elementwise(f):
    return lambda *rest: reduced(f(*rest), rest[-1])


def over_rows(losses, x, s):
    """The reduction of losses of labels: with class weights, the mean divides by the sum of the weights."""
    labels = indices(s["labels"])
    weight = numpy.ones(x.shape[-1]) if "weight" not in s else given(s, "weight")
    w = weight[labels] * (labels != s.get("ignore_index", -1))
    kept = jnp.where(w != 0, losses * w, 0.0)
    return kept.sum() / w.sum() if s["reduction"] == "mean" else reduced(kept, s)


def at_labels(x, s):
    return jnp.take_along_axis(x, indices(s["labels"])[..., None], -1)[..., 0]


def nll(x, s):
    return over_rows(-at_labels(x, s), x, s)


def cosine_embedding(x, y, t, s):
    cosine = (x * y).sum(-1) / jnp.sqrt(((x * x).sum(-1) + 1e-12) * ((y * y).sum(-1) + 1e-12))
    return reduced(jnp.where(t > 0, 1 - cosine, nn.relu(cosine - s["margin"])), s)


def unary(*names):
    return {name: (lambda f: lambda x, s: f(x))(getattr(jnp, name)) for name in names}


def activations(**names):
    return {ours: (lambda f: lambda x, s: f(x))(getattr(nn, theirs)) for ours, theirs in names.items()}


def binary(**names):
    return {ours: (lambda f: lambda a, b, s: f(a, b))(getattr(jnp, theirs)) for ours, theirs in names.items()}


def mask(f):
    return lambda a, b, s: f(a, b).astype(a.dtype)


OPS = unary(
    "square", "sqrt", "exp", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh", "tanh", "abs", "sign", "floor", "ceil",
    "round",
) | activations(
    sigmoid="sigmoid", log_sigmoid="log_sigmoid", softplus="softplus", softsign="soft_sign", relu="relu", relu6="relu6",
    selu="selu", silu="silu", mish="mish", hardtanh="hard_tanh", hardsigmoid="hard_sigmoid", hardswish="hard_swish",
) | binary(
    add="add", sub="subtract", mul="multiply", div="divide", maximum="maximum", minimum="minimum", pow="power",
    atan2="arctan2", hypot="hypot", dot="dot", outer="outer", matmul="matmul",
) | {
    "neg": lambda x, s: -x,
    "rsqrt": lambda x, s: lax.rsqrt(x),
    "recip": lambda x, s: 1 / x,
    "exp_m1": lambda x, s: jnp.expm1(x),
    "ln": lambda x, s: jnp.log(x),
    "ln_1p": lambda x, s: jnp.log1p(x),
    "asin": lambda x, s: jnp.arcsin(x),
    "acos": lambda x, s: jnp.arccos(x),
    "atan": lambda x, s: jnp.arctan(x),
    "asinh": lambda x, s: jnp.arcsinh(x),
    "acosh": lambda x, s: jnp.arccosh(x),
    "atanh": lambda x, s: jnp.arctanh(x),
    "erf": lambda x, s: special.erf(x),
    "erfc": lambda x, s: special.erfc(x),
    "step": lambda x, s: (~(x <= 0)).astype(x.dtype),
    "gelu": lambda x, s: nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x, s: nn.gelu(x, approximate=True),
    "mul_scalar": lambda x, s: x * s["factor"],
    "add_scalar": lambda x, s: x + s["summand"],
    "powf": lambda x, s: x ** s["exponent"],
    "powi": lambda x, s: lax.integer_pow(x, s["exponent"]),
    "clamp": lambda x, s: jnp.clip(x, s["min"], s["max"]),
    "clamp_min": lambda x, s: jnp.clip(x, s["min"], None),
    "clamp_max": lambda x, s: jnp.clip(x, None, s["max"]),
    "leaky_relu": lambda x, s: nn.leaky_relu(x, s["slope"]),
    "elu": lambda x, s: nn.elu(x, s["alpha"]),
    "celu": lambda x, s: nn.celu(x, s["alpha"]),
    "equal": mask(jnp.equal),
    "not_equal": mask(jnp.not_equal),
    "less": mask(jnp.less),
    "less_equal": mask(jnp.less_equal),
    "greater": mask(jnp.greater),
    "greater_equal": mask(jnp.greater_equal),
    "where_cond": lambda m, a, b, s: jnp.where(m != 0, a, b),
    "masked_fill": lambda x, m, s: jnp.where(m != 0, s["value"], x),
    "matmul_transposed": lambda a, b, s: a @ jnp.swapaxes(b, -1, -2),
    "linear": lambda x, w, b, s: x @ w.T + b,
    "einsum": lambda *rest: jnp.einsum(rest[-1]["spec"], *rest[:-1]),
    "sum": reduction(lambda x, axes, keepdim, s: jnp.sum(x, axes, keepdims=keepdim)),
    "mean": reduction(lambda x, axes, keepdim, s: jnp.mean(x, axes, keepdims=keepdim)),
    "max": reduction(lambda x, axes, keepdim, s: jnp.max(x, axes, keepdims=keepdim)),
    "min": reduction(lambda x, axes, keepdim, s: jnp.min(x, axes, keepdims=keepdim)),
    "prod": reduction(lambda x, axes, keepdim, s: jnp.prod(x, axes, keepdims=keepdim)),
    "logsumexp": reduction(lambda x, axes, keepdim, s: special.logsumexp(x, axes, keepdims=keepdim)),
    "var": reduction(lambda x, axes, keepdim, s: jnp.var(x, axes, ddof=s["correction"], keepdims=keepdim)),
    "std": reduction(lambda x, axes, keepdim, s: jnp.std(x, axes, ddof=s["correction"], keepdims=keepdim)),
    "norm": reduction(norm),
    "softmax": lambda x, s: nn.softmax(x, s["axis"]),
    "log_softmax": lambda x, s: nn.log_softmax(x, s["axis"]),
    "cumsum": lambda x, s: jnp.cumsum(x, s["axis"]),
    "cumprod": lambda x, s: jnp.cumprod(x, s["axis"]),
    "reshape": lambda x, s: x.reshape(s["shape"]),
    "flatten": lambda x, s: x.reshape(-1) if x.size else x.reshape(0),
    "flatten_axes": lambda x, s: x.reshape(
        *x.shape[: s["first"]], int(numpy.prod(x.shape[s["first"]: s["last"] + 1])), *x.shape[s["last"] + 1:]),
    "squeeze": lambda x, s: jnp.squeeze(x, tuple(s["axes"])),
    "unsqueeze": lambda x, s: jnp.expand_dims(x, s["axis"]),
    "expand": lambda x, s: jnp.broadcast_to(x, s["shape"]),
    "permute": lambda x, s: x.transpose(s["order"]),
    "transpose": lambda x, s: jnp.swapaxes(x, s["a"], s["b"]),
    "concat": lambda *rest: jnp.concatenate(rest[:-1], rest[-1]["axis"]),
    "stack": lambda *rest: jnp.stack(rest[:-1], rest[-1]["axis"]),
    "slice": sliced,
    "slice_step": sliced,
    "narrow": lambda x, s: part(x, s["axis"], s["start"], s["start"] + s["len"]),
    "split": lambda x, s: jnp.split(x, s["sizes"][:1], s["axis"])[s["part"]],
    "chunk": lambda x, s: part(x, s["axis"], 0, -(x.shape[s["axis"]] // -s["count"])),
    "flip": lambda x, s: jnp.flip(x, tuple(s["axes"])),
    "roll": lambda x, s: jnp.roll(x, s["shift"], s["axis"]),
    "pad": pad("constant"),
    "pad_reflect": pad("reflect"),
    "pad_replicate": pad("edge"),
    "repeat": lambda x, s: jnp.tile(x, s["times"]),
    "tril": lambda x, s: jnp.tril(x, s["diagonal"]),
    "triu": lambda x, s: jnp.triu(x, s["diagonal"]),
    "diag": lambda x, s: jnp.diag(x, s["diagonal"]),
    "stop_gradient": lambda x, s: lax.stop_gradient(x),
    "pick": lambda x, s: jnp.take_along_axis(x, indices(s["index"])[..., None], -1)[..., 0],
    "gather": lambda x, s: x[along(x, s["axis"], indices(s["index"]))],
    "scatter_add": lambda x, src, s: x.at[along(x, s["axis"], indices(s["index"]))].add(src),
    "index_select": lambda x, s: x[at_slices(x, s["axis"], indices(s["index"]))],
    "index_add": lambda x, src, s: x.at[at_slices(x, s["axis"], indices(s["index"]))].add(src),
    "conv1d": conv(1),
    "conv2d": conv(2),
    "Conv1d": conv(1),
    "Conv2d": conv(2),
    "max_pool1d": max_pool(1),
    "max_pool2d": max_pool(2),
    "avg_pool1d": avg_pool(1),
    "avg_pool2d": avg_pool(2),
    "adaptive_avg_pool1d": adaptive(1, jnp.mean),
    "adaptive_avg_pool2d": adaptive(2, jnp.mean),
    "upsample_nearest1d": upsample(1),
    "upsample_nearest2d": upsample(2),
    "Linear": lambda *rest: rest[0] @ rest[1].T + (rest[2] if len(rest) == 4 else 0.0),
    "BatchNorm1d": batch_norm,
    "BatchNorm2d": batch_norm,
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "GroupNorm": group_norm,
    "PReLU": lambda x, w, s: jnp.where(x > 0, x, channels(w, x) * x),
    "mse": elementwise(lambda x, t, s: (x - t) ** 2),
    "half_sse": lambda x, t, s: 0.5 * reduced((x - t) ** 2, s),
    "l1": elementwise(lambda x, t, s: jnp.abs(x - t)),
    "huber": elementwise(lambda x, t, s: optax.losses.huber_loss(x, t, delta=s["delta"])),
    "hinge": elementwise(lambda x, t, s: optax.losses.hinge_loss(x, t)),
    "cross_entropy": lambda x, s: nll(nn.log_softmax(x), s),
    "nll": nll,
    "bce_with_logits": lambda x, t, s: reduced(
        optax.losses.sigmoid_binary_cross_entropy(x, t) * (given(s, "weight") if "weight" in s else 1.0), s
    ),
    "hinge_embedding": elementwise(lambda x, t, s: jnp.where(t > 0, x, nn.relu(s["margin"] - x))),
    "margin_ranking": elementwise(lambda x, y, t, s: nn.relu(s["margin"] - t * (x - y))),
    "cosine_embedding": cosine_embedding,
} | programs_jax_more.OPS

# Layers without parameters, which call these operations.
OPS |= {
    layer: OPS[op] for layer, op in {
        "ReLU": "relu", "ReLU6": "relu6", "SiLU": "silu", "Mish": "mish", "SELU": "selu", "Tanh": "tanh",
        "Sigmoid": "sigmoid", "LogSigmoid": "log_sigmoid", "Softplus": "softplus", "Softsign": "softsign",
        "Hardtanh": "hardtanh", "Hardsigmoid": "hardsigmoid", "Hardswish": "hardswish", "MaxPool1d": "max_pool1d",
        "MaxPool2d": "max_pool2d", "AvgPool1d": "avg_pool1d", "AvgPool2d": "avg_pool2d",
        "AdaptiveAvgPool1d": "adaptive_avg_pool1d", "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    }.items()
} | {
    layer: (lambda f: lambda x, s: f(x, s["constant"]))(f) for layer, f in {
        "LeakyReLU": nn.leaky_relu, "ELU": nn.elu, "CELU": nn.celu, "Softmax": nn.softmax, "LogSoftmax": nn.log_softmax,
    }.items()
} | {
    "GELU": lambda x, s: nn.gelu(x, approximate="constant" in s),
    "Upsample": lambda x, s: OPS["upsample_nearest2d"](x, s),
}


def lacks(node):
    """Whether JAX, or the table, lacks a step."""
    if node["op"] == "input":
        return False
    if node["op"] == "Upsample":
        return "align_corners" in node
    return node["op"] not in OPS or "pos_weight" in node or bool(node.get("label_smoothing"))


def weights(shape, key):
    n = int(numpy.prod(shape))
    return (numpy.fmod(numpy.arange(1.0, n + 1) * (key + 3), 1.618) - 0.7).reshape(shape)


def weighted(values, key):
    return sum(((y * weights(y.shape, key + i)).sum() for i, y in enumerate(values)), jnp.zeros(()))


@functools.lru_cache(maxsize=512)
def compiled(structure):
    """The results of all programs of this structure, as a function of their inputs."""
    nodes = json.loads(structure)
    used = {i for node in nodes for i in node.get("args", [])}

    def outputs(inputs):
        inputs, found = iter(inputs), []
        for node in nodes:
            if node["op"] == "input":
                found.append(next(inputs))
            else:
                found.append(OPS[node["op"]](*[found[i] for i in node.get("args", [])], node))
        return [value for i, value in enumerate(found) if i not in used]

    def loss(inputs):
        values = outputs(inputs)
        return weighted(values, 0), values

    def second_loss(inputs):
        first, values = jax.grad(loss, has_aux=True)(inputs)
        return weighted(first, 7), (values, first)

    def results(inputs):
        second, (values, first) = jax.grad(second_loss, has_aux=True)(inputs)
        return {"outputs": values, "gradients": first, "second": second}

    return jax.jit(results)


def run(program):
    """The results of a program, as lists of arrays of NumPy; None if JAX lacks one of the operations.

    All results are one compiled function of the inputs: compiled operation by operation, a program takes seconds.
    """
    nodes = program["nodes"]
    if any(map(lacks, nodes)) or sum(node["op"] != "input" for node in nodes) > LONGEST:
        return None
    structure = [node if node["op"] != "input" else {"op": "input"} for node in nodes]
    inputs = [jnp.asarray(numbers(node)) for node in nodes if node["op"] == "input"]
    results = compiled(json.dumps(structure))(inputs)
    return {name: [*map(numpy.asarray, arrays)] for name, arrays in results.items()}
