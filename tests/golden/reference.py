# SPDX-License-Identifier: MIT
"""The formulas of continual attention in float64, recomputed from the frames at every position: slow and plain.

Arrays of frames are [T, 3, H, d]: q, k and v of each head. Sources: Continual Transformers (arXiv 2201.06268), Continual Low-Rank
Scaled Dot-product Attention (arXiv 2412.03214), Nystromformer (arXiv 2102.03902).
"""
import numpy as np


def softmax(logits):
    """Over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attend(q, k, v):
    """q [H, r, d], k and v [H, w, d] -> [H, r, d]"""
    return softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])) @ v


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


def exact(frames, n):
    """[T, 3, H, d] -> [T, H, d]"""
    q, k, v = np.float64(frames).transpose(1, 2, 0, 3)
    output = np.empty_like(q)
    for t in range(q.shape[1]):
        window = slice(max(0, t - n + 1), t + 1)
        output[:, t] = attend(q[:, t:t + 1], k[:, window], v[:, window])[:, 0]
    return output.transpose(1, 0, 2)


def closed_segments(t, n, m):
    """The newest min(m, closed so far) closed segments at position t, oldest first, as slices of positions."""
    ends = np.cumsum(segment_lengths(n, m))
    starts = ends - segment_lengths(n, m)
    laps = range(max(0, t // n - 1), t // n + 1)
    closed = [slice(lap * n + a, lap * n + b) for lap in laps for a, b in zip(starts, ends) if lap * n + b <= t + 1]
    return closed[-m:]


def nystrom(frames, n, m, scale="matrix", landmarks=None):
    """[T, 3, H, d] -> [T, H, d]; landmarks: None for means of segments, or fixed ones [2, H, m, d], q then k."""
    if landmarks is None and m >= n:
        return exact(frames, n)
    q, k, v = np.float64(frames).transpose(1, 2, 0, 3)
    root = np.sqrt(q.shape[-1])
    output = np.empty_like(q)
    known = None
    for t in range(q.shape[1]):
        window = slice(max(0, t - n + 1), t + 1)
        closed = closed_segments(t, n, m) if landmarks is None else "fixed"
        if not closed:
            output[:, t] = attend(q[:, t:t + 1], k[:, window], v[:, window])[:, 0]
            continue
        if closed != known:
            known = closed
            if landmarks is None:
                ql = np.stack([q[:, s].mean(axis=1) for s in closed], axis=1)
                kl = np.stack([k[:, s].mean(axis=1) for s in closed], axis=1)
            else:
                ql, kl = np.float64(landmarks)
            g = inverse(softmax(ql @ kl.transpose(0, 2, 1) / root), scale)
        beta = softmax(q[:, t:t + 1] @ kl.transpose(0, 2, 1) / root)
        delta = softmax(ql @ k[:, window].transpose(0, 2, 1) / root)
        output[:, t] = (beta @ g @ (delta @ v[:, window]))[:, 0]
    return output.transpose(1, 0, 2)


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
