"""Weights between PyTorch, NumPy and wengert, in files.

    python weights.py make     trains a small convolutional net and writes tests/fixtures/interop/from_*
    python weights.py check    loads what the test `io` of wengert wrote (wengert.*), strictly

Needs PyTorch, NumPy and safetensors. The files are checked in, so that the tests need neither.
"""
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "fixtures" / "interop"
DIGITS = ROOT.parent / "examples" / "data" / "digits.csv"


class Net(nn.Module):
    """On digits of 8 by 8: has parameters, buffers, and an integer among these."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x.reshape(-1, 1, 8, 8))))
        return self.head(torch.max_pool2d(x, 2).flatten(1))


def digits():
    table = np.loadtxt(DIGITS, delimiter=",", dtype=np.int64)
    return torch.tensor(table[:, :64] / 16).float(), torch.tensor(table[:, 64])


def logits(net, x):
    """In double precision, so that only a wrong weight or a wrong layer can make a difference."""
    with torch.no_grad():
        return net.double().eval()(x.double())


def make():
    torch.manual_seed(0)
    x, y = digits()
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(5):
        for rows in torch.randperm(1500).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    FOLDER.mkdir(exist_ok=True)
    save_file(net.state_dict(), FOLDER / "from_pytorch.safetensors")
    state = net.state_dict()
    # Half the bytes, and what a wrapped model calls itself; the integer stays one.
    half = {"conv": torch.float16, "norm": torch.bfloat16, "head": torch.bfloat16}
    narrow = {n: t.to(half[n.split(".")[0]]) if t.is_floating_point() else t for n, t in state.items()}
    save_file({f"module.{n}": t for n, t in narrow.items()}, FOLDER / "from_pytorch_half.safetensors")
    out = {"x": x[1500:1532].double(), "logits": logits(net, x[1500:1532])}
    net.load_state_dict(narrow)
    out["logits_half"] = logits(net, x[1500:1532])
    net.load_state_dict(state)
    right = (logits(net, x[1500:]).argmax(1) == y[1500:]).double().mean()
    assert right > 0.9, right
    save_file(out, FOLDER / "from_pytorch_logits.safetensors")
    numpy_files()


def numpy_files():
    grid = np.arange(6).reshape(2, 3)
    arrays = {
        "f2": np.array([0.5, -2.0, 65504, 2**-24, 2**-14, np.inf, -np.inf, np.nan, -0.0, 1 / 3], "<f2"),
        "f4": grid.astype("<f4") / 4,
        "f8_big": grid.astype(">f8") / 4,
        "f4_fortran": np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)),
        "i8": np.array([-(2**40), 7]),
        "i2_big": np.array([-300, 300], ">i2"),
        "u1": np.array([0, 255], "u1"),
        "u8": np.array([2**63], "u8"),
        "bool": np.array([True, False]),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 3)),
    }
    for name, array in arrays.items():
        np.save(FOLDER / f"from_numpy_{name}.npy", array)
    for version in (2, 3):
        with open(FOLDER / f"from_numpy_v{version}.npy", "wb") as file:
            np.lib.format.write_array(file, arrays["f4"], version=(version, 0))
    np.save(FOLDER / "from_numpy_complex.npy", np.ones(2, "c8"))
    np.savez(FOLDER / "from_numpy.npz", **arrays)
    np.savez_compressed(FOLDER / "from_numpy_compressed.npz", **arrays)
    integers = {n: a for n, a in arrays.items() if n in ("i8", "u1", "u8", "bool", "empty")}
    save_numpy(integers, FOLDER / "from_numpy.safetensors")


def check():
    net = Net().double()
    net.load_state_dict(load_file(FOLDER / "wengert.safetensors"), strict=True)
    arrays = np.load(FOLDER / "wengert.npz")
    expected = logits(net, torch.tensor(arrays["x"])).numpy()
    error = np.abs(expected - arrays["logits"]).max()
    print(f"logits of wengert's weights: {error:.1e} from PyTorch's")
    assert error < 1e-12
    single = np.load(FOLDER / "wengert.npy")
    assert single.dtype == np.float32 and single.shape == (2, 3)
    assert (single == np.arange(6, dtype=np.float32).reshape(2, 3) / 4).all()
    assert arrays["scalar"] == 2.5 and arrays["scalar"].shape == () and arrays["empty"].shape == (0, 3)
    memory = load_file(FOLDER / "wengert_state.safetensors")
    assert memory["head.weight/adam.exp_avg"].shape == net.head.weight.shape
    assert memory["steps"].dtype == torch.float64 and memory["steps"] == 1
    print("all of wengert's files are as they should be")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]]()
