"""Prints tests/fixtures/sequences.json: recurrent layers, attention, transformer blocks and positions, as
PyTorch computes them, in the format of layers.json. Batch first throughout.

    python tests/interop/sequences.py > tests/fixtures/sequences.json
"""
import math

import torch
from common import case, write
from torch import nn

torch.manual_seed(4)
cases = []


def add(*arguments, **settings):
    cases.append(case(*arguments, **settings))


# Recurrent layers: outputs and final states, from zeros and from a state of one's own.
X = torch.randn(2, 5, 3)


def recurrent(name, kind, states, given=False, **settings):
    layer = kind(3, 4, batch_first=True, **settings)
    depth = layer.num_layers * (2 if layer.bidirectional else 1)
    hx = [torch.randn(depth, 2, 4) for _ in range(states)] if given else []

    def forward(x, *hx):
        state = None if not hx else hx if states == 2 else hx[0]
        y, last = layer(x, state)
        return [y, *last] if states == 2 else [y, last]

    add(name, layer, [X, *hx], forward)


for name, kind, states in [("rnn", nn.RNN, 1), ("lstm", nn.LSTM, 2), ("gru", nn.GRU, 1)]:
    recurrent(f"{name} states", kind, states, given=True)
    recurrent(f"{name} no bias", kind, states, bias=False)
    recurrent(f"{name} two layers", kind, states, given=True, num_layers=2)
    recurrent(f"{name} bidirectional", kind, states, given=True, bidirectional=True)
    recurrent(f"{name} two layers bidirectional", kind, states, given=True, num_layers=2, bidirectional=True)
recurrent("rnn relu", nn.RNN, 1, given=True, nonlinearity="relu")

# Attention of one head, on [batch, heads, time, width].
Q, K, V = torch.randn(2, 2, 4, 6), torch.randn(2, 2, 5, 6), torch.randn(2, 2, 5, 3)
attention = nn.functional.scaled_dot_product_attention
BLOCKED = torch.tensor([[0, 0, 1, 0, 0], [1, 0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
ADDED = torch.randn(4, 5)
add("sdpa", None, [Q, K, V], attention, description="scaled_dot_product_attention")
add("sdpa causal", None, [Q, K, V], lambda q, k, v: attention(q, k, v, is_causal=True), description="is_causal=True")
add("sdpa scale", None, [Q, K, V], lambda q, k, v: attention(q, k, v, scale=0.7), description="scale=0.7")
add("sdpa blocked", None, [Q, K, V], lambda q, k, v: attention(q, k, v, ~BLOCKED), description=f"{BLOCKED.int().tolist()}")
add("sdpa added", None, [Q, K, V, ADDED], attention, description="attn_mask is the last input")

# Attention of several heads.
QUERY, KEY, VALUE = torch.randn(2, 4, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
PADDING = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1]]).bool()


def heads(name, inputs, bias=True, **settings):
    layer = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True)

    def forward(query, key=None, value=None):
        key, value = (query, query) if key is None else (key, value)
        return layer(query, key, value, need_weights=False, **settings)[0]

    add(name, layer, inputs, forward)


causal = nn.Transformer.generate_square_subsequent_mask(4)
heads("cross attention", [QUERY, KEY, VALUE])
heads("attention no bias", [QUERY], bias=False)
heads("attention key_padding_mask", [QUERY, KEY, VALUE], key_padding_mask=PADDING)
heads("attention attn_mask blocked", [QUERY, KEY, VALUE], attn_mask=BLOCKED)
heads("attention attn_mask added", [QUERY, KEY, VALUE], attn_mask=ADDED)
heads("attention both masks", [QUERY, KEY, VALUE], attn_mask=BLOCKED, key_padding_mask=PADDING[:, [0, 3, 1, 4, 2]])
heads("attention causal key_padding_mask", [QUERY], attn_mask=causal.isinf(), key_padding_mask=PADDING[:, 1:])

# Transformer blocks.
def block(name, forward={}, **settings):
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, **settings)
    add(name, layer, [QUERY], lambda x: layer(x, **forward))


block("block")
block("block norm_first", norm_first=True)
block("block gelu", activation="gelu")
block("block causal", forward={"src_mask": causal})
block("block causal norm_first gelu", forward={"src_mask": causal}, norm_first=True, activation="gelu")
block("block padding", forward={"src_key_padding_mask": PADDING[:, 1:]})

# Positions, by other formulas: complex exponentials of angles.
def angles(length, width, offset, base=10000.0):
    """`[length, width / 2]`"""
    t = torch.arange(offset, offset + length).double()
    return torch.outer(t, torch.exp(-math.log(base) * torch.arange(0, width, 2).double() / width))


def waves(x, offset=0):
    turns = torch.polar(torch.ones(()), angles(x.shape[-2], x.shape[-1], offset))
    return x + torch.stack([turns.imag, turns.real], -1).flatten(-2)


def turned(x, offset, interleaved, base=10000.0):
    turns = torch.polar(torch.ones(()), angles(x.shape[-2], x.shape[-1], offset, base))
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    y = torch.complex(a, b) * turns
    return torch.stack([y.real, y.imag], -1).flatten(-2) if interleaved else torch.cat([y.real, y.imag], -1)


add("sinusoidal", None, [QUERY], waves, description="x + waves")
add("sinusoidal from 3", None, [QUERY], lambda x: waves(x, 3), description="x + waves from position 3")
add("rotary", None, [Q], lambda x: turned(x, 0, False), description="halves paired")
add("rotary from 7", None, [Q], lambda x: turned(x, 7, False), description="halves paired, from position 7")
add("rotary base 100", None, [Q], lambda x: turned(x, 2, False, 100.0), description="base 100, from position 2")
add("rotary interleaved", None, [Q], lambda x: turned(x, 2, True), description="neighbours paired, from position 2")

write("sequences.py", cases)
