"""The reasons for which wengert differs from PyTorch and JAX, by name. The section "Numbers that differ" of
docs/from_pytorch.md has them in words.

A difference or a refusal without a reason, "?", is a defect until it is understood.
"""
import re

import torch

import programs_torch


def names(text):
    return set(text.split())


# Names without underscores, in lower case: those of a method and of the layer that calls it are then the same.
KINKS = names("elu celu selu prelu")
CHOICES = names(
    "max min maxpool1d maxpool2d adaptivemaxpool1d adaptivemaxpool2d cummax cummin sort sortby topk argsort argtopk"
)
MARGINS = names("hingeembedding marginranking tripletmargin multimargin hinge cosineembedding")
ATTENTION = names("scaleddotproductattention multiheadattention transformerencoderlayer")
WINDOWS = names("conv1d conv2d convtranspose1d convtranspose2d")
INTERPOLATIONS = names("upsamplelinear1d upsamplebilinear2d upsample")
MATRICES = names("solve solvetriangular inv det slogdet cholesky qr eigh eigvalsh")
ORDERS = names("sort sortby topk argsort argtopk argmax argmin searchsorted")
# Flat on one side of a kink or everywhere.
FLAT = names(
    "relu relu6 hardtanh hardsigmoid hardswish clamp clampmin clampmax leakyrelu prelu maximum minimum step sign floor "
    "ceil round mulscalar"
)
# A difference in the last digit is one of 1 here.
STEPS = names("greater greaterequal less lessequal equal notequal step sign floor ceil round maximum minimum")
# Functions of an interval, at whose end a number may round to either side.
INTERVALS = names("asin acos atanh acosh")
FINITE = {"finite", "0"}

REFUSALS = {
    r"not positive-definite": "a matrix that is not positive definite",
    r"linalg\.(eigh|svd|qr)": "a matrix with NaN or infinity",
    r"linalg\.(solve|inv|det).*singular|singular": "a singular matrix",
    r"between 0 and 1": "a probability outside of 0 to 1",
    r"Expected more than 1 value per channel|Expected more than 1 spatial element": "one value per channel",
    r"cannot reshape tensor of 0 elements": "a loss of no classes",
    r"select_and_gather.*window dilation": "JAX has no derivative of a dilated pool",
}


def refusal(message):
    """Why the other library refuses a program, by the first line of its message."""
    found = (why for pattern, why in REFUSALS.items() if re.search(pattern, message))
    return next(found, f"? {message[:100]}")


def numbers(node):
    return [float(word) for word in node["data"].split()]


def inputs_of(program):
    return [x for node in program["nodes"] if node["op"] == "input" for x in numbers(node)]


def values_of(program):
    """All values; the inputs alone if PyTorch refuses a step."""
    try:
        return programs_torch.values(program)
    except RuntimeError:
        return [programs_torch.numbers(node) for node in program["nodes"] if node["op"] == "input"]


def out_of_domain(program, values):
    """Whether a step is a distribution with parameters for which there is none."""
    for node in program["nodes"] if len(values) == len(program["nodes"]) else []:
        firsts = [0, 2] if node.get("of") == "kl_divergence" else [0]
        for at in firsts if node["op"] in ("Normal", "Gumbel", "Uniform") else []:
            first, second = (values[node["args"][k]].detach() for k in (at, at + 1))
            if not (first < second if node["op"] == "Uniform" else second > 0).all():
                return True
    return False


def is_degenerate(program, values):
    """Whether a step factors a matrix that is singular, or whose eigenvalues are equal, to the last digits."""
    for node in program["nodes"] if len(values) == len(program["nodes"]) else []:
        if node["op"].replace("_", "").lower() in MATRICES:
            sizes = torch.linalg.svdvals(values[node["args"][0]].detach().double())
            gaps = torch.cat([sizes[..., :-1] - sizes[..., 1:], sizes[..., -1:]], -1)
            if (gaps < 1e-8 * sizes[..., :1]).any():
                return True
    return False


def reason(key, program, ours, theirs, largest, backend):
    """The reason for a difference from a library with this signature, for numbers or shapes `ours` and `theirs`;
    `largest` is the largest number of the same kind of result."""
    found = reason_in_pytorch(key, program, ours, theirs, largest)
    if backend == "jax":
        ops, both_finite = plain(key[0]), {key[2], key[3]} <= FINITE
        kinks = KINKS | CHOICES | FLAT | MARGINS | names("abs l1 norm softsign huber smoothl1 hypot")
        # The second derivative of a norm with p below 2 is infinite at 0.
        if found == "?" and ops & kinks and (both_finite or ops & names("hypot norm")):
            return "JAX: another convention at a kink or tie"
        if found == "?" and ops & MATRICES and any(abs(x) > 1e30 for x in inputs_of(program)):
            return "rounding"
        return found.replace("PyTorch", "JAX")
    return found


def plain(steps):
    return {op.replace("_", "").lower() for op in steps.split("+")}


def reason_in_pytorch(key, program, ours, theirs, largest):
    steps, order, our_kind, their_kind = key
    ops = plain(steps)
    inputs = inputs_of(program)
    values = values_of(program)
    nan = any(bool(x.isnan().any()) for x in values)
    infinite = not all(bool(x.isfinite().all()) for x in values)
    both_finite = {our_kind, their_kind} <= FINITE
    if "hardsigmoid" in ops and both_finite:
        return "PyTorch: one sixth in single precision"
    if "bce" in ops and order != "value":
        return "PyTorch: bce is not limited alike at every order"
    if ops & KINKS and order == "second order" and both_finite:
        return "PyTorch: second derivative at a kink"
    if "multimargin" in ops and not inputs:
        return "PyTorch: memory that nobody has written"
    if "powf" in ops and -0.0 in inputs and {our_kind, their_kind} == {"inf", "-inf"}:
        return "PyTorch: a power of -0 is 1 / sqrt(-0)"
    if ops & {"kldiv", "poissonnll"} and their_kind == "nan":
        return "0 ln 0"
    if ops & MATRICES and infinite:
        return "a matrix with NaN or infinity is NaN in all elements"
    if "det" in ops and order == "second order" and our_kind == "nan":
        return "a second derivative of det at a singular matrix"
    if "qr" in ops and order != "value" and our_kind == "nan":
        return "linearly dependent columns have no derivative"
    if "qr" in ops and -0.0 in inputs and both_finite:
        return "PyTorch: the sign of -0 in LAPACK"
    if "cumprod" in ops and order == "second order" and their_kind == "0":
        return "PyTorch: cumprod divides by the element"
    if "solvetriangular" in ops and 0.0 in inputs and our_kind == "nan":
        return "a singular matrix gives NaN"
    if "searchsorted" in ops and nan:
        return "NaN is the greatest of a sorted row"
    if out_of_domain(program, values):
        return "outside of the domain"
    if ops & {"categorical", "bernoulli"} and their_kind == "inf" and our_kind == "finite":
        return "PyTorch: a probability that underflows counts as 0"
    if ops & INTERPOLATIONS and infinite:
        return "a weight of 0 reads nothing"
    if ops & CHOICES and nan:
        return "a choice among NaN"
    if ops & ATTENTION and (our_kind, their_kind) == ("nan", "0"):
        return "scores of -inf that no mask has made"
    if ops & {"relu6", "hardtanh"} and nan:
        return "PyTorch: relu6 and hardtanh at NaN depend on the place"
    if ops & MARGINS | ops & {"sign", "abs", "l1", "smoothl1", "elu", "celu", "selu"} and infinite:
        return "NaN is not swallowed"
    if their_kind == "nan" and our_kind != "nan":
        return "PyTorch: inf - inf" if order == "value" else "a cotangent of 0 stays 0"
    if our_kind == "nan" and ops & WINDOWS:
        return "windows share their NaN"
    if our_kind == "nan" and "acosh" in ops:
        return "outside of the domain"
    if {our_kind, their_kind} == {"inf", "-inf"}:
        return "a zero of another sign"
    if order == "value" and "nan" in (our_kind, their_kind) and ops & INTERVALS:
        return "rounding at the end of a domain"
    if order != "value" and "pow" in ops and min(inputs, default=0) < 0:
        return "outside of the domain"
    if our_kind == "nan" and order != "value" and ops & (FLAT | MARGINS) and len(ops) > 1:
        return "a derivative of 0 is no selection"
    if our_kind == "nan" and infinite:
        return "inf - inf or 0 times inf, in another order"
    if both_finite:
        if ops & ORDERS and len(ops) > 1:
            return "rounding decides an order"
        if ops & STEPS and len(ops) > 1:
            return "rounding decides a step"
        if ops & MATRICES and is_degenerate(program, values):
            return "rounding in a singular or degenerate matrix"
        if "bernoulli" in ops:
            return "PyTorch: digits lost in the complement of a probability"
        if order != "value" and nan and not any(x != x for x in inputs):
            return "outside of the domain"
        if abs(ours - theirs) < 1e-9 * largest:
            return "rounding beside larger numbers"
        if order == "second order" and max(abs(ours), abs(theirs)) < 1e-6:
            return "rounding"
        extreme = any(abs(x) > 1e6 or 0 < abs(x) < 1e-12 for x in inputs)
        if extreme or abs(ours - theirs) < 1e-3 * max(abs(ours), abs(theirs)) or max(abs(ours), abs(theirs)) < 1e-8:
            return "rounding"
    return "?"
