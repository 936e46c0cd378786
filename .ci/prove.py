"""Proves with SymPy that the derivatives of the library are those of its values.

Usage: prove.py RULES.json, which `cargo run -p wengert-bench --bin rules` prints. The formulas are those that the code
of the library printed when it ran on symbols. Each piece of a function holds on an open region, which its conditions
describe. There the derivative of the value, less the derivative of the code, has to simplify to 0; the same with
x/1000 added has to be refused.
"""

import itertools
import json
import random
import re
import sys
import time

import sympy as sp


class Constant(sp.Function):
    """A function that is constant but for jumps: floor, ceil, round."""

    def fdiff(self, argindex=1):
        return sp.S.Zero


FUNCTIONS = {
    "sqrt": sp.sqrt, "exp": sp.exp, "ln": sp.log, "sin": sp.sin, "cos": sp.cos, "tan": sp.tan,
    "asin": sp.asin, "acos": sp.acos, "atan": sp.atan, "sinh": sp.sinh, "cosh": sp.cosh, "tanh": sp.tanh,
    "asinh": sp.asinh, "acosh": sp.acosh, "atanh": sp.atanh, "erf": sp.erf, "erfc": sp.erfc, "abs": sp.Abs,
    "atan2": sp.atan2, "pi": sp.pi, "floor": Constant, "ceil": Constant, "round": Constant,
    "exp_m1": lambda x: sp.exp(x) - 1,
    "ln_1p": lambda x: sp.log(1 + x),
    "log2": lambda x: sp.log(x) / sp.log(2),
    "log10": lambda x: sp.log(x) / sp.log(10),
    "sigmoid": lambda x: 1 / (1 + sp.exp(-x)),
    "hypot": lambda a, b: sp.sqrt(a**2 + b**2),
}  # fmt: skip

# Where a function is differentiable, if not for all real arguments that its pieces allow.
DOMAINS = {
    "Sqrt": (0, None), "Rsqrt": (0, None), "Powf": (0, None), "Powi": (0, None), "Ln": (0, None),
    "Log2": (0, None), "Log10": (0, None), "Pow": (0, None), "Ln1p": (-1, None), "Acosh": (1, None),
    "Asin": (-1, 1), "Acos": (-1, 1), "Atanh": (-1, 1), "BinaryCrossEntropy": (0, 1),
}  # fmt: skip


def parse(text, names):
    """Reads a formula; decimal numbers are taken as they stand."""
    text = re.sub(r"(?<![\w.])(\d+\.\d+)", r'Rational("\1")', text.replace("^", "**"))
    text = re.sub(r"(?<![\w.\"])(\d+)(?![\w.\"])", r"Integer(\1)", text)
    scope = {"Rational": sp.Rational, "Integer": sp.Integer, **FUNCTIONS, **names}
    return sp.sympify(eval(text, {"__builtins__": {}}, scope))


class Boundary(Exception):
    """The piece holds where two expressions are equal: the convention at a kink, a tie or a pole."""


# Functions whose logarithms and denominators are limited from below; what they give at the limit is a convention.
LIMITED = {"BinaryCrossEntropy"}


class Region:
    """Open intervals of the arguments, and at most one order between two of them."""

    def __init__(self, function, names):
        self.names, self.is_limited = names, function["name"] in LIMITED
        self.arguments = [names[name] for name in function["arguments"]]
        self.constants = {names[c]: value for c, value in function["constants"].items()}
        self.bounds = {x: [None, None] for x in self.arguments}
        low, high = DOMAINS.get(function["name"], (None, None))
        self.bounds[self.arguments[0]] = [None if b is None else sp.Integer(b) for b in (low, high)]
        self.order = None

    def number(self, bound):
        return float(bound.subs(self.constants))

    def tighten(self, x, side, bound):
        old, sign = self.bounds[x][side], 1 - 2 * side
        if old is None or sign * self.number(bound) > sign * self.number(old):
            self.bounds[x][side] = bound

    def restrict(self, condition):
        left, sign, right = re.fullmatch(r"(.*) (<|==|>) (.*)", condition).groups()
        if sign == "==" or self.is_limited and sign == "<":
            raise Boundary
        above = parse(left, self.names) - parse(right, self.names)
        above = above if sign == ">" else -above
        arguments = above.free_symbols & set(self.arguments)
        if len(arguments) == 1:
            (x,) = arguments
            slope = sp.diff(above, x)
            if slope.is_number:  # Other conditions are not needed: what holds everywhere holds there.
                self.tighten(x, 0 if slope > 0 else 1, x - above / slope)
        elif len(self.arguments) == 2 and sp.Abs(sp.diff(above, self.arguments[0])) == 1:
            a, b = self.arguments
            self.order = 1 if above == a - b else -1

    def is_empty(self):
        return any(
            None not in bounds and self.number(bounds[0]) >= self.number(bounds[1])
            for bounds in self.bounds.values()
        )

    def halves(self):
        """The region, cut at 0, where the magnitude of an argument has a kink."""
        x = self.arguments[0]
        for side, inner in ((0, 1), (1, 0)):
            half = Region.__new__(Region)
            half.__dict__ = {**self.__dict__, "bounds": {k: list(v) for k, v in self.bounds.items()}}
            half.tighten(x, side, sp.S.Zero)
            if not half.is_empty():
                yield half

    def substitution(self):
        """Arguments in terms of positive numbers, so that simplification knows their signs."""
        new = {}
        for x, (low, high) in self.bounds.items():
            t = sp.Symbol(f"t_{x}", positive=True)
            if low is not None and high is None:
                new[x] = low + t
            elif high is not None and low is None:
                new[x] = high - t
        if self.order:
            a, b = self.arguments
            new[a] = b + self.order * sp.Symbol("t", positive=True)
        return new

    def points(self, count):
        """Random points of the region, and of the constants."""
        rng = random.Random(0)
        for _ in range(count):
            point = {c: sp.Rational(str(value)) for c, value in self.constants.items()}
            for x, bounds in self.bounds.items():
                low, high = (None if b is None else self.number(b) for b in bounds)
                if low is None:
                    low = -2.0 if high is None else high - 2
                if high is None:
                    high = low + 2 + 2 * (bounds[0] is None)
                point[x] = sp.Rational(str(round(rng.uniform(low + 0.01, high - 0.01), 6)))
            if self.order:
                a, b = self.arguments
                point[a] = point[b] + self.order * sp.Rational(str(round(rng.uniform(0.1, 1), 6)))
            yield point


def numerator(expression):
    """The numerator over a common denominator, with roots of coprime polynomials."""

    def root(power):
        content, primitive = sp.expand(power.base).as_content_primitive()
        return content**power.exp * primitive**power.exp

    def is_root(e):
        return e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer

    return sp.expand(sp.together(expression.replace(is_root, root)).as_numer_denom()[0])


SIMPLIFICATIONS = [
    lambda e: e,
    sp.expand,
    sp.simplify,
    numerator,
    lambda e: sp.simplify(sp.expand(e.rewrite(sp.exp))),
    lambda e: sp.simplify(sp.expand_log(sp.powsimp(e, force=True), force=True)),
    lambda e: sp.radsimp(sp.factor(e)),
]


def vanishes(difference, points, substitution):
    """Whether an expression is 0: a counterexample refutes it, a simplification proves it."""
    for point in points:
        if abs(sp.N(difference.subs(point), 50)) > sp.Float("1e-30"):
            return False
    difference = difference.subs(substitution)
    return any(simplified(difference) == 0 for simplified in SIMPLIFICATIONS)


def names_of(function):
    names = {name: sp.Symbol(name, real=True) for name in function["arguments"]}
    kinds = {"Powi": {"integer": True}, "Powf": {"real": True}}
    for constant, value in function["constants"].items():
        sign = "positive" if value > 0 else "negative"
        names[constant] = sp.Symbol(constant, **kinds.get(function["name"], {sign: True}))
    return names


def differences(function):
    """For each piece and argument: d value / d argument - derivative, the argument, and the region. Boundaries are None."""
    names = names_of(function)
    for piece in function["pieces"]:
        region = Region(function, names)
        try:
            for condition in piece["when"]:
                region.restrict(condition)
        except Boundary:
            yield None
            continue
        if region.is_empty():
            continue
        value = parse(piece["value"], names)
        for x, derivative in zip(region.arguments, piece["derivatives"]):
            difference = sp.diff(value, x) - parse(derivative, {**names, "y": value})
            has_kink = difference.has(sp.Abs, sp.sign)
            for part in region.halves() if has_kink else [region]:
                yield difference, x, part


class Tally:
    """Counts what was proved and what was refused."""

    def __init__(self, what):
        self.what, self.start, self.proved, self.refused = what, time.time(), 0, 0
        self.pieces, self.boundaries, self.failed = 0, 0, []

    def add(self, name, found):
        """One rule: for each piece and argument the difference, the argument, points and a substitution, or None."""
        regions = [each for each in found if each]
        right = regions and all(vanishes(d, points, new) for d, _, points, new in regions)
        wrong = regions and not any(vanishes(d + x / 1000, points, new) for d, x, points, new in regions)
        self.proved += bool(right)
        self.refused += bool(wrong)
        self.pieces += len(regions)
        self.boundaries += len(found) - len(regions)
        if not (right and wrong):
            self.failed.append(name)

    def report(self, count):
        print(f"{self.what}: {self.proved} of {count} proved in {time.time() - self.start:.1f} s, "
              f"{self.refused} of {count} wrong ones refused; {self.pieces} formulas, "
              f"{self.boundaries} boundaries left to conventions")  # fmt: skip
        for name in self.failed:
            print(f"not proved: {name}")
        return not self.failed


def functions(rules):
    tally = Tally("functions")
    for rule in rules:
        found = [
            each and (each[0], each[1], list(each[2].points(3)), each[2].substitution())
            for each in differences(rule)
        ]
        tally.add(rule["name"], found)
    return tally.report(len(rules))


def positive_inside(piece, names):
    """The expressions that are positive inside of a piece; None for a piece where two sides are equal."""
    conditions = [re.fullmatch(r"(.*) (<|==|>) (.*)", when).groups() for when in piece["when"]]
    if any(sign == "==" for _, sign, _ in conditions):
        return None
    return [(parse(left, names) - parse(right, names)) * (1 if sign == ">" else -1) for left, sign, right in conditions]


def cotangents(rule):
    """For each piece and element of an input: sum of g d value - cotangent, and the element. Boundaries are None."""
    sign = {"positive": True} if rule["name"].startswith("NormPow") else {"real": True}
    names = {name: sp.Symbol(name, **sign) for name in itertools.chain(*rule["inputs"])}
    names |= {name: sp.Symbol(name, real=True) for name in rule["cotangent"]}
    rng = random.Random(0)
    points = [
        {symbol: sp.Rational(rng.randint(200, 1500), 1000) for symbol in names.values()} for _ in range(3)
    ]
    for piece in rule["pieces"]:
        above = positive_inside(piece, names)
        if above is None:
            yield None
            continue
        if any(each.is_nonpositive for each in above):
            continue
        value = [parse(text, names) for text in piece["value"]]
        for elements, formulas in zip(rule["inputs"], piece["cotangents"]):
            for x, formula in zip(elements, formulas):
                x = names[x]
                expected = sum(names[g] * sp.diff(y, x) for g, y in zip(rule["cotangent"], value))
                yield expected - parse(formula, names), x, points, {}


def operations(rules):
    tally = Tally("operations")
    rules = [rule for rule in rules if rule["pieces"][0]["cotangents"]]
    for rule in rules:
        tally.add(f"{rule['name']} of {rule['inputs']}", list(cotangents(rule)))
    return tally.report(len(rules))


class Time:
    """Step number t: an integer, or any. What papers compute from t is a symbol then."""

    def __init__(self, settings, number, t=None):
        self.settings, self.t, self.symbols = settings, t, {}
        self.number = self.symbol("number") if t is None else sp.Rational(number)

    def symbol(self, name):
        return self.symbols.setdefault(name, sp.Symbol(name, positive=True))

    def passed(self):
        """t - 1."""
        return self.symbol("passed") if self.t is None else sp.Integer(self.t - 1)

    def seen(self, beta):
        """1 - beta^t."""
        return self.symbol(f"seen_{beta.q}_{beta.p}") if self.t is None else 1 - beta**self.t

    def momentum(self, later):
        """The momentum of NAdam at step t + later."""
        if self.t is None:
            return self.symbol(f"momentum_{later}")
        decay = sp.Rational(self.settings["momentum_decay"])
        beta = sp.Rational(self.settings["betas"][0])
        return beta * (1 - sp.Rational(96, 100) ** ((self.t + later) * decay) / 2)

    def rectification(self, beta, t):
        """RAdam's r at step t, or None while its rho is at most 5."""
        limit = 2 / (1 - beta) - 1
        rho = limit - 2 * t * beta**t / (1 - beta**t)
        if rho <= 5:
            return None
        if self.t is None:
            return self.symbol("r")
        return sp.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))


def coefficients(name, time, first):
    """The numbers that the code of a rule computes from t before its loop over elements; `first` is a t of the kind."""
    betas = [sp.Rational(beta) for beta in time.settings.get("betas", [])]
    found = [root(1 / time.seen(beta)) for beta in betas for root in (lambda x: x, sp.sqrt)]
    if name == "nadam":
        ahead = time.momentum(1)
        found += [ahead / (1 - time.number * ahead), (1 - time.momentum(0)) / (1 - time.number)]
    if name == "radam" and time.rectification(betas[1], first) is not None:
        r = time.rectification(betas[1], first)
        found.append(sp.sqrt(time.seen(betas[1])) * r / time.seen(betas[0]))
    if name == "lazy_adam":
        found.append(sp.sqrt(time.seen(betas[1])) / time.seen(betas[0]))
    if name == "adan":
        found.append(betas[1] / time.seen(betas[1]))
    if name == "adagrad":
        found.append(1 / (1 + time.passed() * sp.Rational(time.settings["lr_decay"])))
    return found


def on_paper(name, settings, time, first, g, p, state):
    """The update and the state after a step, by the formulas of the papers, which docs/optimizers.md cites."""
    of = {key: sp.Rational(value) for key, value in settings.items() if isinstance(value, float)}
    eps, momentum = of.get("eps"), of.get("momentum")
    betas = [sp.Rational(beta) for beta in settings.get("betas", [])]

    def average(decay, old, new):
        return decay * old + (1 - decay) * new

    if betas and name not in ("lion", "adan"):
        m = average(betas[0], state[0], g)
        m_hat = m / time.seen(betas[0])
        if name in ("adam", "lazy_adam", "nadam", "radam"):
            v = average(betas[1], state[1], g**2)
            v_hat = v / time.seen(betas[1])
    if name == "adam":
        if not settings["amsgrad"]:
            return [m_hat / (sp.sqrt(v_hat) + eps), m, v]
        largest = sp.Max(state[2], v)
        return [m_hat / (sp.sqrt(largest / time.seen(betas[1])) + eps), m, v, largest]
    if name == "lazy_adam":
        return [m * sp.sqrt(time.seen(betas[1])) / time.seen(betas[0]) / (sp.sqrt(v) + eps), m, v]
    if name == "adamax":
        u = sp.Max(betas[1] * state[1], sp.Abs(g) + eps)
        return [m_hat / u, m, u]
    if name == "nadam":
        now, ahead = time.momentum(0), time.momentum(1)
        mixed = ahead * m / (1 - time.number * ahead) + (1 - now) * g / (1 - time.number)
        return [mixed / (sp.sqrt(v_hat) + eps), m, v]
    if name == "radam":
        r = time.rectification(betas[1], first)
        if r is None:
            return [m_hat, m, v]
        return [m_hat * r * sp.sqrt(time.seen(betas[1])) / (sp.sqrt(v) + eps), m, v]
    if name == "adan":
        d = 0 if first == 1 else g - state[3]
        m, v = average(betas[0], state[0], g), average(betas[1], state[1], d)
        n = average(betas[2], state[2], (g + betas[1] * d) ** 2)
        mixed = m / time.seen(betas[0]) + betas[1] * v / time.seen(betas[1])
        w = mixed / (sp.sqrt(n / time.seen(betas[2])) + eps) + of["weight_decay"] * p
        # The rate is 1.
        return [w if settings["no_prox"] else w / (1 + of["weight_decay"]), m, v, n, g]
    if name == "sgd":
        if not momentum:
            return [g]
        v = momentum * state[0] + g * (1 if first == 1 else 1 - of["dampening"])
        return [g + momentum * v if settings["nesterov"] else v, v]
    if name == "adagrad":
        s = state[0] + g**2
        return [g / (sp.sqrt(s) + eps) / (1 + time.passed() * of["lr_decay"]), s]
    if name == "rmsprop":
        v = average(of["alpha"], state[0], g**2)
        m = [average(of["alpha"], state[1], g)] if settings["centered"] else []
        variance = sp.Max(v - m[0] ** 2, 0) if m else v
        root = sp.sqrt(variance + eps) if settings["eps_inside_sqrt"] else sp.sqrt(variance) + eps
        if not momentum:
            return [g / root, v, *m]
        b = momentum * state[-1] + g / root
        return [b, v, *m, b]
    if name == "adadelta":
        v = average(of["rho"], state[0], g**2)
        u = g * sp.sqrt(state[1] + eps) / sp.sqrt(v + eps)
        return [u, v, average(of["rho"], state[1], u**2)]
    if name == "lion":
        return [sp.sign(average(betas[0], state[0], g)), average(betas[1], state[0], g)]
    if name == "weight_decay":
        return [g + of["weight_decay"] * p]
    raise KeyError(name)


def with_names(pieces, numbers):
    """Pieces in which the numbers of all digits that are coefficients, to the last digit, have their names c0, c1, .."""

    def name(match):
        near = [i for i, c in enumerate(numbers) if abs(c / sp.Float(match[0], 30) - 1) < sp.Float("1e-15")]
        return f"c{near[0]}" if near else match[0]

    return json.loads(re.sub(r"\d+\.\d{14,}", name, json.dumps(pieces)))


def kinds_of_steps(rule):
    """The steps that have the same formula but for their coefficients: its pieces, and the numbers of the steps."""
    kinds = {}
    for step in rule["steps"]:
        time = Time(rule["settings"], rule["number"], step["count"])
        numbers = [sp.N(c, 30) for c in coefficients(rule["name"], time, step["count"])]
        pieces = with_names(step["pieces"], numbers)
        kinds.setdefault(json.dumps(pieces), []).append(step["count"])
    return [(json.loads(pieces), counts) for pieces, counts in kinds.items()]


# Averages of squares and of magnitudes, which are not negative; those of gradients may be.
NOT_NEGATIVE = {
    "adam": "s1 s2", "lazy_adam": "s1", "adamax": "s1", "nadam": "s1", "radam": "s1", "adan": "s2", "adagrad": "s0", "rmsprop": "s0",
    "adadelta": "s0 s1",
}  # fmt: skip


def step(rule, pieces, counts):
    """For each piece and number: that on paper less that of the code, and the gradient. Boundaries are None.

    The state, the gradient and, if several steps have this formula, their number are symbols: the map of each step is
    that of the paper, and so are all steps one after another.
    """
    squares = NOT_NEGATIVE.get(rule["name"], "").split()
    names = {name: sp.Symbol(name, real=True) for name in ["g", "p"]}
    names |= {s: sp.Symbol(s, positive=True) if s in squares else sp.Symbol(s, real=True) for s in rule["state"]}
    state = [names[s] for s in rule["state"]]
    time = Time(rule["settings"], rule["number"], counts[0] if len(counts) == 1 else None)
    paper = on_paper(rule["name"], rule["settings"], time, counts[0], names["g"], names["p"], state)
    constants = {f"c{i}": c for i, c in enumerate(coefficients(rule["name"], time, counts[0]))}
    symbols = [*names.values(), *time.symbols.values()]
    rng = random.Random(0)

    def draw(symbol):
        return sp.Rational(rng.randint(1 if symbol.is_positive else -3000, 3000), 1000)

    for piece in pieces:
        above = positive_inside(piece, names | constants)
        if above is None:
            yield None
            continue
        drawn = ({symbol: draw(symbol) for symbol in symbols} for _ in range(2000))
        inside = (point for point in drawn if all(each.subs(point) > 0 for each in above))
        points = list(itertools.islice(inside, 1))
        if not points:
            continue
        for expected, text in zip(paper, piece["after"], strict=True):
            # The arms of maxima and magnitudes that hold in this piece.
            expected = expected.replace(sp.Max, lambda *arms: max(arms, key=lambda arm: arm.subs(points[0])))
            expected = expected.replace(sp.sign, lambda x: sp.sign(x.subs(points[0])))
            yield expected - parse(text, names | constants), names["g"], points, {}


def steps(rules):
    tally = Tally("optimizer steps")
    kinds = [(rule, pieces, counts) for rule in rules for pieces, counts in kinds_of_steps(rule)]
    for rule, pieces, counts in kinds:
        tally.add(f"{rule['name']} {rule['settings']} at {counts}", list(step(rule, pieces, counts)))
    print(f"  each for any state and gradient; {sum(len(counts) > 1 for *_, counts in kinds)} for any number of the step")
    return tally.report(len(kinds))


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        rules = json.load(file)
    if not all([functions(rules["functions"]), operations(rules["operations"]), steps(rules["steps"])]):
        sys.exit(1)
