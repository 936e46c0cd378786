"""The operations of random programs in PyTorch; see random_programs.py.

An operation takes its operands and its settings and returns a tensor. Where PyTorch has the function under the same
name with the same arguments, the table refers to it.
"""
import math

import numpy
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import programs_torch_more

VERSION = f"PyTorch {torch.__version__}"
torch.set_num_threads(1)


def numbers(array, dtype=torch.float64):
    values = [float(word) for word in array["data"].split()]
    return torch.tensor(values, dtype=torch.float64).reshape(array["shape"]).to(dtype)


def given(x, s, key):
    """The tensor of a setting, in the precision of `x`; None if it is not given."""
    return numbers(s[key], x.dtype) if key in s else None


def indices(index):
    return torch.tensor(index["data"], dtype=torch.int64).reshape(index["shape"])


def dims(x, s):
    """The axes of a reduction. In PyTorch no axes at all often stand for all of them."""
    return list(range(x.dim())) if s.get("axes") is None else s["axes"]


def reduction(f):
    """A reduction over the axes given; over none of them, over a new axis of one element."""
    def reduced(x, s):
        axes, keepdim = dims(x, s), s.get("keepdim", False)
        if axes:
            return f(x, axes, keepdim, s)
        return f(x.unsqueeze(-1), [-1], False, s)
    return reduced


def prod(x, axes, keepdim, s):
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim)
    return x


def moment(f):
    return reduction(lambda x, axes, keepdim, s: f(x, axes, correction=s["correction"], keepdim=keepdim))


def norm(x, axes, keepdim, s):
    return torch.linalg.vector_norm(x, float(s["p"]), axes, keepdim)


def mask(f):
    return lambda a, b, s: f(a, b).to(a.dtype)


def part(x, axis, start, end, step=1):
    index = [slice(None)] * x.dim()
    index[axis % x.dim()] = slice(start, end, step)
    return x[tuple(index)]


def ends(s, n):
    """The ends of a slice. In wengert, unlike Python, the end n is not 0 from the end."""
    start, end = s["range"]
    return start % n if start < 0 else start, end % n if end < 0 else end


def sliced(x, s):
    return part(x, s["axis"], *ends(s, x.shape[s["axis"]]), s.get("step", 1))


def pad(mode):
    def padded(x, s):
        axis = s["axis"] % x.dim()
        x = x.movedim(axis, -1)
        shape = x.shape
        sides = (s["before"], s["after"])
        if mode == "constant":
            return F.pad(x, sides, value=s["value"]).movedim(-1, axis)
        rows = F.pad(x.reshape(1, -1, shape[-1]), sides, mode=mode)
        return rows.reshape(*shape[:-1], rows.shape[-1]).movedim(-1, axis)
    return padded


def pick(x, s):
    return x.gather(-1, indices(s["index"]).unsqueeze(-1)).squeeze(-1)


def conv(axes):
    f = (F.conv1d, F.conv2d)[axes - 1]

    def convolved(x, w, *bias_and_s):
        *bias, s = bias_and_s
        padding = s["padding"] if s["padding"] == "same" else s["padding"][-axes:]
        return f(x, w, *bias or [None], s["stride"][-axes:], padding, s["dilation"][-axes:], s["groups"])
    return convolved


def conv_transpose(axes):
    f = (F.conv_transpose1d, F.conv_transpose2d)[axes - 1]

    def convolved(x, w, *bias_and_s):
        *bias, s = bias_and_s
        of = {key: s[key][-axes:] for key in ("stride", "padding", "output_padding", "dilation")}
        return f(x, w, *bias, groups=s["groups"], **of)
    return convolved


def max_pool(axes):
    f = (F.max_pool1d, F.max_pool2d)[axes - 1]
    return lambda x, s: f(
        x, s["kernel"][-axes:], s["stride"][-axes:], s["padding"][-axes:], s["dilation"][-axes:], s["ceil_mode"]
    )


def avg_pool(axes):
    f = (F.avg_pool1d, F.avg_pool2d)[axes - 1]

    def pooled(x, s):
        kernel, stride, padding, dilation = (s[key][-axes:] for key in ("kernel", "stride", "padding", "dilation"))
        if max(dilation) == 1:
            return f(x, kernel, stride, padding, s["ceil_mode"], s["count_include_pad"])
        # The window with its holes: PyTorch's averages have no dilation.
        ones = torch.ones(1, 1, *kernel, dtype=x.dtype)
        convolve = (F.conv1d, F.conv2d)[axes - 1]
        planes = x.reshape(-1, 1, *x.shape[-axes:])
        extents = x.shape[x.dim() - axes:]
        size = [
            programs_torch_more.cells(n, axis, kernel, stride, padding, dilation, s["ceil_mode"])
            for axis, n in enumerate(extents)
        ]
        total, inside, padded = (
            convolve(
                programs_torch_more.over(plane, size, kernel, stride, padding, dilation, fill), ones, None, stride, 0, dilation
            )
            for plane, fill in ((planes, 0.0), (torch.ones_like(planes), 0.0), (torch.ones_like(planes), 1.0))
        )
        y = total / (padded if s["count_include_pad"] else inside)
        return y.reshape(*x.shape[:-axes], *y.shape[2:])
    return pooled


def upsample(axes, mode="nearest"):
    def larger(x, s):
        how = {"mode": mode}
        if mode != "nearest":
            how["align_corners"] = s["align_corners"]
        return F.interpolate(x, scale_factor=[float(n) for n in s["factor"][-axes:]], **how)
    return larger


def attention(q, k, v, s):
    hidden = given(q, s, "blocked")
    allowed = None if hidden is None else hidden == 0
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, allowed, is_causal=s.get("causal", False), scale=s.get("scale"))


def batch_norm(x, *rest):
    *affine, s = rest
    weight, bias = affine or (None, None)
    mean, variance = given(x, s, "running_mean"), given(x, s, "running_var")
    return F.batch_norm(x, mean, variance, weight, bias, not s["evaluates"], 0.1, 1e-5)


def layer_norm(x, *rest):
    *affine, s = rest
    return F.layer_norm(x, s["shape"], *affine)


def rms_norm(x, *rest):
    *weight, s = rest
    return F.rms_norm(x, s["shape"], *weight or [None], eps=1e-5)


def group_norm(x, *rest):
    *affine, s = rest
    return F.group_norm(x, s["num_groups"], *affine)


def layer(kind, settings, x, s):
    """A module of PyTorch with the operands in the place of its parameters; returns the call and the other operands."""
    key = (kind, tuple(sorted(settings.items())), x[0].dtype)
    if key not in MODULES:
        MODULES[key] = kind(**settings).to(x[0].dtype)
    count = len(x) - len(s["params"])
    params = dict(zip(s["params"], x[count:]))
    return lambda *inputs, **more: torch.func.functional_call(MODULES[key], params, inputs, more), x[:count]


MODULES = {}


def recurrent(kind, **more):
    def run(*rest):
        *x, s = rest
        settings = {key: s[key] for key in ("input_size", "hidden_size", "num_layers", "bias", "bidirectional")}
        if kind is torch.nn.RNN:
            settings["nonlinearity"] = "relu" if s["relu"] else "tanh"
        call, (sequence, *state) = layer(kind, settings | {"batch_first": True}, x, s)
        if "lengths" in s:
            lengths = torch.tensor(s["lengths"])
            packed = pack_padded_sequence(sequence, lengths, batch_first=True, enforce_sorted=False)
            y, last = call(packed, *([tuple(state)] if len(state) == 2 else state))
            y, _ = pad_packed_sequence(y, batch_first=True, total_length=sequence.shape[1])
        else:
            y, last = call(sequence, *([tuple(state)] if len(state) == 2 else state))
        last = last if isinstance(last, tuple) else (last,)
        return torch.cat([t.flatten() for t in (y, *last)])
    return run


def heads(*rest):
    *x, s = rest
    settings = {"embed_dim": s["embed_dim"], "num_heads": s["num_heads"], "bias": s["bias"], "batch_first": True}
    call, (q, k, v) = layer(torch.nn.MultiheadAttention, settings, x, s)
    blocked, padding = given(q, s, "blocked"), given(q, s, "padding_keys")
    more = {
        "attn_mask": None if blocked is None else blocked != 0,
        "key_padding_mask": None if padding is None else padding != 0,
    }
    with sdpa_kernel(SDPBackend.MATH):
        return call(q, k, v, need_weights=False, **more)[0]


def block(*rest):
    *x, s = rest
    settings = {key: s[key] for key in ("d_model", "nhead", "dim_feedforward", "norm_first", "activation")}
    call, (x,) = layer(torch.nn.TransformerEncoderLayer, settings | {"dropout": 0.0, "batch_first": True}, x, s)
    blocked = given(x, s, "blocked")
    with sdpa_kernel(SDPBackend.MATH):
        return call(x, src_mask=None if blocked is None else blocked != 0)


def reduced(losses, s):
    kind = s["reduction"]
    if kind == "batchmean":
        return losses.sum() / losses.shape[0]
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[kind]()


def rows(f):
    """A loss of classes: PyTorch has the classes in axis 1, and one axis of examples."""
    def loss(x, s):
        labels = indices(s["labels"])
        y = f(x.reshape(-1, x.shape[-1]), labels.flatten(), s)
        return y.reshape(labels.shape) if s["reduction"] == "none" else y
    return loss


def class_settings(x, s):
    return {"weight": given(x, s, "weight"), "ignore_index": s.get("ignore_index", -100), "reduction": s["reduction"]}


def cross_entropy(x, labels, s):
    return F.cross_entropy(x, labels, label_smoothing=s.get("label_smoothing", 0.0), **class_settings(x, s))


def soft_cross_entropy(x, target, s):
    classes = x.shape[-1]
    y = F.cross_entropy(
        x.reshape(-1, classes), target.reshape(-1, classes), given(x, s, "weight"), reduction=s["reduction"],
        label_smoothing=s["label_smoothing"],
    )
    return y.reshape(x.shape[:-1]) if s["reduction"] == "none" else y


def kl_div(x, target, s):
    return F.kl_div(x, target, reduction=s["reduction"], log_target=s.get("log_target", False))


def loss(f, **names):
    """A loss with these settings under PyTorch's names."""
    return lambda *rest: f(
        *rest[:-1], reduction=rest[-1]["reduction"], **{theirs: rest[-1][ours] for theirs, ours in names.items()}
    )


def same(*names):
    return {name: (lambda f: lambda x, s: f(x))(getattr(torch, name, None) or getattr(F, name)) for name in names}


def binary(*names):
    return {name: (lambda f: lambda a, b, s: f(a, b))(getattr(torch, name)) for name in names}


OPS = same(
    "neg", "square", "sqrt", "rsqrt", "exp", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "abs", "sign", "floor", "ceil", "round", "sigmoid",
    "relu", "relu6", "selu", "silu", "mish", "softsign", "hardtanh", "hardsigmoid", "hardswish",
) | binary("add", "sub", "mul", "div", "maximum", "minimum", "pow", "atan2", "hypot", "dot", "outer") | {
    "recip": lambda x, s: x.reciprocal(),
    "exp_m1": lambda x, s: x.expm1(),
    "ln": lambda x, s: x.log(),
    "ln_1p": lambda x, s: x.log1p(),
    "step": lambda x, s: (~(x <= 0)).to(x.dtype),
    "log_sigmoid": lambda x, s: F.logsigmoid(x),
    "softplus": lambda x, s: F.softplus(x),
    "gelu": lambda x, s: F.gelu(x),
    "gelu_tanh": lambda x, s: F.gelu(x, approximate="tanh"),
    "mul_scalar": lambda x, s: x * s["factor"],
    "add_scalar": lambda x, s: x + s["summand"],
    "powf": lambda x, s: x ** s["exponent"],
    "powi": lambda x, s: x ** s["exponent"],
    "clamp": lambda x, s: x.clamp(s["min"], s["max"]),
    "clamp_min": lambda x, s: x.clamp(min=s["min"]),
    "clamp_max": lambda x, s: x.clamp(max=s["max"]),
    "leaky_relu": lambda x, s: F.leaky_relu(x, s["slope"]),
    "elu": lambda x, s: F.elu(x, s["alpha"]),
    "celu": lambda x, s: F.celu(x, s["alpha"]),
    "equal": mask(torch.eq),
    "not_equal": mask(torch.ne),
    "less": mask(torch.lt),
    "less_equal": mask(torch.le),
    "greater": mask(torch.gt),
    "greater_equal": mask(torch.ge),
    "where_cond": lambda m, a, b, s: torch.where(m != 0, a, b),
    "masked_fill": lambda x, m, s: x.masked_fill(m != 0, s["value"]),
    "matmul": lambda a, b, s: a @ b,
    "matmul_transposed": lambda a, b, s: a @ b.mT,
    "linear": lambda x, w, b, s: F.linear(x, w, b),
    "einsum": lambda *rest: torch.einsum(rest[-1]["spec"], *rest[:-1]),
    "sum": reduction(lambda x, axes, keepdim, s: x.sum(axes, keepdim)),
    "mean": reduction(lambda x, axes, keepdim, s: x.mean(axes, keepdim)),
    "max": reduction(lambda x, axes, keepdim, s: x.amax(axes, keepdim)),
    "min": reduction(lambda x, axes, keepdim, s: x.amin(axes, keepdim)),
    "logsumexp": reduction(lambda x, axes, keepdim, s: x.logsumexp(axes, keepdim)),
    "prod": reduction(prod),
    "var": moment(torch.var),
    "std": moment(torch.std),
    "norm": reduction(norm),
    "softmax": lambda x, s: x.softmax(s["axis"]),
    "log_softmax": lambda x, s: x.log_softmax(s["axis"]),
    "cumsum": lambda x, s: x.cumsum(s["axis"]),
    "cumprod": lambda x, s: x.cumprod(s["axis"]),
    "reshape": lambda x, s: x.reshape(s["shape"]),
    "flatten": lambda x, s: x.flatten(),
    "flatten_axes": lambda x, s: x.flatten(s["first"], s["last"]),
    "squeeze": lambda x, s: x.squeeze(s["axes"]),
    "unsqueeze": lambda x, s: x.unsqueeze(s["axis"]),
    "expand": lambda x, s: x.expand(s["shape"]),
    "permute": lambda x, s: x.permute(s["order"]),
    "transpose": lambda x, s: x.transpose(s["a"], s["b"]),
    "concat": lambda *rest: torch.cat(rest[:-1], rest[-1]["axis"]),
    "stack": lambda *rest: torch.stack(rest[:-1], rest[-1]["axis"]),
    "slice": sliced,
    "slice_step": sliced,
    "narrow": lambda x, s: x.narrow(s["axis"], s["start"], s["len"]),
    "split": lambda x, s: x.split(s["sizes"], s["axis"])[s["part"]],
    "chunk": lambda x, s: x.chunk(s["count"], s["axis"])[0],
    "flip": lambda x, s: x.flip(s["axes"]),
    "roll": lambda x, s: x.roll(s["shift"], s["axis"]),
    "pad": pad("constant"),
    "pad_reflect": pad("reflect"),
    "pad_replicate": pad("replicate"),
    "repeat": lambda x, s: x.repeat(s["times"]),
    "tril": lambda x, s: x.tril(s["diagonal"]),
    "triu": lambda x, s: x.triu(s["diagonal"]),
    "diag": lambda x, s: x.diag(s["diagonal"]),
    "stop_gradient": lambda x, s: x.detach(),
    "pick": pick,
    "gather": lambda x, s: x.gather(s["axis"], indices(s["index"])),
    "scatter_add": lambda x, src, s: x.scatter_add(s["axis"], indices(s["index"]), src),
    "index_select": lambda x, s: x.index_select(s["axis"], indices(s["index"])),
    "index_add": lambda x, src, s: x.index_add(s["axis"], indices(s["index"]), src),
    "embedding": lambda x, s: F.embedding(indices(s["index"]), x, s.get("padding_idx")),
    "conv1d": conv(1),
    "conv2d": conv(2),
    "max_pool1d": max_pool(1),
    "max_pool2d": max_pool(2),
    "avg_pool1d": avg_pool(1),
    "avg_pool2d": avg_pool(2),
    "adaptive_max_pool1d": lambda x, s: F.adaptive_max_pool1d(x, s["output"][1]),
    "adaptive_max_pool2d": lambda x, s: F.adaptive_max_pool2d(x, s["output"]),
    "adaptive_avg_pool1d": lambda x, s: F.adaptive_avg_pool1d(x, s["output"][1]),
    "adaptive_avg_pool2d": lambda x, s: F.adaptive_avg_pool2d(x, s["output"]),
    "upsample_nearest1d": upsample(1),
    "upsample_nearest2d": upsample(2),
    "upsample_linear1d": upsample(1, "linear"),
    "upsample_bilinear2d": upsample(2, "bilinear"),
    "Upsample": lambda x, s: upsample(2, "bilinear" if "align_corners" in s else "nearest")(x, s),
    "Linear": lambda *rest: F.linear(*rest[:-1]),
    "Conv1d": conv(1),
    "Conv2d": conv(2),
    "conv_transpose1d": conv_transpose(1),
    "conv_transpose2d": conv_transpose(2),
    "ConvTranspose1d": conv_transpose(1),
    "ConvTranspose2d": conv_transpose(2),
    "BatchNorm1d": batch_norm,
    "BatchNorm2d": batch_norm,
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "GroupNorm": group_norm,
    "PReLU": lambda x, w, s: F.prelu(x, w),
    "Embedding": lambda w, s: F.embedding(indices(s["index"]), w, s.get("padding_idx")),
    "RNN": recurrent(torch.nn.RNN),
    "LSTM": recurrent(torch.nn.LSTM),
    "GRU": recurrent(torch.nn.GRU),
    "scaled_dot_product_attention": attention,
    "MultiheadAttention": heads,
    "TransformerEncoderLayer": block,
    "mse": loss(F.mse_loss),
    "half_sse": lambda x, t, s: 0.5 * F.mse_loss(x, t, reduction=s["reduction"]),
    "l1": loss(F.l1_loss),
    "huber": loss(F.huber_loss, delta="delta"),
    "smooth_l1": loss(F.smooth_l1_loss, beta="beta"),
    "gaussian_nll": loss(F.gaussian_nll_loss, full="full", eps="eps"),
    "poisson_nll": loss(F.poisson_nll_loss, full="full", log_input="log_input"),
    "cross_entropy": rows(cross_entropy),
    "cross_entropy_soft": soft_cross_entropy,
    "nll": rows(lambda x, labels, s: F.nll_loss(x, labels, **class_settings(x, s))),
    "multi_margin": rows(lambda x, labels, s: F.multi_margin_loss(
        x, labels, s["p"], s["margin"], given(x, s, "weight"), reduction=s["reduction"])),
    "bce": lambda x, t, s: F.binary_cross_entropy(x, t, given(x, s, "weight"), reduction=s["reduction"]),
    "bce_with_logits": lambda x, t, s: F.binary_cross_entropy_with_logits(
        x, t, given(x, s, "weight"), reduction=s["reduction"], pos_weight=given(x, s, "pos_weight")),
    "kl_div": kl_div,
    "hinge": lambda x, t, s: reduced(F.relu(1 - t * x), s),
    "hinge_embedding": loss(F.hinge_embedding_loss, margin="margin"),
    "margin_ranking": loss(F.margin_ranking_loss, margin="margin"),
    "cosine_embedding": loss(F.cosine_embedding_loss, margin="margin"),
    "triplet_margin": loss(F.triplet_margin_loss, margin="margin", p="p", swap="swap"),
} | programs_torch_more.OPS

# Layers without parameters: activations, whose only argument is a constant, and those that call a function of windows.
for name in (
    "ReLU", "ReLU6", "GELU", "SiLU", "Mish", "SELU", "Tanh", "Sigmoid", "LogSigmoid", "Softplus", "Softsign", "Hardtanh",
    "Hardsigmoid", "Hardswish", "LeakyReLU", "ELU", "CELU", "Softmax", "LogSoftmax",
):
    OPS[name] = lambda x, s, layer=getattr(torch.nn, name): layer(*[s["constant"]] if "constant" in s else [])(x)
for axes in ("1d", "2d"):
    OPS |= {f"MaxPool{axes}": OPS[f"max_pool{axes}"], f"AvgPool{axes}": OPS[f"avg_pool{axes}"]}
    OPS |= {f"Adaptive{kind}Pool{axes}": OPS[f"adaptive_{kind.lower()}_pool{axes}"] for kind in ("Max", "Avg")}


def weights(shape, key, dtype):
    """Numbers without a pattern, the same in every language."""
    n = math.prod(shape)
    return torch.from_numpy(numpy.fmod(numpy.arange(1.0, n + 1) * (key + 3), 1.618) - 0.7).reshape(tuple(shape)).to(dtype)


def weighted(values, key, dtype):
    return sum(
        ((y * weights(y.shape, key + i, dtype)).sum() for i, y in enumerate(values)), torch.zeros((), dtype=dtype)
    )


def gradients(loss, inputs, more):
    if not loss.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    return torch.autograd.grad(loss, inputs, create_graph=more, allow_unused=True, materialize_grads=True)


def values(program, dtype=torch.float64):
    found = []
    for node in program["nodes"]:
        if node["op"] == "input":
            found.append(numbers(node, dtype).requires_grad_())
        else:
            found.append(OPS[node["op"]](*[found[i] for i in node.get("args", [])], node))
    return found


def run(program, dtype=torch.float64):
    """The results of a program, as lists of arrays of NumPy."""
    found = values(program, dtype)
    used = {i for node in program["nodes"] for i in node.get("args", [])}
    inputs = [value for value, node in zip(found, program["nodes"]) if node["op"] == "input"]
    outputs = [value for i, value in enumerate(found) if i not in used]
    first = gradients(weighted(outputs, 0, dtype), inputs, True)
    try:
        second = gradients(weighted(first, 7, dtype), inputs, False)
    except RuntimeError as error:
        if "not implemented" not in str(error) and "not differentiable" not in str(error):
            raise
        second = None
    as_arrays = lambda list: None if list is None else [x.detach().numpy(force=True) for x in list]
    return {"outputs": as_arrays(outputs), "gradients": as_arrays(first), "second": as_arrays(second)}
