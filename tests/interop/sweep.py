"""Makes fixtures/sweep.txt: functions and losses over all magnitudes, in 80 digits, rounded to the nearest double.

    python tests/interop/sweep.py > tests/fixtures/sweep.txt

A line `# name` begins a function. Each line after it holds the arguments, which are exact in single precision, the
value, and the derivative by each argument. Points outside of the domain are left out.
"""
import math
import struct

from mpmath import (acos, acosh, asin, asinh, atan, atanh, cos, cosh, e, erf, erfc, exp, expm1, log, log1p, mp, mpf, pi,
                    power, sin, sinh, sqrt, tan, tanh)

mp.dps = 80


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def sigmoid(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def softplus(x):
    return log1p(exp(-abs(x))) + max(x, 0)


def density(x):
    return exp(-x * x / 2) / sqrt(2 * pi)


def normal(x):
    return erfc(-x / sqrt(mpf(2))) / 2


SELU = mpf("1.0507009873554805"), mpf("1.6732632423543772")
CUBIC = mpf("0.044715")


def inner(x):
    return 2 * sqrt(2 / pi) * (x + CUBIC * x**3)


def positive(x, f):
    return f(x) if x > 0 else None


UNARY = {
    "Square": (lambda x: x * x, lambda x: 2 * x),
    "Sqrt": (sqrt, lambda x: 1 / (2 * sqrt(x))),
    "Rsqrt": (lambda x: 1 / sqrt(x), lambda x: -1 / (2 * x * sqrt(x))),
    "Recip": (lambda x: 1 / x, lambda x: -1 / x**2),
    "Powf": (lambda x: positive(x, lambda x: power(x, mpf(5) / 2)), lambda x: mpf(5) / 2 * power(x, mpf(3) / 2)),
    "Powi": (lambda x: x**-3, lambda x: -3 * x**-4),
    "Exp": (exp, exp),
    "ExpM1": (expm1, exp),
    "Ln": (lambda x: positive(x, log), lambda x: 1 / x),
    "Ln1p": (lambda x: log1p(x) if x > -1 else None, lambda x: 1 / (1 + x)),
    "Log2": (lambda x: positive(x, lambda x: log(x) / log(2)), lambda x: 1 / (x * log(2))),
    "Log10": (lambda x: positive(x, lambda x: log(x) / log(10)), lambda x: 1 / (x * log(10))),
    "Sin": (sin, cos),
    "Cos": (cos, lambda x: -sin(x)),
    "Tan": (tan, lambda x: 1 / cos(x) ** 2),
    "Asin": (lambda x: asin(x) if abs(x) < 1 else None, lambda x: 1 / sqrt(1 - x * x)),
    "Acos": (lambda x: acos(x) if abs(x) < 1 else None, lambda x: -1 / sqrt(1 - x * x)),
    "Atan": (atan, lambda x: 1 / (1 + x * x)),
    "Sinh": (sinh, cosh),
    "Cosh": (cosh, sinh),
    "Tanh": (tanh, lambda x: 1 / cosh(x) ** 2),
    "Asinh": (asinh, lambda x: 1 / sqrt(1 + x * x)),
    "Acosh": (lambda x: acosh(x) if x > 1 else None, lambda x: 1 / sqrt(x * x - 1)),
    "Atanh": (lambda x: atanh(x) if abs(x) < 1 else None, lambda x: 1 / (1 - x * x)),
    "Erf": (erf, lambda x: 2 / sqrt(pi) * exp(-x * x)),
    "Erfc": (erfc, lambda x: -2 / sqrt(pi) * exp(-x * x)),
    "Sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "LogSigmoid": (lambda x: -softplus(-x), lambda x: sigmoid(-x)),
    "Softplus": (softplus, sigmoid),
    "Softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "Elu": (lambda x: x if x > 0 else mpf("1.3") * expm1(x), lambda x: mpf(1) if x > 0 else mpf("1.3") * exp(x)),
    "Celu": (lambda x: x if x > 0 else mpf("1.6") * expm1(x / mpf("1.6")),
             lambda x: mpf(1) if x > 0 else exp(x / mpf("1.6"))),
    "Selu": (lambda x: SELU[0] * (x if x > 0 else SELU[1] * expm1(x)),
             lambda x: SELU[0] * (mpf(1) if x > 0 else SELU[1] * exp(x))),
    "Gelu": (lambda x: x * normal(x), lambda x: normal(x) + x * density(x)),
    "GeluTanh": (lambda x: x * sigmoid(inner(x)),
                 lambda x: sigmoid(inner(x)) * (1 + x * sigmoid(-inner(x)) * 2 * sqrt(2 / pi) * (1 + 3 * CUBIC * x**2))),
    "Silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    "Mish": (lambda x: x * tanh(softplus(x)),
             lambda x: tanh(softplus(x)) + x * sigmoid(x) / cosh(softplus(x)) ** 2),
}

TINY = mpf(struct.unpack("f", struct.pack("f", 1e-12))[0])


def bce(x, t):
    limited = lambda x: max(x, mpf(-100))
    if not 0 < x < 1:
        return None
    return -t * limited(log(x)) - (1 - t) * limited(log1p(-x))


LOSSES = {
    "mse": (lambda x: x * x, lambda x: 2 * x),
    "huber": (lambda x: x * x / 2 if abs(x) < 1 else abs(x) - mpf(1) / 2,
              lambda x: x if abs(x) < 1 else mpf(math.copysign(1, x))),
    "bce 0": (lambda x: bce(x, 0), lambda x: x / max(x * (1 - x), TINY)),
    "bce 1": (lambda x: bce(x, 1), lambda x: (x - 1) / max(x * (1 - x), TINY)),
    "bce_with_logits 0": (softplus, sigmoid),
    "bce_with_logits 1": (lambda x: softplus(-x), lambda x: -sigmoid(-x)),
    "bce_with_logits 0.25": (lambda x: softplus(-x) / 4 + 3 * softplus(x) / 4,
                             lambda x: -sigmoid(-x) / 4 + 3 * sigmoid(x) / 4),
    "gaussian_nll of 1": (lambda x: positive(x, lambda x: log(max(x, mpf(1e-6))) / 2 + 1 / max(x, mpf(1e-6)) / 2),
                          lambda x: 1 / max(x, mpf(1e-6)) / 2 - 1 / max(x, mpf(1e-6)) ** 2 / 2),
    "gaussian_nll of 1e15": (lambda x: positive(x, lambda x: log(max(x, mpf(1e-6))) / 2 + mpf(1e30) / max(x, mpf(1e-6)) / 2),
                             lambda x: 1 / max(x, mpf(1e-6)) / 2 - mpf(1e30) / max(x, mpf(1e-6)) ** 2 / 2),
}


def div(a, b):
    return a / b, 1 / b, -a / b**2


def hypot(a, b):
    r = sqrt(a * a + b * b)
    return r, a / r, b / r


def atan2(a, b):
    return mp.atan2(a, b), b / (a * a + b * b), -a / (a * a + b * b)


def pow_(a, b):
    if a <= 0 or abs(b * log(a)) > 1000:
        return None
    return power(a, b), b * power(a, b - 1), power(a, b) * log(a)


BINARY = {"Div": div, "Hypot": hypot, "Atan2": atan2, "Pow": pow_}

sizes = sorted({single(m * 10.0**k) for k in range(-30, 31, 3) for m in (3.7,)}
               | {single(x) for x in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.01, 1.3, 1.9, 2.6, 3.1, 4.2, 5.3, 6.1, 7.7, 8.4,
                                      9.6, 11, 12, 13.5, 16, 20, 27, 35, 50, 70, 85, 90, 100)})


def entries(value, derivative):
    for x in [-x for x in reversed(sizes)] + sizes:
        exact = mpf(x)
        if max(abs(exact), 1) > 1e5 and value in (exp, expm1, sinh, cosh):
            continue
        y = value(exact)
        if y is None or isinstance(y, mp.mpc):
            continue
        yield x, y, derivative(exact)


def pairs(f):
    some = [single(m * 10.0**k) for k in (-30, -25, -19, -9, -1, 0, 1, 9, 19, 25, 30) for m in (1, -2.3)]
    for a in some:
        for b in some:
            found = f(mpf(a), mpf(b))
            if found is not None:
                yield a, b, *found


if __name__ == "__main__":
    for functions, rows in (UNARY, entries), (LOSSES, entries), (BINARY, pairs):
        for name, f in functions.items():
            print("#", name)
            for row in rows(*f) if isinstance(f, tuple) else rows(f):
                print(*(repr(float(x)) for x in row))
