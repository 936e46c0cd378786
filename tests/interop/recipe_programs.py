"""Runs the programs that recipes print for PyTorch and optax, and writes their numbers beside them.

    WENGERT_BLESS=1 cargo test -p wengert-nn --test optim programs_are
    python recipe_programs.py ../../crates/nn/tests/fixtures/recipe_programs.json
"""
import json
import os
import sys

os.environ["JAX_ENABLE_X64"] = "1"
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

SHAPES = {"hidden.weight": ((3, 4), 0.3), "hidden.bias": ((3,), 2.3), "head.weight": ((2, 3), 1.1), "head.bias": ((2,), 3.1)}
STEPS = 30


def start():
    return {name: np.cos(np.arange(np.prod(shape)) * 0.7 + first).reshape(shape) for name, (shape, first) in SHAPES.items()}


def gradient(p, t):
    return np.sin(p * 1.3 + 0.2 * t) * 3.0 + p * 0.1


def hexed(values):
    return [float(x).hex() for name in SHAPES for x in np.asarray(values[name]).flatten()]


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = torch.nn.Linear(4, 3).double(), torch.nn.Linear(3, 2).double()
        with torch.no_grad():
            for name, p in self.named_parameters():
                p.copy_(torch.tensor(start()[name]))


def in_torch(program):
    space = {}
    exec(program, space)
    model = Model()
    recipe = space["Recipe"](model)
    named = lambda: {name: p.detach().numpy() for name, p in model.named_parameters()}
    steps = []
    for t in range(STEPS):
        for p in model.parameters():
            p.grad = torch.tensor(gradient(p.detach().numpy(), t))
        recipe.step()
        if t % 10 == 9:
            steps.append(hexed(named()))
    return steps, hexed({name: p.numpy() for name, p in recipe.evaluated().items()})


def in_optax(program):
    space = {}
    exec(program, space)
    params = {name: jnp.asarray(p) for name, p in start().items()}
    optimizer = space["optimizer"](params)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    steps = []
    for t in range(STEPS):
        grads = {name: jnp.asarray(gradient(np.asarray(p), t)) for name, p in params.items()}
        params, state = step(params, state, grads)
        if t % 10 == 9:
            steps.append(hexed(params))
    return steps, hexed(evaluated(params, state))


def evaluated(params, state):
    """Returns the averages of the link `ema`, which is the only state that is a plain pair."""
    values = dict(params)

    def find(state):
        if type(state) is tuple and len(state) == 2 and isinstance(state[1], dict) and set(state[1]) == set(params):
            for name, value in state[1].items():
                if hasattr(value, "shape"):
                    values[name] = value
        elif isinstance(state, (tuple, list)):
            for part in state:
                find(part)
        elif isinstance(state, dict):
            for part in state.values():
                find(part)

    find(state)
    return values


def main(path):
    with open(path) as file:
        content = json.load(file)
    content["source"] = f"PyTorch {torch.__version__}, JAX {jax.__version__}, optax {optax.__version__}; tests/interop/recipe_programs.py"
    for run in content["runs"]:
        for library, make in (("torch", in_torch), ("optax", in_optax)):
            if "program" in run[library]:
                try:
                    run[library]["steps_hex"], run[library]["evaluated_hex"] = make(run[library]["program"])
                except Exception as error:
                    print(run["recipe"], library, repr(error)[:600], file=sys.stderr)
    with open(path, "w") as file:
        json.dump(content, file, indent=None)
        file.write("\n")


main(sys.argv[1])
