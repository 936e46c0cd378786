"""The reasons for which wengert differs from PyTorch, by name; the section "Numbers that differ" of docs/from_pytorch.md
has them in words and with a program each.

A reason belongs to operations, and to the numbers that the two return. What has no reason is a defect until it is
understood.
"""

ROUNDED = {"hardsigmoid": "PyTorch has 1/6 in single precision", "bce": "PyTorch has 1e-12 in single precision once"}
KINK = {"elu", "celu", "selu", "PReLU"}
LOGARITHM_OF_ZERO = {"kl_div", "poisson_nll"}
CHOICE = {"max", "min", "max_pool1d", "max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"}
SWALLOWS = {"sign", "multi_margin", "relu6", "l1", "norm", "hinge_embedding", "margin_ranking", "triplet_margin"}
WINDOWS = {"conv1d", "conv2d", "Conv1d", "Conv2d"}


def has(program, words):
    return any(
        word.lower() in words for node in program["nodes"] if node["op"] == "input" for word in node["data"].split()
    )


def reason(key, program):
    ops, order, ours, theirs = key
    ops = set(ops.split("+"))
    extreme = has(program, {"nan", "inf", "-inf"}) or any(
        abs(float(word)) > 1e30 for node in program["nodes"] if node["op"] == "input" for word in node["data"].split()
    )
    finite = {"finite", "0"}
    for op, why in ROUNDED.items():
        if op in ops and {ours, theirs} <= finite:
            return why
    if ops & KINK and order == "second order" and {ours, theirs} <= finite:
        return "second derivative at a kink"
    if ops & LOGARITHM_OF_ZERO and theirs == "nan":
        return "0 ln 0"
    if ops & CHOICE and has(program, {"nan"}):
        return "gradient of a choice among NaN"
    if theirs == "nan" and ours != "nan":
        return "a cotangent of 0 stays 0" if order != "value" else "PyTorch: inf - inf"
    if ours == "nan" and ops & WINDOWS and extreme:
        return "windows share their NaN"
    if ours == "nan" and ops & SWALLOWS and extreme:
        return "NaN is not swallowed"
    if ours == "nan" and order != "value":
        return "a derivative of 0 beside a cotangent of NaN or infinity"
    return "?"
