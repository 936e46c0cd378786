"""The reasons for which wengert differs from PyTorch and JAX, by name. The section "Numbers that differ" of
docs/from_pytorch.md has them in words.

A difference without a reason, "?", is a defect until it is understood.
"""

KINKS = {"elu", "celu", "selu", "PReLU"}
CHOICES = {"max", "min", "max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"}
MARGINS = {"hinge_embedding", "margin_ranking", "triplet_margin", "multi_margin"}
ATTENTION = {"scaled_dot_product_attention", "MultiheadAttention", "TransformerEncoderLayer"}
WINDOWS = {"conv1d", "conv2d", "Conv1d", "Conv2d"}
FINITE = {"finite", "0"}


def numbers(program):
    return [
        float(word) for node in program["nodes"] if node["op"] == "input" for word in node["data"].split()
    ]


def reason(key, program, ours, theirs):
    """The reason for a difference with this signature, for numbers or shapes `ours` and `theirs`."""
    ops, order, our_kind, their_kind = key
    ops, inputs = set(ops.split("+")), numbers(program)
    nan = any(x != x for x in inputs)
    infinite = nan or any(abs(x) == float("inf") for x in inputs)
    both_finite = {our_kind, their_kind} <= FINITE
    if "hardsigmoid" in ops and both_finite:
        return "PyTorch: one sixth in single precision"
    if "bce" in ops and order != "value":
        return "PyTorch: bce is not limited alike at every order"
    if ops & KINKS and order == "second order" and both_finite:
        return "PyTorch: second derivative at a kink"
    if "multi_margin" in ops and not inputs:
        return "PyTorch: memory that nobody has written"
    if "powf" in ops and -0.0 in inputs and {our_kind, their_kind} == {"inf", "-inf"}:
        return "PyTorch: a power of -0 is 1 / sqrt(-0)"
    if ops & {"kl_div", "poisson_nll"} and their_kind == "nan":
        return "0 ln 0"
    if ops & CHOICES and nan:
        return "a choice among NaN"
    if ops & ATTENTION and (our_kind, their_kind) == ("nan", "0"):
        return "scores of -inf that no mask has made"
    if ops & {"relu6", "hardtanh"} and nan:
        return "PyTorch: relu6 and hardtanh at NaN depend on the place"
    if ops & MARGINS | ops & {"sign", "abs", "l1", "smooth_l1", "elu", "celu", "selu"} and infinite:
        return "NaN is not swallowed"
    if their_kind == "nan" and our_kind != "nan":
        return "PyTorch: inf - inf" if order == "value" else "a cotangent of 0 stays 0"
    if our_kind == "nan" and ops & WINDOWS:
        return "windows share their NaN"
    if our_kind == "nan" and "acosh" in ops:
        return "outside of the domain"
    if our_kind == "nan" and infinite:
        return "inf - inf or 0 times inf, in another order"
    if both_finite:
        extreme = any(abs(x) > 1e6 or 0 < abs(x) < 1e-30 for x in inputs)
        if extreme or abs(ours - theirs) < 1e-3 * max(abs(ours), abs(theirs)) or max(abs(ours), abs(theirs)) < 1e-8:
            return "rounding"
    return "?"
