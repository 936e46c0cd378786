"""Compares wengert with PyTorch and JAX on random programs.

    cargo build --release -p wengert-bench --bin random_programs
    python tests/interop/random_programs.py compare --first 0 --count 100000
    python tests/interop/random_programs.py corpus > tests/fixtures/programs.jsonl

`compare` draws programs, runs them in wengert and in PyTorch (`--with jax`: in JAX), and lists the differences by
operation, order and kind, each with its reason and the smallest program that shows it. `single` lists programs that
agree in double and differ in single precision. `corpus` prints programs on which wengert and PyTorch agree, with
PyTorch's numbers, for tests/programs/main.rs.

Numbers are compared by kind first (NaN, inf, -inf, finite), because `difference > tolerance` is false for NaN. Finite
numbers may differ by what PyTorch's own results change if the inputs change in their last digits.
"""
import argparse
import collections
import json
import subprocess
import sys
import time
import warnings

import numpy
import torch

import programs_conventions
import programs_torch

warnings.filterwarnings("ignore")
numpy.seterr(all="ignore")

BINARY = "target/release/random_programs"
# What a library raises for a program that it refuses.
FAILURES = (RuntimeError, ValueError, IndexError, TypeError, AttributeError, ZeroDivisionError, BrokenPipeError)
# The results of a program; wengert's gradients are computed, and once more recorded.
NAMES = ("outputs", "gradients", "second")
ORDERS = ("outputs", "gradients", "recorded", "second")


def array(written):
    return numpy.array([float(word) for word in written["data"].split()]).reshape(written["shape"])


def written(x):
    return {"shape": list(x.shape), "data": " ".join(repr(float(v)) for v in x.flatten())}


class Wengert:
    """A process that runs programs."""

    def __init__(self, precision):
        self.process = subprocess.Popen(
            [BINARY, "run", precision], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, program):
        self.process.stdin.write(json.dumps(program) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ValueError("wengert refuses the program")
        return json.loads(line)


def kind(x):
    if numpy.isfinite(x):
        return "0" if x == 0 else "finite"
    return "nan" if numpy.isnan(x) else "inf" if x > 0 else "-inf"


def kinds(x):
    """NaN 3, inf 1, -inf 2, finite 0."""
    return numpy.where(numpy.isnan(x), 3, numpy.where(x == numpy.inf, 1, numpy.where(x == -numpy.inf, 2, 0)))


def close(ours, theirs, relative, scale=None):
    """Whether each element agrees, to this share of itself or of a scale."""
    same_kind = kinds(ours) == kinds(theirs)
    finite = numpy.isfinite(ours) & numpy.isfinite(theirs)
    theirs = numpy.where(finite, theirs, 0.0)
    distance = numpy.abs(numpy.where(finite, ours, 0.0) - theirs)
    return same_kind & (distance <= relative * (numpy.abs(theirs) if scale is None else scale))


def changed(program, size, seed):
    """The program with its inputs changed by at most `size` of themselves."""
    generator = numpy.random.default_rng(seed)
    nodes = []
    for node in program["nodes"]:
        if node["op"] == "input":
            x = array(node)
            node = node | written(x * (1 + size * generator.uniform(-1, 1, x.shape)))
        nodes.append(node)
    return program | {"nodes": nodes}


def mismatches(ours, theirs, relative):
    """The places of the elements that differ: order, array, element."""
    found = []
    for name in ORDERS:
        reference = theirs["gradients" if name == "recorded" else name]
        if reference is None:
            continue
        for i, (mine, other) in enumerate(zip(ours[name], reference, strict=True)):
            mine = array(mine)
            if mine.shape != other.shape:
                found.append((name, i, None))
                continue
            other = other.astype(numpy.float64)
            found += [(name, i, tuple(at)) for at in numpy.argwhere(~close(mine, other, relative))]
    return found


def differences(program, ours, run, relative=1e-9, size=1e-12):
    """The differences that rounding does not explain: order, array, element, both numbers."""
    theirs = run(program)
    found = [] if theirs is None else mismatches(ours, theirs, relative)
    if not found:
        return theirs, []
    # What the results change under small changes of the inputs.
    others = []
    for seed in range(3):
        try:
            others.append(run(changed(program, size, seed)))
        except FAILURES:
            pass
    largest = scale([array(node) for node in program["nodes"] if node["op"] == "input"])
    kept = []
    for name, i, at in found:
        key = "gradients" if name == "recorded" else name
        if at is None:
            kept.append((name, i, at, ours[name][i]["shape"], list(theirs[key][i].shape)))
            continue
        mine, other = float(array(ours[name][i])[at]), float(theirs[key][i][at])
        around = [float(o[key][i][at]) for o in others if o[key] is not None]
        if kind(mine) == kind(other) or {kind(mine), kind(other)} <= {"0", "finite"}:
            spread = max((abs(x - other) for x in around), default=0.0)
            # A jump is no rounding: at a tie or a kink each convention has a number of its own.
            if spread > 1e-5 * abs(other):
                spread = 0.0
            # Inputs of ordinary size make numbers of ordinary size on the way, whatever is left of them.
            rounding = 0.1 * relative * min(scale(theirs[key]), 1e6) + 1e-3 * relative * min(largest, 1.0)
            if abs(mine - other) <= rounding + 1e4 * spread + 1e-300:
                continue
        elif kind(mine) in map(kind, around):
            # On a cliff: a change in the last digits makes the kind that we have.
            continue
        kept.append((name, i, at, mine, other))
    return theirs, kept


def order(name):
    return {"outputs": "value", "gradients": "first order", "recorded": "first order", "second": "second order"}[name]


def signature(program, difference):
    name, _, _, mine, other = difference
    ops = [node["op"] for node in program["nodes"] if node["op"] != "input"]
    of = lambda x: "shape" if isinstance(x, list) else kind(x)
    return "+".join(ops), order(name), of(mine), of(other)


def without_unused(program, keep):
    """The program of the values in `keep` and what they need."""
    needed = set()
    for i in reversed(range(len(program["nodes"]))):
        if i in keep or i in needed:
            needed.add(i)
            needed.update(program["nodes"][i].get("args", []))
    places = {old: new for new, old in enumerate(sorted(needed))}
    nodes = []
    for old in sorted(needed):
        node = dict(program["nodes"][old])
        if "args" in node:
            node["args"] = [places[i] for i in node["args"]]
        nodes.append(node)
    return program | {"nodes": nodes}


def parts(program, values):
    """Each step alone, with the values of its operands as inputs."""
    for node in program["nodes"]:
        if node["op"] == "input":
            continue
        operands = sorted(set(node.get("args", [])))
        inputs = [{"op": "input", **written(values[i].detach().numpy(force=True))} for i in operands]
        step = dict(node)
        if operands:
            step["args"] = [operands.index(i) for i in node["args"]]
        yield program | {"nodes": [*inputs, step]}


def smaller(program):
    """Smaller programs: one output alone, a step replaced by its value, elements replaced by an ordinary one."""
    nodes = program["nodes"]
    used = {i for node in nodes for i in node.get("args", [])}
    outputs = [i for i in range(len(nodes)) if i not in used]
    steps = [i for i, node in enumerate(nodes) if node["op"] != "input"]
    if len(outputs) > 1:
        for i in outputs:
            yield without_unused(program, {i})
    if len(steps) > 1:
        try:
            computed = programs_torch.values(program)
        except FAILURES:
            return
        for i in reversed(steps):
            cut = program | {"nodes": list(nodes)}
            cut["nodes"][i] = {"op": "input", **written(computed[i].detach().numpy(force=True))}
            yield without_unused(cut, set(outputs))
        for i in steps:
            if i not in outputs:
                yield without_unused(program, {i})
    for i, node in enumerate(nodes):
        # Signs stay signs: they are targets of losses that define nothing else.
        if node["op"] != "input" or set(node["data"].split()) <= {"1.0", "-1.0"}:
            continue
        words = node["data"].split()
        for group in [range(len(words)), *([k] for k in range(len(words)))]:
            simple = ["0.5" if k in group else word for k, word in enumerate(words)]
            if simple != words:
                yield program | {"nodes": [*nodes[:i], node | {"data": " ".join(simple)}, *nodes[i + 1:]]}


def shrink(program, differs, patience):
    """The smallest program found that `differs`, which returns a difference or None."""
    best, progress = differs(program), True
    while progress:
        progress = False
        for candidate in smaller(program):
            patience -= 1
            if patience <= 0:
                return program, best
            found = differs(candidate)
            if found is not None:
                program, best, progress = candidate, found, True
                break
    return program, best


def drawn(first, count):
    process = subprocess.Popen([BINARY, "draw", str(first), str(count)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        yield json.loads(line)
    if process.wait() != 0:
        raise SystemExit("random_programs ended early")


class Comparison:
    """Compares programs with one library, and explains the differences."""

    def __init__(self, backend, ask_third):
        self.backend = backend
        self.run = programs_torch.run if backend == "pytorch" else programs_jax().run
        self.third = None
        if ask_third:
            self.third = programs_jax().run if backend == "pytorch" else programs_torch.run
        # JAX compiles each new structure.
        self.patience = 60 if backend == "pytorch" else 20
        self.wengert = Wengert("f64")
        self.compared = self.disagreeing = 0
        self.refused, self.seen, self.smallest = collections.Counter(), collections.Counter(), {}

    def differs(self, program):
        try:
            _, found = differences(program, self.wengert.run(program), self.run)
        except FAILURES:
            if self.wengert.process.poll() is not None:
                self.wengert = Wengert("f64")
            return None
        return found[0] if found else None

    def located(self, program, difference):
        """The first step that differs alone, or else a smaller program."""
        try:
            for part in parts(program, programs_torch.values(program)):
                found = self.differs(part)
                if found is not None:
                    return part, found
        except FAILURES:
            pass
        least, found = shrink(program, self.differs, self.patience)
        return (program, difference) if found is None else (least, found)

    def add(self, program, ours, limit):
        """Compares a program. Of the first `limit` differences of a kind, the smallest program is kept."""
        try:
            theirs, found = differences(program, ours, self.run)
        except FAILURES as error:
            self.refused[programs_conventions.refusal(str(error).splitlines()[0])] += 1
            return
        if theirs is None:
            return
        self.compared += 1
        if theirs["second"] is None:
            self.refused["PyTorch has no second derivative"] += 1
        if not found:
            return
        self.disagreeing += 1
        least, difference = self.located(program, found[0])
        key = signature(least, difference)
        kind_of_result = "gradients" if difference[0] == "recorded" else difference[0]
        largest = scale(self.run(least)[kind_of_result])
        reason = programs_conventions.reason(key, least, *difference[3:], largest, self.backend)
        self.seen[reason, key] += 1
        if self.seen[reason, key] > limit:
            return
        shrunk, smaller_difference = shrink(least, self.differs, self.patience)
        if smaller_difference is not None and key == signature(shrunk, smaller_difference):
            least, difference = shrunk, smaller_difference
        known = self.smallest.get((reason, key))
        if known is None or len(json.dumps(least)) < len(json.dumps(known[0])):
            self.smallest[reason, key] = least, difference

    def report(self):
        """Prints what was found; returns whether each difference has a reason."""
        print(f"{self.compared} compared with {self.backend}, {self.disagreeing} disagree")
        reasons = collections.Counter()
        for (reason, _), times in self.seen.items():
            reasons[reason] += times
        for reason, times in reasons.most_common():
            print("differ", times, reason)
        for what, times in self.refused.most_common():
            print("refused", times, what)
        for (reason, key), (least, (name, i, at, mine, other)) in sorted(self.smallest.items()):
            listed = {
                "reason": reason, "ops": key[0], "order": key[1], "wengert": mine, self.backend: other,
                "times": self.seen[reason, key], "array": name, "at": [i, *map(int, at or ())],
                "program": least["nodes"],
            }
            if self.third:
                listed["third"] = number(self.third, least, "gradients" if name == "recorded" else name, i, at)
            print(json.dumps(listed))
        return "?" not in reasons and "?" not in self.refused


def compare(backend, first, count, limit, minutes, ask_third):
    deadline = time.monotonic() + 60 * minutes
    comparison = Comparison(backend, ask_third)
    for number, line in enumerate(drawn(first, count)):
        comparison.add(line["program"], line["f64"], limit)
        if number % 2000 == 1999:
            counts = number + 1, comparison.compared, comparison.disagreeing
            print("{} programs, {} compared, {} disagree".format(*counts), file=sys.stderr, flush=True)
        if time.monotonic() > deadline:
            count = number + 1
            break
    print(f"{count} programs from seed {first}:", end=" ")
    if not comparison.report():
        sys.exit("a difference has no reason")


def number(run, program, name, i, at):
    """One element of the results; None if the library does not have it."""
    try:
        return float(run(program)[name][i][at])
    except FAILURES:
        return None


def programs_jax():
    import programs_jax as jax

    return jax


def scale(arrays):
    numbers = numpy.concatenate([numpy.zeros(1), *(x.astype(numpy.float64).flatten() for x in arrays)])
    return numpy.abs(numbers[numpy.isfinite(numbers)]).max(initial=0.0)


def agrees(ours, theirs, share):
    """Whether all results agree to this share of the largest number of their kind."""
    for name in NAMES:
        if theirs[name] is None:
            continue
        largest = scale(theirs[name])
        for mine, other in zip(ours[name], theirs[name], strict=True):
            mine, other = mine.astype(numpy.float64), other.astype(numpy.float64)
            if mine.shape != other.shape or not close(mine, other, share, largest).all():
                return False
    return True


def error_of(single, double):
    """The largest error of single precision, as a share of the largest number of its kind; None if a kind changes."""
    for share in (1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5):
        if agrees(single, double, share):
            return share
    return None


def short(x):
    """The array as text, with eleven digits."""
    return {"shape": list(x.shape), "data": " ".join(f"{float(v):.11g}" for v in x.flatten())}


def read(results):
    return {name: [array(x) for x in results[name]] for name in NAMES}


def single_agrees(mine, single, theirs):
    """Whether single precision is about as exact as PyTorch's, or has the same kinds of numbers."""
    error = error_of(single, theirs)
    if error is not None:
        return error, agrees(mine, theirs, 1e-6 + 5 * error)
    pairs = [pair for name in NAMES if theirs[name] is not None for pair in zip(mine[name], single[name])]
    return None, all((kinds(a) == kinds(b)).all() for a, b in pairs)


def single(first, count, minutes):
    """Lists the programs that differ in single precision alone, by operation."""
    deadline, compared, seen = time.monotonic() + 60 * minutes, 0, {}
    for line in drawn(first, count):
        program = line["program"]
        try:
            theirs = programs_torch.run(program)
            if not agrees(read(line["f64"]), theirs, 1e-9):
                continue
            error, agree = single_agrees(read(line["f32"]), programs_torch.run(program, torch.float32), theirs)
        except FAILURES:
            continue
        compared += 1
        if not agree:
            ops = "+".join(node["op"] for node in program["nodes"] if node["op"] != "input")
            seen.setdefault((ops, error is None), []).append(program["seed"])
        if time.monotonic() > deadline:
            break
    print(compared, "programs compared in single precision,", sum(map(len, seen.values())), "differ")
    for (ops, other_kind), seeds in sorted(seen.items(), key=lambda item: len(item[0][0])):
        print("another kind" if other_kind else "less exact", ops, seeds[:5])


def corpus(first, count, longest, size):
    """Prints programs on which both agree, up to `size` bytes. Rare operations are wanted more than common ones."""
    uses, lines, total = collections.Counter(), [], 0
    for line in drawn(first, count):
        program = line["program"]
        ops = {node["op"] for node in program["nodes"]} - {"input"}
        rarest = min(uses[op] for op in ops)
        most = longest if rarest >= 8 else 5 * longest
        if rarest > 12 + len(lines) / 60 or len(json.dumps(program)) > most:
            continue
        try:
            theirs = programs_torch.run(program)
        except FAILURES:
            continue
        if not agrees(read(line["f64"]), theirs, 1e-11):
            continue
        results = {name: [short(x) for x in theirs[name]] for name in NAMES if theirs[name] is not None}
        text = {"program": program, "results": results}
        if len(json.dumps(text)) > most:
            continue
        error, agree = single_agrees(read(line["f32"]), programs_torch.run(program, torch.float32), theirs)
        text = json.dumps(text | {"single": error if agree else None}, separators=(",", ":"))
        uses.update(ops)
        lines.append(text)
        total += len(text) + 1
        if total > size:
            break
    print(json.dumps({
        "source": f"tests/interop/random_programs.py corpus; {programs_torch.VERSION} on a CPU, f64",
        "programs": len(lines),
    }))
    print("\n".join(lines))
    print(len(lines), "programs,", total, "bytes", file=sys.stderr)
    print("rarest:", uses.most_common()[-12:], file=sys.stderr)


def main():
    global BINARY
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["compare", "single", "corpus"])
    parser.add_argument("--with", dest="backend", choices=["pytorch", "jax"], default="pytorch")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first program")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=2, help="how many programs of one kind of difference to shrink")
    parser.add_argument("--minutes", type=float, default=1e9, help="when to stop before the count is reached")
    parser.add_argument("--third", action="store_true", help="list what the other of PyTorch and JAX says, too")
    parser.add_argument("--longest", type=int, default=1200, help="the most bytes of a program of the corpus")
    parser.add_argument("--size", type=int, default=1_300_000, help="the bytes of the corpus")
    parser.add_argument("--binary", default=BINARY)
    args = parser.parse_args()
    BINARY = args.binary
    if args.task == "compare":
        compare(args.backend, args.first, args.count, args.limit, args.minutes, args.third)
    elif args.task == "single":
        single(args.first, args.count, args.minutes)
    else:
        corpus(args.first, max(args.count, 60_000), args.longest, args.size)


if __name__ == "__main__":
    main()
