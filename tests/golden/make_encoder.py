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
import sys

try:
    import numpy
    import torch
except ImportError:  # etc/python finds a Python that has both, or says which have not
    finder = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, os.pardir, "etc", "python")
    os.execv(finder, [finder, "--with", "numpy torch", *sys.argv])
from torch import nn

import safetensors

# What each case changes of these.
BASE = {
    "input_dim": 10, "model_dim": 16, "heads": 4, "window": 12, "positions": 7, "residual_tap": "newest", "norm": "post",
    "activation": "gelu", "head": "softmax", "ff": 24, "outputs": 5, "layers": [{"method": "exact"}],
    "embed": True, "qkv": True, "o": True, "with_head": True, "frames": 44,
}
EXACT = {"method": "exact"}


def nystrom(landmarks, **more):
    return {"method": "nystrom", "landmarks": landmarks, **more}


def retroactive(layer, **more):
    return {**layer, "retroactive": True, **more}


SMALL = {"input_dim": 6, "model_dim": 12, "heads": 3, "ff": 16, "outputs": 4}
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
    "spread-post": {**SMALL, "layers": [nystrom(4, refresh="spread")]},
    "spread-uneven-pre": {**SMALL, "layers": [nystrom(5, refresh="spread", inverse_scale="heads")], "norm": "pre"},
    "spread-fixed": {**SMALL, "layers": [nystrom(5, refresh="spread", landmark_policy="fixed")], "residual_tap": "oldest"},
    "spread-3": {**SMALL, "layers": [nystrom(5, refresh="spread"), nystrom(3), nystrom(4, refresh="spread")], "window": 9,
                 "residual_tap": "oldest", "activation": "relu"},
    "stack-3-pre": {**SMALL, "layers": [EXACT, nystrom(4), EXACT], "window": 7, "norm": "pre", "residual_tap": "oldest"},
    "retro-exact": {**SMALL, "layers": [retroactive(EXACT), EXACT]},
    "retro-exact-raw-pre": {**SMALL, "layers": [retroactive(EXACT, head_merge="raw"), EXACT], "norm": "pre",
                            "residual_tap": "oldest", "activation": "relu"},
    "retro-exact-nystrom": {**SMALL, "layers": [retroactive(EXACT), nystrom(5)], "residual_tap": "oldest"},
    "retro-nystrom-exact": {**SMALL, "layers": [retroactive(nystrom(5), head_merge="raw"), EXACT], "norm": "pre"},
    "retro-nystrom": {**SMALL, "layers": [retroactive(nystrom(4)), nystrom(4)]},
    "retro-new-checkpoint": {**SMALL, "layers": [retroactive(nystrom(4, inverse_scale="heads"), head_merge="raw"),
                                                 nystrom(4, inverse_scale="heads")], "o": False, "residual_tap": "oldest"},
    "retro-old-checkpoint": {**SMALL, "layers": [retroactive(nystrom(4)), nystrom(4)], "heads": 1, "qkv": False, "o": False},
    "retro-uneven-pre": {**SMALL, "layers": [retroactive(nystrom(5)), nystrom(3, inverse_scale="heads")], "window": 13,
                         "norm": "pre", "activation": "relu"},
    "retro-spread": {**SMALL, "layers": [retroactive(nystrom(5, refresh="spread"), head_merge="raw"), nystrom(5)]},
    "retro-fixed": {**SMALL, "layers": [retroactive(nystrom(3, landmark_policy="fixed")),
                                        nystrom(5, landmark_policy="fixed", inverse_scale="heads")], "residual_tap": "oldest"},
    "retro-fixed-many-pre": {**SMALL, "layers": [retroactive(nystrom(14, landmark_policy="fixed"), head_merge="raw"),
                                                 nystrom(13, landmark_policy="fixed")], "norm": "pre"},
    "retro-many": {**SMALL, "layers": [retroactive(nystrom(12)), nystrom(12)], "window": 11},
    "retro-window-1": {**SMALL, "layers": [retroactive(EXACT, head_merge="raw"), nystrom(1)], "window": 1, "residual_tap": "oldest"},
    "retro-long": {**SMALL, "layers": [retroactive(nystrom(6), head_merge="raw"), nystrom(9)], "window": 70, "frames": 84},
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

    def fixed(self):
        return (self.q_landmarks, self.k_landmarks) if hasattr(self, "q_landmarks") else None


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


def mean_landmarks(x, t, n, m, spread):
    """Means of x (T, d) over the newest m segments that have closed by position t, oldest first, or None. Spread: the newest
    segment of all does not count yet."""
    means = []
    for position in range(t, -1, -1):
        begin, length = segment_of_slot(position % n, n, m)
        if position % n == begin + length - 1:
            means.append(x[position - length + 1 : position + 1].mean(0))
    means = means[1 if spread else 0 :][:m]
    return torch.stack(means[::-1]) if means else None


def place_landmarks(x, m):
    """[Ny]: means of x (W, d) over m consecutive segments of these rows, the first W mod m of them one row longer, or None
    where there are no more rows than segments."""
    n = x.shape[0]
    if n <= m:
        return None
    begins = sorted({segment_of_slot(slot, n, m) for slot in range(n)})
    return torch.stack([x[begin : begin + length].mean(0) for begin, length in begins])


def inverse(gamma, largest_column_sum, largest_row_sum):
    """[Ny] section 3.2: six steps of the iteration of Razavi et al."""
    eye = torch.eye(gamma.shape[0], dtype=gamma.dtype)
    z = gamma.T / (largest_column_sum * largest_row_sum)
    for _ in range(6):
        x = gamma @ z
        z = 0.25 * z @ (13 * eye - x @ (15 * eye - x @ (7 * eye - x)))
    return z


def attend(q, k, v, options, marks):
    """The outputs (H, R, d) of the queries q (H, R, d) over the window k, v (H, W, d); `marks` is a pair of landmarks for each
    head, or None for exact attention."""
    scale = 1 / math.sqrt(q.shape[2])
    heads = range(q.shape[0])
    if marks is None:
        return torch.stack([torch.softmax(q[h] @ k[h].T * scale, -1) @ v[h] for h in heads])
    gammas = [torch.softmax(a @ b.T * scale, -1) for a, b in marks]
    columns, rows = [g.sum(0).max() for g in gammas], [g.sum(1).max() for g in gammas]
    if options.get("inverse_scale") == "heads":
        columns, rows = [max(columns)] * len(heads), [max(rows)] * len(heads)
    outputs = []
    for h in heads:
        beta = torch.softmax(q[h] @ marks[h][1].T * scale, -1)
        delta = torch.softmax(marks[h][0] @ k[h].T * scale, -1)
        outputs.append(beta @ inverse(gammas[h], columns[h], rows[h]) @ (delta @ v[h]))
    return torch.stack(outputs)


def landmarks(q, k, t, n, options, fixed):
    """The landmarks of position t from q, k (H, T, d): pairs, or None where attention is exact."""
    if options["method"] == "exact":
        return None
    if fixed is not None:
        return list(zip(*fixed))
    m, spread = options["landmarks"], options.get("refresh") == "spread"
    marks = [tuple(mean_landmarks(a[h], t, n, m, spread) for a in (q, k)) for h in range(q.shape[0])]
    return None if m >= n or marks[0][0] is None else marks


def project(case, layer, x):
    """q, k, v (H, T, d) of x (T, E)."""
    source = layer.norm1(x) if case["norm"] == "pre" else x
    parts = (p(source) for p in (layer.q, layer.k, layer.v)) if case["qkv"] else (source, source, source)
    return (a.reshape(x.shape[0], case["heads"], -1).transpose(0, 1) for a in parts)


def finish(case, layer, x, attended):
    """What follows the attention (.., E), with the residual x."""
    act = nn.GELU() if case["activation"] == "gelu" else nn.ReLU()
    if layer.o is not None:
        attended = layer.o(attended)
    if case["norm"] == "pre":
        h = x + attended
        return h + layer.ff2(act(layer.ff1(layer.norm2(h))))
    h = layer.norm1(x + attended)
    return layer.norm2(h + layer.ff2(act(layer.ff1(h))))


def run_layer(case, layer, x):
    """(T, E) -> (T, E), the single-output layer at every position."""
    n = case["window"]
    q, k, v = project(case, layer, x)
    attended = []
    for t in range(x.shape[0]):
        first = max(0, t - n + 1)
        marks = landmarks(q, k, t, n, layer.options, layer.fixed())
        window = (a[:, first : t + 1] for a in (k, v))
        attended.append(attend(q[:, t : t + 1], *window, layer.options, marks).reshape(-1))
    if case["residual_tap"] == "oldest":
        return finish(case, layer, torch.stack([x[max(0, t - n + 1)] for t in range(x.shape[0])]), torch.stack(attended))
    return finish(case, layer, x, torch.stack(attended))


def run_two_layers(case, first, second, x):
    """(T, E) -> (T, E): at every position all rows of the window anew through the retroactive layer, [CoT] section 3.2, and the
    newest row of the second from these, as if they were a sequence of their own."""
    n, width = case["window"], case["model_dim"]
    q, k, v = project(case, first, x)
    outputs = []
    for t in range(x.shape[0]):
        window = slice(max(0, t - n + 1), t + 1)
        marks = landmarks(q, k, t, n, first.options, first.fixed())
        attended = attend(q[:, window], k[:, window], v[:, window], first.options, marks)
        if first.options.get("head_merge") != "raw":
            attended = attended.transpose(0, 1)
        rows = finish(case, first, x[window], attended.reshape(-1, width))
        q2, k2, v2 = project(case, second, rows)
        marks = None
        if second.options["method"] == "nystrom":
            m = second.options["landmarks"]
            marks = [tuple(place_landmarks(a[h], m) for a in (q2, k2)) for h in range(case["heads"])]
            marks = list(zip(*second.fixed())) if second.fixed() is not None else marks if marks[0][0] is not None else None
        attended = attend(q2[:, -1:], k2, v2, second.options, marks)
        outputs.append(finish(case, second, rows[0 if case["residual_tap"] == "oldest" else -1], attended.reshape(width)))
    return torch.stack(outputs)


def run(case, model, frames):
    x = model.embed(frames) if model.embed is not None else frames
    if model.pe is not None:
        x = x + model.pe(torch.arange(x.shape[0]) % case["positions"])
    if case["layers"][0].get("retroactive"):
        x = run_two_layers(case, *model.blocks, x)
    else:
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
        frames = torch.randn(case["frames"], case["input_dim"], dtype=torch.float32)
        tensors = {key: value.detach().numpy() for key, value in model.named_parameters()}
        safetensors.write(os.path.join(folder, name + ".safetensors"), configuration(case), tensors)
        numpy.save(os.path.join(folder, name + ".input.npy"), frames.numpy())
        with torch.no_grad():
            for kind, values in run(case, model, frames.double()).items():
                numpy.save(os.path.join(folder, f"{name}.{kind}.npy"), values.numpy())


if __name__ == "__main__":
    main()
