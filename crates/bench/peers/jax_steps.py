"""W1 to W10 in JAX, with the data, initial values and optimizers of `peer`.

    python crates/bench/peers/jax_steps.py --workload W3              # a jitted step; one line of JSON
    python crates/bench/peers/jax_steps.py --workload W1 --loop       # a loop of 100 steps (W2: 10) inside jit
    python crates/bench/peers/jax_steps.py --workload W3 --losses 20  # the losses of the first steps, one in a line

Options are those of `peer`. Needs NumPy, JAX and optax.
"""

import functools

import measure
from workloads import DATA, INITIAL

parser = measure.parser(__doc__, list(DATA))
parser.add_argument("--loop", action="store_true")
arguments = parser.parse_args()
if arguments.loop and arguments.workload in ("W7", "W8"):
    parser.error(f"--loop: {arguments.workload} is a jitted step only")
measure.use_cores(arguments.threads)  # before JAX starts its threads

import jax
import jax.numpy as jnp
import optax


def linear(x, weight, bias):
    return x @ weight.T + bias


def mlp(activation, params, x):
    for i in range(0, len(params) - 2, 2):
        x = activation(linear(x, params[i], params[i + 1]))
    return linear(x, *params[-2:])


def convolution(x, weight, bias, padding):
    x = jax.lax.conv_general_dilated(x, weight, (1, 1), [(padding, padding)] * 2)
    return jax.nn.relu(x + bias[:, None, None])


def max_pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def lenet(params, x):
    x = max_pool(convolution(x, *params[:2], padding=2))
    x = max_pool(convolution(x, *params[2:4], padding=0))
    return mlp(jax.nn.relu, params[4:], x.reshape(len(x), -1))


def norm(x, weight, bias):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight + bias


def block(x, in_weight, in_bias, out_weight, out_bias, weight1, bias1, weight2, bias2, *norms):
    heads = linear(norm(x, *norms[:2]), in_weight, in_bias).reshape(16, 64, 3, 4, 16)
    mixed = jax.nn.dot_product_attention(*jnp.moveaxis(heads, 2, 0), is_causal=True)
    x = x + linear(mixed.reshape(x.shape), out_weight, out_bias)
    return x + linear(jax.nn.gelu(linear(norm(x, *norms[2:]), weight1, bias1)), weight2, bias2)


def transformer(params, tokens):
    x = params[0][tokens] + params[1]
    x = block(block(x, *params[2:14]), *params[14:26])
    return (norm(x, *params[26:28]) @ params[28].T).reshape(-1, 65)


def gru(params, x):
    input_weight, state_weight, input_bias, state_bias, *head = params

    def cell(h, projected):
        r1, z1, n1 = jnp.split(projected, 3, -1)
        r2, z2, n2 = jnp.split(linear(h, state_weight, state_bias), 3, -1)
        r, z = jax.nn.sigmoid(r1 + r2), jax.nn.sigmoid(z1 + z2)
        return (1 - z) * jnp.tanh(n1 + r * n2) + z * h, None

    steps = jnp.moveaxis(linear(x, input_weight, input_bias), 1, 0)
    return linear(jax.lax.scan(cell, jnp.zeros((16, 64)), steps)[0], *head)


def cross_entropy(x, y):
    return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()


def half_sse(x, y):
    return ((x - y) ** 2).sum() / 2


def mse(x, y):
    return ((x - y) ** 2).mean()


# The net, its loss and its optimizer.
TRAININGS = {
    "W1": (
        lambda p, x: jax.nn.sigmoid(mlp(jax.nn.relu, p, x)),
        lambda x, y: half_sse(x, y) * 0.5,
        lambda: optax.sgd(0.01),
    ),
    "W2": (functools.partial(mlp, jnp.tanh), mse, lambda: optax.adam(1e-3)),
    "W3": (functools.partial(mlp, jax.nn.relu), cross_entropy, lambda: optax.sgd(0.01, momentum=0.9)),
    "W4": (functools.partial(mlp, jax.nn.relu), cross_entropy, lambda: optax.adam(1e-4)),
    "W5": (lenet, cross_entropy, lambda: optax.adam(1e-3)),
    "W6": (transformer, cross_entropy, lambda: optax.adamw(1e-3, weight_decay=0.01)),
    "W9": (
        functools.partial(mlp, jax.nn.silu),
        cross_entropy,
        lambda: optax.rmsprop(1e-3, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    ),
    "W10": (gru, cross_entropy, lambda: optax.adam(1e-3)),
}


def training(workload, loop):
    """Runs steps that train a net on the same batch."""
    forward, loss, optimizer = TRAININGS[workload]
    optimizer = optimizer()
    batch = [jnp.array(values) for values in DATA[workload]()]
    params = [jnp.array(values) for values in INITIAL[workload]()]
    state = (params, optimizer.init(params))

    def update(state, batch):
        params, moments = state
        x, y = batch
        value, grads = jax.value_and_grad(lambda params: loss(forward(params, x), y))(params)
        changes, moments = optimizer.update(grads, moments, params)
        return (optax.apply_updates(params, changes), moments), value

    def updates(state, batch, steps):
        return jax.lax.fori_loop(0, steps, lambda _, carry: update(carry[0], batch), (state, jnp.float32(0)))

    # The compiler knows the number of steps of a loop.
    jitted = jax.jit(updates, static_argnums=2, donate_argnums=0) if loop else jax.jit(update, donate_argnums=0)

    def run(*steps):
        nonlocal state
        state, value = jitted(state, batch, *steps)
        return value

    return run if loop else measure.repeated(run)


def elementwise():
    """W7: gradients of a million elements; the last loss of the warm-up is the sum of all of them."""
    leaves, count = [jnp.array(leaf) for leaf in DATA["W7"]()], 0

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1, 2))
    def gradients(x, a, b):
        return (jnp.tanh(x * a + b) * jax.nn.sigmoid(x)).mean()

    def step():
        nonlocal count
        count += 1
        value, grads = gradients(*leaves)
        return sum(g.sum() for g in grads) if count == measure.WARM_UP else value

    return measure.repeated(step)


def large_adam():
    """W8: Adam on ten million elements with a fixed gradient; the loss is computed first and last in the warm-up."""
    (p,), (g,) = [map(jnp.array, values["W8"]()) for values in (INITIAL, DATA)]
    optimizer, count = optax.adam(1e-3), 0
    state = (p, optimizer.init(p))

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, g):
        p, moments = state
        change, moments = optimizer.update(g, moments)
        # The zero is ready when the others are.
        return (optax.apply_updates(p, change), moments), jnp.float32(0)

    def step():
        nonlocal state, count
        count += 1
        loss = (state[0] * g).mean() if count in (1, measure.WARM_UP) else None
        state, zero = update(state, g)
        return zero if loss is None else loss

    return measure.repeated(step)


def main():
    others = {"W7": elementwise, "W8": large_adam}
    workload, loop = arguments.workload, arguments.loop
    run = others[workload]() if workload in others else training(workload, loop)
    measure.measure(arguments, "JAX, loop" if loop else "JAX", jax.__version__, run)


main()
