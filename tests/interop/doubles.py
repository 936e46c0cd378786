"""Makes fixtures/doubles.txt: functions of one number in double precision, in 60 digits.

    python tests/interop/doubles.py > tests/fixtures/doubles.txt

A line `# name` begins a function. Each line after it holds an argument, the value rounded to the nearest double, and
what the exact value is more, in thousandths of a unit in the last place. The arguments lie where the function changes, anywhere
between the least and the greatest double, and on both sides of places at which a computation may be cut in two.
"""
import math
import random

import mpmath
from mpmath import erf, exp, expm1, log, log1p, mp, mpf, pi, sqrt, tanh

mp.dps = 60


def sigmoid(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def softplus(x):
    return log1p(exp(-abs(x))) + max(x, 0)


def mish(x):
    w = exp(x) * (exp(x) + 2)
    return x * w / (w + 2)


def erfc(x):
    return mpmath.erfc(x) if abs(x) < 100 else exp(-x * x) if x > 0 else mpf(2)


def gelu_tanh(x):
    return x * sigmoid(2 * sqrt(2 / pi) * (x + mpf("0.044715") * x**3))


# The function, where it changes, and where its computation may be cut or a simpler one errs most.
FUNCTIONS = {
    "Exp": (exp, (-746, 710), [709.782712893384, -708.3964185322641, -745.1332191019412]),
    "ExpM1": (expm1, (-38, 38), [709.782712893384, -37.42994775023705]),
    "Ln": (log, (0, 4), [1.0, 2.2250738585072014e-308]),
    "Ln1p": (log1p, (-1, 4), [-1.0, 1.0]),
    "Tanh": (tanh, (-20, 20), [0.625, -0.625, 19.061547465398496]),
    "Sigmoid": (sigmoid, (-746, 40), [-708.3964185322641, 36.7368005696771, -36.7368005696771, -3.443759924233981]),
    "LogSigmoid": (lambda x: -softplus(-x), (-40, 746), [-36.7368005696771]),
    "Softplus": (softplus, (-746, 40), [36.7368005696771]),
    "Silu": (lambda x: x * sigmoid(x), (-752, 40), [-714.9, -751.7]),
    "Mish": (mish, (-752, 40), [-714.9, -751.7, -2.0322418187576607, -36.185744363771228]),
    "Gelu": (lambda x: x * erfc(-x / sqrt(mpf(2))) / 2, (-38.6, 10), [-38.58, -37.6, -7.22485348034595, -30.537760904180832]),
    "GeluTanh": (gelu_tanh, (-21.6, 10), [-21.1, -21.5]),
    "Erf": (erf, (-6, 6), [0.92, -0.92, 5.921587195794508]),
    "Erfc": (erfc, (-6, 27.3), [26.54, 27.226, 1.3226764596402771]),
}
# An exponential is reduced at odd multiples of ln 2 / 2, a logarithm at the square roots of 1/2 and 2.
MULTIPLES = [float((k + 0.5) * log(2)) for k in (-1075, -1022, -55, -54, -3, -2, -1, 0, 1, 2, 3, 53, 54, 1023)]
ROOTS = [2.0**k * math.sqrt(0.5) for k in (-1022, -60, -2, -1, 0, 1, 2, 60, 1023)]


def arguments(low, high, cuts):
    dense = [random.uniform(low, high) for _ in range(250)] + [random.uniform(-2, 2) for _ in range(130)]
    anywhere = [math.ldexp(random.uniform(-2, 2), random.randint(-1074, 1023)) for _ in range(130)]
    powers = [sign * 2.0**-k for k in (1, 10, 26, 27, 28, 53, 54, 60, 500, 1074) for sign in (1, -1)]
    edges = [at for x in cuts + MULTIPLES + ROOTS for at in (math.nextafter(x, -math.inf), x, math.nextafter(x, math.inf))]
    halves = [x / 2 for x in edges]
    return dense + anywhere + powers + edges + halves + [x - 1 for x in edges if x < 8]


def thousandths(exact, nearest):
    """`exact - nearest`, in units in the last place of the exact value."""
    exponent = max(int(mp.floor(log(abs(exact), 2))), -1022)
    return round(float((exact - mpf(nearest)) / mpf(2) ** (exponent - 52)) * 1000)


random.seed(0)
for name, (f, (low, high), cuts) in FUNCTIONS.items():
    print("#", name)
    for x in arguments(low, high, cuts):
        if x == 0 or (name == "Ln" and x <= 0) or (name == "Ln1p" and x <= -1):
            continue
        exact = f(mpf(x))
        nearest = float(exact)
        special = exact == 0 or math.isinf(nearest)
        print(repr(x), repr(nearest), 0 if special else thousandths(exact, nearest))
