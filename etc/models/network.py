# SPDX-License-Identifier: MIT
"""The network that is trained: continual attention, exact or Nyström, and the encoder around it, in torch.

All outputs of a sequence are computed at once, each from its own window and its own landmarks, so that what is trained is what the
daemon computes frame by frame. Letters are those of the papers: n window, m landmarks, H heads, d head width, E = H·d, T frames of
a sequence.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


# ---- attention: all outputs of a sequence at once, each from its own window and its own landmarks 

def window_mask(T, n):
    """[T, T]: whether frame i is in W_t, the n newest at frame t."""
    age = torch.arange(T)[:, None] - torch.arange(T)
    return (age >= 0) & (age < n)


def softmax(logits, exists):
    return logits.masked_fill(~exists, -math.inf).softmax(-1)


def exact(q, k, v, n):
    """o_t = Σ_{i in W_t} softmax_i(q_t · k_i / √d) v_i"""
    return softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), window_mask(q.shape[-2], n)) @ v


def segments(T, n, m):
    """(first, last) of the segments that close within T frames: n slots cut into m, the first n mod m one longer."""
    sizes = [n // m + (j < n % m) for j in range(m)]
    cuts, first = [], 0
    while first + sizes[len(cuts) % m] <= T:
        cuts.append((first, first + sizes[len(cuts) % m] - 1))
        first = cuts[-1][1] + 1
    return cuts


def newest(x, m):
    """[…, S, d] -> […, S, m, d]: for each segment the m newest landmarks when it closes, after zeros if too few."""
    return F.pad(x, (0, 0, m - 1, 0)).unfold(-2, m, 1).transpose(-1, -2)


def inverse(gamma):
    """g(Γ): six steps towards the pseudo-inverse of Γ. Rows and columns of zeros stay zero."""
    norms = gamma.sum(-2).amax(-1) * gamma.sum(-1).amax(-1)  # ‖Γ‖₁·‖Γ‖_∞: Γ has no negative entry
    z = gamma.transpose(-1, -2) / norms[..., None, None]
    eye = torch.eye(gamma.shape[-1], dtype=gamma.dtype)
    for _ in range(6):
        x = gamma @ z
        z = z @ (13 * eye - x @ (15 * eye - x @ (7 * eye - x))) / 4
    return z


def nystrom(q, k, v, n, m):
    """o_t = β · g(Γ) · (Δ V) with the newest m landmarks closed at t; exact until one closes. q, k, v: […, T, d]

    β is formed for each frame and Γ for each closing. Δ is not formed: its row for frame t and landmark j is e_ji, i in
    W_t, over their sum z_tj. So o_t = Σ_{i in W_t} (Σ_j w_tj / z_tj · e_ji) v_i with w = β · g(Γ): matrix products.
    """
    T, root = q.shape[-2], math.sqrt(q.shape[-1])
    cuts = segments(T, n, m)
    if not cuts or m >= n:
        return exact(q, k, v, n)
    start = cuts[0][1]                                                    # the first frame with a landmark
    S, last = len(cuts), torch.tensor([last for _, last in cuts])
    of_frame = torch.searchsorted(last, torch.arange(start, T), right=True) - 1  # the newest closed segment
    mean = q.new_zeros(S, T)
    for s, (first, end) in enumerate(cuts):
        mean[s, first:end + 1] = 1 / (end + 1 - first)
    lq, lk = mean @ q, mean @ k                                           # q̃, k̃ of all segments, […, S, d]

    closed = torch.arange(S)[:, None] - m + 1 + torch.arange(m)           # [S, m]: which segments; negative: none
    exists = (closed >= 0)[:, None]
    gamma = softmax(newest(lq, m) @ newest(lk, m).transpose(-1, -2) / root, exists) * exists.transpose(-1, -2)
    beta = (q[..., start:, None, :] * newest(lk, m)[..., of_frame, :, :]).sum(-1)
    beta = softmax(beta / root, exists[of_frame, 0])                      # […, T, m]
    w = (beta[..., :, None] * inverse(gamma)[..., of_frame, :, :]).sum(-2)
    w = q.new_zeros(*w.shape[:-1], S + m).scatter(-1, (closed[of_frame] % (S + m)).expand(w.shape), w)[..., :S]

    logits = lq @ k.transpose(-1, -2) / root                              # […, S, T]
    e = (logits - logits.amax(-1, keepdim=True)).clamp_min(-40).exp()     # not less: z must not be 0
    in_window = window_mask(T, n)[start:].to(q.dtype)
    z = in_window @ e.transpose(-1, -2)                                   # […, T, S]
    out = (w / z @ e * in_window) @ v
    return torch.cat((exact(q[..., :start, :], k[..., :start, :], v[..., :start, :], n), out), -2)


# ---- the model: names of modules are names of tensors in the file --------------------------------

class Block(nn.Module):
    """One encoder layer around continual attention: exact where c["landmarks"] is 0."""

    def __init__(self, c):
        super().__init__()
        E = c["model_dim"]
        self.c = c
        self.drop = nn.Dropout(c.get("dropout", 0))
        self.q, self.k, self.v, self.o = (nn.Linear(E, E) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(E), nn.LayerNorm(E)
        self.ff1, self.ff2 = nn.Linear(E, c["hidden_dim"]), nn.Linear(c["hidden_dim"], E)

    def attention(self, x):
        heads = lambda y: y.unflatten(-1, (self.c["heads"], -1)).transpose(-2, -3)
        qkv = heads(self.q(x)), heads(self.k(x)), heads(self.v(x))
        n, m = self.c["window"], self.c["landmarks"]
        y = nystrom(*qkv, n, m) if m else exact(*qkv, n)
        return self.o(y.transpose(-2, -3).flatten(-2))

    def forward(self, x):
        feed = lambda y: self.ff2(F.gelu(self.ff1(y)))
        if self.c["norm"] == "pre":
            h = x + self.drop(self.attention(self.norm1(x)))
            return h + self.drop(feed(self.norm2(h)))
        h = self.norm1(x + self.drop(self.attention(x)))
        return self.norm2(h + self.drop(feed(h)))


class Encoder(nn.Module):
    """Frames [B, T, input_dim] -> logits [B, T, labels]; frame t sees frames up to t."""

    def __init__(self, c):
        super().__init__()
        E = c["model_dim"]
        self.embed = nn.Linear(c["input_dim"], E)
        if c["positions"]:
            self.pe = nn.Embedding(c["positions"], E)
            nn.init.normal_(self.pe.weight, std=0.2)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm, self.head = nn.LayerNorm(E), nn.Linear(E, len(c["labels"]))

    def forward(self, frames):
        x = self.embed(frames)
        if hasattr(self, "pe"):
            x = x + self.pe(torch.arange(x.shape[-2]) % self.pe.num_embeddings)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
