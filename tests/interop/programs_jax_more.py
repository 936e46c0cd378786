"""Linear algebra, order, windows, positions and distributions of random programs in JAX; see programs_jax.py."""
import jax.numpy as jnp
import numpy
from jax import lax


def indices(index):
    return numpy.array(index["data"], dtype=numpy.int64).reshape(index["shape"])


def row(*parts):
    return jnp.concatenate([part.reshape(-1) for part in parts])


def system(f):
    """A system of equations whose right-hand side may be a vector."""
    def solved(a, b, s):
        if b.ndim == 1:
            return solved(a, b[:, None], s)[..., 0]
        batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return f(jnp.broadcast_to(a, batch + a.shape[-2:]), jnp.broadcast_to(b, batch + b.shape[-2:]), s)
    return solved


def symmetric(a):
    return (a + jnp.swapaxes(a, -1, -2)) / 2


def eigh(a, s):
    values, vectors = jnp.linalg.eigh(symmetric(a), symmetrize_input=False)
    return row(values, vectors ** 2)


def order(x, s):
    """The indices that sort; the first `k` of them if there is one."""
    descending = s["largest"] if "k" in s else s["descending"]
    at = jnp.argsort(lax.stop_gradient(x), s["axis"], stable=True, descending=descending)
    return lax.slice_in_dim(at, 0, s["k"], axis=s["axis"] % x.ndim) if "k" in s else at


def ordered(x, keys, s):
    return jnp.take_along_axis(x, order(keys, s), s["axis"])


def extreme(f):
    return lambda keys, x, s: jnp.take_along_axis(x, f(keys, s["axis"], keepdims=True), s["axis"])


def scan(f):
    return lambda x, s: f(x, s["axis"] % x.ndim)


def searchsorted(rows, values, table, s):
    side = "right" if s["right"] else "left"
    if rows.ndim == 1:
        return table[jnp.searchsorted(rows, values, side=side).reshape(-1)]
    found = [jnp.searchsorted(row, value, side=side) for row, value in zip(rows, values)]
    return table[jnp.stack(found).reshape(-1)] if found else table[:0]


def conv_transpose(axes):
    def convolved(x, w, *bias_and_s):
        *bias, s = bias_and_s
        groups = s["groups"]
        # From [in, out / groups, ..] to [out, in / groups, ..], turned round.
        w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
        w = jnp.flip(w.reshape(-1, *w.shape[2:]), tuple(range(2, 2 + axes)))
        padding = []
        for axis in range(-axes, 0):
            reach = s["dilation"][axis] * (w.shape[axis] - 1)
            padding.append((reach - s["padding"][axis], reach - s["padding"][axis] + s["output_padding"][axis]))
        y = lax.conv_general_dilated(
            x, w, (1,) * axes, padding, lhs_dilation=s["stride"][-axes:], rhs_dilation=s["dilation"][-axes:],
            feature_group_count=groups,
        )
        return y if not bias else y + bias[0].reshape(1, -1, *[1] * axes)
    return convolved


def sinusoidal(x, s):
    time, width = x.shape[-2:]
    column = numpy.arange(width)
    angle = numpy.arange(s["offset"], s["offset"] + time)[:, None] * 10000.0 ** (-2.0 * (column // 2) / width)
    return x + numpy.where(column % 2 == 0, numpy.sin(angle), numpy.cos(angle))


def rotary(x, s):
    time, pairs = x.shape[-2], x.shape[-1] // 2
    angle = numpy.arange(s["offset"], s["offset"] + time)[:, None] * 10000.0 ** (-numpy.arange(pairs) / pairs)
    cosine, sine = numpy.cos(angle), numpy.sin(angle)
    a, b = (x[..., 0::2], x[..., 1::2]) if s["interleaved"] else (x[..., :pairs], x[..., pairs:])
    rotated = a * cosine - b * sine, a * sine + b * cosine
    return jnp.stack(rotated, -1).reshape(x.shape) if s["interleaved"] else jnp.concatenate(rotated, -1)


def normal(x, s):
    mean, std = x[:2]
    if s["of"] == "log_prob":
        return -((x[2] - mean) / std) ** 2 / 2 - jnp.log(std) - numpy.log(2 * numpy.pi) / 2
    if s["of"] == "entropy":
        return jnp.log(std) + (1 + numpy.log(2 * numpy.pi)) / 2 + 0 * lax.stop_gradient(jnp.zeros_like(mean))
    return ((std / x[3]) ** 2 + ((mean - x[2]) / x[3]) ** 2 - 1) / 2 - jnp.log(std / x[3])


OPS = {
    "solve": system(lambda a, b, s: jnp.linalg.solve(a, b)),
    "solve_triangular": system(lambda a, b, s: lax.linalg.triangular_solve(a, b, left_side=True, lower=not s["upper"])),
    "inv": lambda a, s: jnp.linalg.inv(a),
    "det": lambda a, s: jnp.linalg.det(a),
    "slogdet": lambda a, s: row(*jnp.linalg.slogdet(a)),
    "cholesky": lambda a, s: jnp.linalg.cholesky(symmetric(a), symmetrize_input=False),
    "qr": lambda a, s: row(*jnp.linalg.qr(a)),
    "eigh": eigh,
    "eigvalsh": lambda a, s: jnp.linalg.eigvalsh(symmetric(a), symmetrize_input=False),
    "sort": lambda x, s: ordered(x, x, s),
    "sort_by": ordered,
    "topk": lambda x, s: ordered(x, x, s),
    "cummax": scan(lax.cummax),
    "cummin": scan(lax.cummin),
    "argsort": lambda keys, x, s: ordered(x, keys, s),
    "argtopk": lambda keys, x, s: ordered(x, keys, s),
    "argmax": extreme(jnp.argmax),
    "argmin": extreme(jnp.argmin),
    "searchsorted": searchsorted,
    "custom_vjp": lambda a, b, s: a * jnp.sin(b),
    "conv_transpose1d": conv_transpose(1),
    "conv_transpose2d": conv_transpose(2),
    "ConvTranspose1d": conv_transpose(1),
    "ConvTranspose2d": conv_transpose(2),
    "SinusoidalPositions": sinusoidal,
    "RotaryPositions": rotary,
    "Normal": lambda *rest: normal(rest[:-1], rest[-1]),
}
