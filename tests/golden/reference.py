# SPDX-License-Identifier: MIT
"""The formulas of continual attention in float64, recomputed from the frames at every position: slow and plain.

Arrays of frames are [T, 3, H, d]: q, k and v of each head at the positions start, start + 1, ...; start is 0, or where the replay of a
stream begins: then no window holds a frame before it, and the segments that began before it never close. Landmarks are None for means
of segments, or fixed ones [2, H, m, d], q then k. Sources: Continual Transformers (arXiv 2201.06268), Continual Low-Rank Scaled
Dot-product Attention (arXiv 2412.03214), Nystromformer (arXiv 2102.03902).
"""
import numpy as np


def softmax(logits):
    """Over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def logits(q, k):
    """q [H, r, d], k [H, w, d] -> [H, r, w]"""
    return q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])


def attend(q, k, v):
    """q [H, r, d], k and v [H, w, d] -> [H, r, d]"""
    return softmax(logits(q, k)) @ v


def segment_lengths(n, m):
    """The first n mod m segments are one slot longer."""
    return [n // m + (j < n % m) for j in range(m)]


def inverse(gamma, scale="matrix"):
    """The six-step iteration, gamma [H, m, m]. `scale` says whether a norm is that of the head or the largest over the heads."""
    columns = np.abs(gamma).sum(axis=1).max(axis=1)
    rows = np.abs(gamma).sum(axis=2).max(axis=1)
    if scale == "heads":
        columns, rows = columns.max(), rows.max()
    identity = np.eye(gamma.shape[-1])
    z = gamma.transpose(0, 2, 1) / np.reshape(columns * rows, (-1, 1, 1))
    for _ in range(6):
        x = gamma @ z
        z = 0.25 * z @ (13 * identity - x @ (15 * identity - x @ (7 * identity - x)))
    return z


def closed_segments(t, n, m, refresh="immediate", start=0):
    """The segments whose landmarks count at position t, oldest first, as (first position, one past the last)."""
    ends = np.cumsum(segment_lengths(n, m))
    begins = ends - segment_lengths(n, m)
    laps = range(max(0, t // n - 2), t // n + 1)
    closed = [(lap * n + a, lap * n + b) for lap in laps for a, b in zip(begins, ends)
              if lap * n + a >= start and lap * n + b <= t + 1]
    return (closed if refresh == "immediate" else closed[:-1])[-m:]


class Landmarks:
    """Those that count at a position, [H, c, d] each, and g of them, [H, c, c]; c = 0: attention is exact."""

    def __init__(self, q, k, n, m, scale, landmarks, refresh, start):
        self.q, self.k, self.n, self.m, self.scale, self.refresh, self.start = q, k, n, m, scale, refresh, start
        self.of_means = landmarks is None
        self.segments = []
        if not self.of_means:
            self.take(*np.float64(landmarks))

    def take(self, q_landmarks, k_landmarks):
        self.q_landmarks, self.k_landmarks = q_landmarks, k_landmarks
        self.g = inverse(softmax(logits(q_landmarks, k_landmarks)), self.scale)

    def move(self, t):
        """Makes them those of position t; returns how many there are."""
        if not self.of_means:
            return self.m
        if self.m >= self.n:
            return 0
        segments = closed_segments(t, self.n, self.m, self.refresh, self.start)
        if segments and segments != self.segments:
            places = [slice(a - self.start, b - self.start) for a, b in segments]
            self.take(*(np.stack([x[:, place].mean(axis=1) for place in places], axis=1) for x in (self.q, self.k)))
        self.segments = segments
        return len(segments)


def exact(frames, n):
    """[T, 3, H, d] -> [T, H, d]"""
    q, k, v = np.float64(frames).transpose(1, 2, 0, 3)
    output = np.empty_like(q)
    for row in range(q.shape[1]):
        window = slice(max(0, row - n + 1), row + 1)
        output[:, row] = attend(q[:, row:row + 1], k[:, window], v[:, window])[:, 0]
    return output.transpose(1, 0, 2)


def nystrom(frames, n, m, scale="matrix", landmarks=None, refresh="immediate", start=0):
    """[T, 3, H, d] -> [T, H, d]"""
    q, k, v = np.float64(frames).transpose(1, 2, 0, 3)
    output = np.empty_like(q)
    known = Landmarks(q, k, n, m, scale, landmarks, refresh, start)
    for row in range(q.shape[1]):
        window = slice(max(0, row - n + 1), row + 1)
        if known.move(start + row):
            beta = softmax(logits(q[:, row:row + 1], known.k_landmarks))
            result = beta @ known.g @ attend(known.q_landmarks, k[:, window], v[:, window])
        else:
            result = attend(q[:, row:row + 1], k[:, window], v[:, window])
        output[:, row] = result[:, 0]
    return output.transpose(1, 0, 2)


def retroactive(frames, n, m=0, scale="matrix", landmarks=None, refresh="immediate", start=0):
    """[T, 3, H, d] -> [T, n, H, d]: row r of output t is for position t - n + 1 + r, zeros where the stream has none.
    m = 0: exact."""
    q, k, v = np.float64(frames).transpose(1, 2, 0, 3)
    heads, n_rows, d = q.shape
    output = np.zeros((n_rows, n, heads, d))
    known = Landmarks(q, k, n, m, scale, landmarks, refresh, start) if m else None
    for row in range(n_rows):
        window = slice(max(0, row - n + 1), row + 1)
        if known is not None and known.move(start + row):
            beta = softmax(logits(q[:, window], known.k_landmarks))
            rows = beta @ known.g @ attend(known.q_landmarks, k[:, window], v[:, window])
        else:
            rows = attend(q[:, window], k[:, window], v[:, window])
        output[row, n - rows.shape[1]:] = rows.transpose(1, 0, 2)
    return output


def batch_nystromformer(q, k, v, m):
    """All n rows of one head as in the Nystromformer paper, q, k and v [n, d]: landmarks are means of segments by place."""
    n, d = q.shape
    place = np.repeat(np.arange(m), segment_lengths(n, m))
    mean = (place == np.arange(m)[:, None]) / np.bincount(place)[:, None]
    q, k = q / d ** 0.25, k / d ** 0.25
    q_landmarks, k_landmarks = mean @ q, mean @ k
    kernel_1 = softmax(q @ k_landmarks.T)
    kernel_2 = softmax(q_landmarks @ k_landmarks.T)
    kernel_3 = softmax(q_landmarks @ k.T)
    z = kernel_2.T / (kernel_2.sum(axis=0).max() * kernel_2.sum(axis=1).max())
    eye = np.eye(m)
    for _ in range(6):
        az = kernel_2 @ z
        z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
    return kernel_1 @ z @ (kernel_3 @ v)
