#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the golden vectors of the encoder: tests/golden/encoder/NAME.{safetensors,input.npy,scores.npy,logits.npy,embedding.npy}.

Every output is recomputed from all inputs of its window in float64 with torch's Linear, LayerNorm and GELU, from the formulas of
  [CoNy] Continual Low-Rank Scaled Dot-product Attention, arXiv 2412.03214
  [Ny]   Nystromformer, arXiv 2102.03902
  [CoT]  Continual Transformers, arXiv 2201.06268,
with nothing carried from one frame to the next and nothing shared with the library. Needs torch; `make check` does not run it.
"""

import math
import os

import numpy
import torch
from torch import nn

import safetensors

FRAMES = 44

# What each case changes of these.
BASE = {
    "input_dim": 10, "model_dim": 16, "heads": 4, "window": 12, "positions": 7, "residual_tap": "newest", "norm": "post",
    "activation": "gelu", "head": "softmax", "ff": 24, "outputs": 5, "layers": [{"method": "exact"}],
    "embed": True, "qkv": True, "o": True, "with_head": True,
}
EXACT = {"method": "exact"}


def nystrom(landmarks, **more):
    return {"method": "nystrom", "landmarks": landmarks, **more}


CASES = {
    "exact-post": {},
    "exact-pre": {"norm": "pre", "head": "sigmoid"},
    "exact-post-2": {"layers": [EXACT, EXACT], "activation": "relu", "positions": 0},
    "exact-pre-2": {"layers": [EXACT, EXACT], "norm": "pre", "positions": 16},
    "exact-post-oldest-2": {"layers": [EXACT, EXACT], "residual_tap": "oldest"},
    "exact-pre-oldest": {"norm": "pre", "residual_tap": "oldest", "head": "identity"},
    "exact-bare": {"embed": False, "input_dim": 16, "qkv": False, "o": False, "with_head": False, "head": "identity",
                   "positions": 0},
    "exact-bare-pre": {"qkv": False, "o": False, "norm": "pre", "activation": "relu"},
    "exact-wide": {"model_dim": 60, "heads": 3, "ff": 100, "outputs": 33, "head": "sigmoid"},
    "exact-window-1": {"window": 1, "layers": [EXACT, EXACT]},
    "nystrom-post": {"layers": [nystrom(4)]},
    "nystrom-uneven": {"layers": [nystrom(5)], "norm": "pre"},
    "nystrom-old-checkpoint": {"layers": [nystrom(4)], "heads": 1, "qkv": False, "o": False},
    "nystrom-new-checkpoint": {"layers": [nystrom(4, inverse_scale="heads")], "o": False, "residual_tap": "oldest"},
    "nystrom-2": {"layers": [nystrom(5), nystrom(3)], "activation": "relu", "window": 13},
    "nystrom-exact": {"layers": [nystrom(4), EXACT], "norm": "pre", "residual_tap": "oldest"},
    "nystrom-many": {"layers": [nystrom(12)]},
    "fixed-post": {"layers": [nystrom(5, landmark_policy="fixed")]},
    "fixed-pre-2": {"layers": [nystrom(3, landmark_policy="fixed", inverse_scale="heads"), nystrom(14, landmark_policy="fixed")],
                    "norm": "pre", "head": "sigmoid"},
}


class Layer(nn.Module):
    """The weights of one layer; absent projections are None."""

    def __init__(self, case, options):
        super().__init__()
        width, self.options = case["model_dim"], options
        if case["qkv"]:
            self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.o = nn.Linear(width, width) if case["o"] else None
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ff1, self.ff2 = nn.Linear(width, case["ff"]), nn.Linear(case["ff"], width)
        if options.get("landmark_policy") == "fixed":
            shape = (case["heads"], options["landmarks"], width // case["heads"])
            self.q_landmarks, self.k_landmarks = (nn.Parameter(torch.empty(shape)) for _ in range(2))


class Model(nn.Module):
    def __init__(self, case):
        super().__init__()
        width = case["model_dim"]
        self.embed = nn.Linear(case["input_dim"], width) if case["embed"] else None
        self.pe = nn.Embedding(case["positions"], width) if case["positions"] else None
        self.blocks = nn.ModuleList(Layer(case, options) for options in case["layers"])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, case["outputs"]) if case["with_head"] else None


def segment_of_slot(slot, n, m):
    """[CoNy]: n slots in m consecutive segments, the first n mod m of them one slot longer."""
    begin = 0
    for j in range(m):
        length = n // m + (1 if j < n % m else 0)
        if begin <= slot < begin + length:
            return begin, length
        begin += length
    raise ValueError(slot)


def mean_landmarks(x, t, n, m):
    """Means of x (T, d) over the newest m segments that have closed by position t, oldest first, or None."""
    means = []
    for position in range(t, -1, -1):
        begin, length = segment_of_slot(position % n, n, m)
        if position % n == begin + length - 1:
            means.append(x[position - length + 1 : position + 1].mean(0))
        if len(means) == m:
            break
    return torch.stack(means[::-1]) if means else None


def inverse(gamma, largest_column_sum, largest_row_sum):
    """[Ny] section 3.2: six steps of the iteration of Razavi et al."""
    eye = torch.eye(gamma.shape[0], dtype=gamma.dtype)
    z = gamma.T / (largest_column_sum * largest_row_sum)
    for _ in range(6):
        x = gamma @ z
        z = 0.25 * z @ (13 * eye - x @ (15 * eye - x @ (7 * eye - x)))
    return z


def attention(q, k, v, t, n, options, fixed):
    """The output (H, d) of position t from q, k, v (H, T, d)."""
    heads, _, width = q.shape
    first = max(0, t - n + 1)
    scale = 1 / math.sqrt(width)
    exact = [torch.softmax(q[h, t] @ k[h, first : t + 1].T * scale, -1) @ v[h, first : t + 1] for h in range(heads)]
    if options["method"] == "exact":
        return torch.stack(exact)
    m = options["landmarks"]
    if fixed is None:
        marks = [(mean_landmarks(q[h], t, n, m), mean_landmarks(k[h], t, n, m)) for h in range(heads)]
        if m >= n or marks[0][0] is None:
            return torch.stack(exact)
    else:
        marks = [(fixed[0][h], fixed[1][h]) for h in range(heads)]
    gammas = [torch.softmax(a @ b.T * scale, -1) for a, b in marks]
    columns, rows = [g.sum(0).max() for g in gammas], [g.sum(1).max() for g in gammas]
    if options.get("inverse_scale") == "heads":
        columns, rows = [max(columns)] * heads, [max(rows)] * heads
    outputs = []
    for h in range(heads):
        beta = torch.softmax(q[h, t] @ marks[h][1].T * scale, -1)
        delta = torch.softmax(marks[h][0] @ k[h, first : t + 1].T * scale, -1)
        outputs.append(beta @ inverse(gammas[h], columns[h], rows[h]) @ (delta @ v[h, first : t + 1]))
    return torch.stack(outputs)


def run_layer(case, layer, x):
    """(T, E) -> (T, E), the single-output layer at every position."""
    width, heads, n = case["model_dim"], case["heads"], case["window"]
    act = nn.GELU() if case["activation"] == "gelu" else nn.ReLU()
    pre = case["norm"] == "pre"
    source = layer.norm1(x) if pre else x
    q, k, v = (p(source) for p in (layer.q, layer.k, layer.v)) if case["qkv"] else (source, source, source)
    q, k, v = (a.reshape(-1, heads, width // heads).transpose(0, 1) for a in (q, k, v))
    fixed = (layer.q_landmarks, layer.k_landmarks) if hasattr(layer, "q_landmarks") else None
    attended = torch.stack([attention(q, k, v, t, n, layer.options, fixed).reshape(width) for t in range(x.shape[0])])
    if layer.o is not None:
        attended = layer.o(attended)
    if case["residual_tap"] == "oldest":
        x = torch.stack([x[max(0, t - n + 1)] for t in range(x.shape[0])])
    if pre:
        h = x + attended
        return h + layer.ff2(act(layer.ff1(layer.norm2(h))))
    h = layer.norm1(x + attended)
    return layer.norm2(h + layer.ff2(act(layer.ff1(h))))


def run(case, model, frames):
    x = model.embed(frames) if model.embed is not None else frames
    if model.pe is not None:
        x = x + model.pe(torch.arange(x.shape[0]) % case["positions"])
    for layer in model.blocks:
        x = run_layer(case, layer, x)
    embedding = model.norm(x)
    logits = model.head(embedding) if model.head is not None else embedding
    scores = {"softmax": lambda a: torch.softmax(a, -1), "sigmoid": torch.sigmoid, "identity": lambda a: a}[case["head"]](logits)
    return {"scores": scores, "logits": logits, "embedding": embedding}


def randomise(model):
    """Weights that float32 holds exactly, large enough that attention is far from uniform."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, dtype=torch.float32)
        if "landmarks" in name:
            values = noise
        elif parameter.dim() == 2 and not name.startswith("pe"):
            values = noise * (1.3 / math.sqrt(parameter.shape[1]))
        else:
            values = 0.3 * noise + (1 if "norm" in name and name.endswith("weight") else 0)
        parameter.data = values.double()


def configuration(case):
    fields = ("input_dim", "model_dim", "heads", "window", "positions", "residual_tap", "norm", "activation", "head", "layers")
    config = {"version": 1, **{field: case[field] for field in fields}}
    if case["with_head"]:
        config["labels"] = [f"class {i}" for i in range(case["outputs"])]
    return config


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "encoder")
    for seed, (name, changes) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        case = {**BASE, **changes}
        model = Model(case).double()
        randomise(model)
        frames = torch.randn(FRAMES, case["input_dim"], dtype=torch.float32)
        tensors = {key: value.detach().numpy() for key, value in model.named_parameters()}
        safetensors.write(os.path.join(folder, name + ".safetensors"), configuration(case), tensors)
        numpy.save(os.path.join(folder, name + ".input.npy"), frames.numpy())
        with torch.no_grad():
            for kind, values in run(case, model, frames.double()).items():
                numpy.save(os.path.join(folder, f"{name}.{kind}.npy"), values.numpy())


if __name__ == "__main__":
    main()
