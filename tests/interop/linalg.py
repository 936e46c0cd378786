"""Makes fixtures/linalg.json: factorisations, solutions and orders of elements, as PyTorch computes them.

    python tests/interop/linalg.py > tests/fixtures/linalg.json

Eigenvectors come as their squares and as the sum of c v v' over them, which do not depend on their signs.
"""
import numpy
import torch

from common import case, write

generator = torch.Generator().manual_seed(12)
cases = []


def normal(*shape):
    return (torch.randn(shape, generator=generator) * 1e4).round() / 1e4


def add(name, inputs, forward):
    cases.append(case(name, None, inputs, forward, description=name))


def symmetric(a):
    return (a + a.mT) / 2


def hilbert(n):
    return torch.tensor([[1.0 / (i + j + 1) for j in range(n)] for i in range(n)])


solve, triangular = torch.linalg.solve, torch.linalg.solve_triangular
add("solve", [normal(2, 4, 4), normal(2, 4, 3)], solve)
add("solve vector", [normal(4, 4), normal(4)], solve)
add("solve broadcast", [normal(4, 4), normal(2, 4, 3)], solve)
add("solve_triangular lower", [normal(2, 4, 4) + 2 * torch.eye(4), normal(2, 4, 3)],
    lambda a, b: triangular(a.tril(), b, upper=False))
add("solve_triangular upper", [normal(2, 4, 4) + 2 * torch.eye(4), normal(2, 4, 3)],
    lambda a, b: triangular(a.triu(), b, upper=True))
add("inv", [normal(2, 4, 4)], torch.linalg.inv)
add("det", [normal(3, 4, 4)], torch.linalg.det)
add("slogdet", [normal(3, 4, 4)], lambda a: torch.linalg.slogdet(a)[1])
half = normal(2, 4, 4)
add("cholesky", [half @ half.mT + torch.eye(4)], lambda a: torch.linalg.cholesky(symmetric(a)))
for m, n in [(4, 4), (6, 3), (3, 5)]:
    add(f"qr {m} {n}", [normal(2, m, n)], lambda a: list(torch.linalg.qr(a)))


def eigh(a):
    w, v = torch.linalg.eigh(symmetric(a))
    c = torch.arange(4.0) - 1.3
    return [w, v.square(), (v * c) @ v.mT]


add("eigh", [normal(2, 4, 4)], eigh)
add("eigvalsh of equal eigenvalues", [torch.diag(torch.tensor([2.0, 1.0, 2.0]))],
    lambda a: torch.linalg.eigvalsh(symmetric(a)))

ties = torch.tensor([[3.0, 1.0, 2.0, 3.0, 1.0], [0.0, 5.0, -1.0, 5.0, 0.5]])
for descending in [False, True]:
    add(f"sort {descending}", [ties], lambda x: torch.sort(x, dim=1, descending=descending, stable=True)[0])
distinct = normal(3, 5, 2)
for largest in [False, True]:
    add(f"topk {largest}", [distinct], lambda x: torch.topk(x, 3, dim=1, largest=largest)[0])
add("cummax", [ties], lambda x: torch.cummax(x, 1)[0])
add("cummin", [ties], lambda x: torch.cummin(x, 1)[0])

# How good a solution of an ill-conditioned system is: the residual of LAPACK's, in units of the last place.
for n in [4, 8, 12]:
    a = hilbert(n).numpy()
    b = a.sum(1)
    x = numpy.linalg.solve(a, b)
    unit = numpy.finfo(float).eps * numpy.abs(a).sum(1).max() * numpy.abs(x).max()
    residual = numpy.abs(a @ x - b).max() / unit
    error = numpy.abs(x - 1).max()
    cases.append((f"hilbert {n}", {"residual": residual, "error": error}))

write("linalg.py", cases)
