"""Linear algebra, order, windows with holes, positions and distributions of random programs in PyTorch; see programs_torch.py."""
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Categorical, Gumbel, Normal, Uniform, kl_divergence


def indices(index):
    return torch.tensor(index["data"], dtype=torch.int64).reshape(index["shape"])


def system(f):
    """A system of equations whose right-hand side may be a vector."""
    def solved(a, b, s):
        return f(a, b.unsqueeze(-1), s).squeeze(-1) if b.dim() == 1 else f(a, b, s)
    return solved


def full(a, b):
    """Both with the same leading axes, so that no right-hand side is taken for a batch of vectors."""
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])


def row(*parts):
    return torch.cat([part.flatten() for part in parts])


def symmetric(a):
    """wengert reads the symmetric part, PyTorch one triangle."""
    return (a + a.mT) / 2


def eigh(a, s):
    values, vectors = torch.linalg.eigh(symmetric(a))
    return row(values, vectors.square())


def has_ties(x, axis):
    ordered = x.detach().sort(axis).values
    n = x.shape[axis]
    return n > 1 and bool((ordered.narrow(axis, 1, n - 1) == ordered.narrow(axis, 0, n - 1)).any() or ordered.isnan().any())


def order(x, s, k=None):
    """The indices that sort, of equal elements the first first; PyTorch's `topk` does not say which of them."""
    if k is not None and not has_ties(x, s["axis"]):
        return x.topk(k, s["axis"], s["largest"]).indices
    descending = s["descending"] if k is None else s["largest"]
    at = x.argsort(dim=s["axis"], descending=descending, stable=True)
    return at if k is None else at.narrow(s["axis"], 0, k)


def searchsorted(rows, values, table, s):
    at = torch.searchsorted(rows.detach(), values.detach().contiguous(), right=s["right"])
    return table[at.flatten()]


def cells(n, axis, kernel, stride, padding, dilation, ceil_mode):
    """The number of windows along an axis: in ceil mode also one that ends behind the padding, if it begins before."""
    rest = n + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1
    count = rest // stride[axis] + 1
    if ceil_mode and rest % stride[axis] and count * stride[axis] < n + padding[axis]:
        count += 1
    return count


def over(planes, size, kernel, stride, padding, dilation, fill):
    """The planes padded by `fill`, then cut or padded by 0 behind, so that `size` windows fit exactly."""
    axes = len(size)
    sides, more = [], []
    for axis in reversed(range(axes)):
        sides += [padding[axis]] * 2
        reach = (size[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        more += [0, reach - planes.shape[axis - axes] - 2 * padding[axis]]
    return F.pad(F.pad(planes, sides, value=fill), more)


def sinusoidal(x, s):
    time, width = x.shape[-2:]
    column = torch.arange(width)
    at = torch.arange(s["offset"], s["offset"] + time).unsqueeze(1)
    angle = at * 10000.0 ** (-2.0 * (column // 2).to(torch.float64) / width)
    return x + torch.where(column % 2 == 0, angle.sin(), angle.cos()).to(x.dtype)


def rotary(x, s):
    time, pairs = x.shape[-2], x.shape[-1] // 2
    at = torch.arange(s["offset"], s["offset"] + time).unsqueeze(1)
    angle = at * 10000.0 ** (-torch.arange(pairs).to(torch.float64) / pairs)
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    if s["interleaved"]:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cosine - b * sine, a * sine + b * cosine], -1).flatten(-2)
    a, b = x[..., :pairs], x[..., pairs:]
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)


def function_of(kind, count, logits=False):
    """The function of a distribution with this number of parameters."""
    def make(parameters):
        return kind(logits=parameters[0], validate_args=False) if logits else kind(*parameters, validate_args=False)

    def value(*rest):
        *x, s = rest
        distribution = make(x[:count])
        if s["of"] == "entropy":
            return distribution.entropy()
        if s["of"] == "kl_divergence":
            return kl_divergence(distribution, make(x[count:]))
        return distribution.log_prob(indices(s["index"]) if "index" in s else x[-1])
    return value


OPS = {
    "solve": system(lambda a, b, s: torch.linalg.solve(*full(a, b))),
    "solve_triangular": system(lambda a, b, s: torch.linalg.solve_triangular(*full(a, b), upper=s["upper"])),
    "inv": lambda a, s: torch.linalg.inv(a),
    "det": lambda a, s: torch.linalg.det(a),
    "slogdet": lambda a, s: row(*torch.linalg.slogdet(a)),
    "cholesky": lambda a, s: torch.linalg.cholesky(symmetric(a)),
    "qr": lambda a, s: row(*torch.linalg.qr(a)),
    "eigh": eigh,
    "eigvalsh": lambda a, s: torch.linalg.eigvalsh(symmetric(a)),
    "sort": lambda x, s: x.sort(dim=s["axis"], descending=s["descending"], stable=True).values,
    "sort_by": lambda x, keys, s: x.gather(s["axis"], order(keys, s)),
    "topk": lambda x, s: x.gather(s["axis"], order(x, s, s["k"])),
    "cummax": lambda x, s: x.cummax(s["axis"]).values,
    "cummin": lambda x, s: x.cummin(s["axis"]).values,
    "argsort": lambda keys, x, s: x.gather(s["axis"], order(keys, s)),
    "argtopk": lambda keys, x, s: x.gather(s["axis"], order(keys, s, s["k"])),
    "argmax": lambda keys, x, s: x.gather(s["axis"], keys.argmax(s["axis"], True)),
    "argmin": lambda keys, x, s: x.gather(s["axis"], keys.argmin(s["axis"], True)),
    "searchsorted": searchsorted,
    "custom_vjp": lambda a, b, s: a * b.sin(),
    "SinusoidalPositions": sinusoidal,
    "RotaryPositions": rotary,
    "Normal": function_of(Normal, 2),
    "Uniform": function_of(Uniform, 2),
    "Gumbel": function_of(Gumbel, 2),
    "Bernoulli": function_of(Bernoulli, 1, logits=True),
    "Categorical": function_of(Categorical, 1, logits=True),
}
