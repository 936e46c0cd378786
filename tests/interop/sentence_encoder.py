"""The sentence encoder MiniLM in NumPy, in double precision: numbers for examples/15_sentence_encoder.rs.

    pip install numpy safetensors
    python tests/interop/sentence_encoder.py FOLDER

FOLDER holds the model, as the example says. Prints the first eight numbers of each sentence's vector, and the products
of the vectors.
"""

import math
import re
import sys

import numpy as np
from safetensors.numpy import load_file

SENTENCES = [
    "A tape records operations, and the sweep runs it backwards.",
    "Reverse-mode differentiation replays a recording from its end.",
    "The cat sleeps.",
]

folder = sys.argv[1]
weights = {name: w.astype(np.float64) for name, w in load_file(f"{folder}/model.safetensors").items()}
vocabulary = {word: i for i, word in enumerate(open(f"{folder}/vocab.txt", encoding="utf-8").read().split("\n"))}
erf = np.vectorize(math.erf)


def tokens(sentence):
    ids = [vocabulary["[CLS]"]]
    for word in re.findall(r"\w+|[^\w\s]", sentence.lower()):
        start = 0
        while start < len(word):
            end = len(word)
            while ("##" if start else "") + word[start:end] not in vocabulary:
                end -= 1
            ids.append(vocabulary[("##" if start else "") + word[start:end]])
            start = end
    return ids + [vocabulary["[SEP]"]]


def linear(x, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(x, name):
    deviation = x - x.mean(-1, keepdims=True)
    scaled = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def vector(sentence):
    ids = tokens(sentence)
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for i in range(6):
        layer = f"encoder.layer.{i}"
        heads = [
            linear(x, f"{layer}.attention.self.{part}").reshape(len(ids), 12, 32).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        ]
        scores = heads[0] @ heads[1].transpose(0, 2, 1) / math.sqrt(32)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        attended = (shares @ heads[2]).transpose(1, 0, 2).reshape(len(ids), 384)
        x = norm(x + linear(attended, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.sqrt((mean**2).sum())


vectors = np.stack([vector(sentence) for sentence in SENTENCES])
np.set_printoptions(precision=9, suppress=True)
print([len(tokens(sentence)) for sentence in SENTENCES])
print(repr(vectors[:, :8]))
print(repr(vectors @ vectors.T))
