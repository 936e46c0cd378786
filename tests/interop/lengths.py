"""Recurrent layers on packed sequences, in the format of layers.json.

    python tests/interop/lengths.py > tests/fixtures/lengths.json
"""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common import case, write

torch.manual_seed(5)

# One position more than the longest sequence has.
LENGTHS, TIME = [2, 5, 1], 6
X = torch.randn(len(LENGTHS), TIME, 3)


def packed(name, kind, states, **settings):
    layer = kind(3, 4, batch_first=True, **settings)
    depth = layer.num_layers * (2 if layer.bidirectional else 1)
    hx = [torch.randn(depth, len(LENGTHS), 4) for _ in range(states)]

    def forward(x, *hx):
        packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        y, last = layer(packed, hx if states == 2 else hx[0])
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=TIME)
        return [y, *last] if states == 2 else [y, last]

    return case(name, layer, [X, *hx], forward, description=f"{layer}, lengths {LENGTHS}")


cases = [
    packed(name + suffix, kind, states, **settings)
    for name, kind, states in [("rnn", nn.RNN, 1), ("lstm", nn.LSTM, 2), ("gru", nn.GRU, 1)]
    for suffix, settings in [
        ("", {}),
        (" bidirectional", {"bidirectional": True}),
        (" two layers bidirectional", {"num_layers": 2, "bidirectional": True}),
    ]
]

write("lengths.py", cases)
