# SPDX-License-Identifier: MIT
"""The library's steps against the formulas in float64, at every frame of ten windows or more.

The measure: an error is divided by max|v| of the window; the worst and the 99.9th percentile of a run are at most 4 times those of
the library's own float32 batch form on the same frames, or 1e-5, whichever is larger. `attention.py large` checks the one shape whose
reference takes minutes at every combination of heads, width, logits and landmarks.
"""
import os
import sys

import numpy as np

import library
import reference

WINDOWS, LEAST_FRAMES = 10, 2400    # the worst of a few hundred frames is a matter of luck, in the batch form too
FLOOR = 1e-5
SHAPES = [(8, 8), (12, 4), (120, 16), (120, 7), (64, 1)]
LARGE = (512, 32)
COMBINATIONS = [(heads, d, sigma) for heads in (1, 4) for d in (12, 64) for sigma in (0.5, 2, 8)]


def inputs(kind, n, heads, d, sigma):
    """Frames whose logits have the standard deviation sigma, and then what `kind` does to them."""
    rng = np.random.default_rng([n, heads, d, int(10 * sigma)])
    frames = rng.standard_normal((max(WINDOWS * n, LEAST_FRAMES if n <= 50 else 0), 3, heads, d))
    frames[:, :2] *= np.sqrt(sigma)
    if kind == "outliers":
        frames[rng.integers(0, len(frames), len(frames) // 20)] *= 30
    elif kind == "repeats":
        frames[n:] = frames[np.arange(n, len(frames)) // 5 * 5]
    elif kind == "constant":
        frames[2 * n:6 * n] = frames[2 * n]
    elif kind == "zeros":
        frames[n // 2:3 * n] = 0
        frames[7 * n:8 * n, :2] = 0
    return frames.astype(np.float32)


def fixed_landmarks(n, m, heads, d, sigma):
    """float32 [2, H, m, d], in the units of q and k."""
    rng = np.random.default_rng([1, n, m, heads, d])
    return (rng.standard_normal((2, heads, m, d)) * np.sqrt(sigma)).astype(np.float32)


def relative(outputs, expected, frames, n):
    """The worst error of each frame over max|v| of its window."""
    errors = np.abs(outputs - expected).max(axis=(1, 2))
    largest = np.abs(np.float64(frames[:, 2])).max(axis=(1, 2))
    largest = np.array([largest[max(0, t - n + 1):t + 1].max() for t in range(len(frames))])
    return np.where(errors == 0, 0.0, errors / np.where(largest == 0, 1e-300, largest))


def identity_instants(n_frames, n, m):
    """Positions at which the newest row of the batch form on the window is the definition's answer, for m < n."""
    ends = np.cumsum(reference.segment_lengths(n, m)) if n % m == 0 else np.array([n])
    return [lap * n + end - 1 for lap in range(n_frames // n) for end in ends if lap * n + end >= n]


def identity_error(outputs, frames, n, m):
    """Against batch Nystromformer on the window, relative to max|v| of the window."""
    worst = 0.0
    for t in identity_instants(len(frames), n, m):
        q, k, v = np.float64(frames[t - n + 1:t + 1]).transpose(1, 2, 0, 3)
        rows = np.stack([reference.batch_nystromformer(q[h], k[h], v[h], m)[-1] for h in range(q.shape[0])])
        worst = max(worst, np.abs(outputs[t] - rows).max() / max(np.abs(v).max(), 1e-300))
    return worst


class Tap:
    def __init__(self):
        self.count = 0

    def result(self, passed, text):
        self.count += 1
        print(f"{'ok' if passed else 'not ok'} {self.count} - {text}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)


def check(tap, lib, n, m, heads, d, sigma, kind="noise", policy="means", scale="matrix"):
    frames = inputs(kind, n, heads, d, sigma)
    fixed = fixed_landmarks(n, m, heads, d, sigma) if policy == "fixed" else None
    attention = library.Attention(lib, heads, d, n, m, scale, fixed)
    outputs, batch = attention.run(frames), attention.batch(frames)
    attention.close()
    expected = reference.nystrom(frames, n, m, scale, fixed) if m else reference.exact(frames, n)
    step_errors, batch_errors = relative(outputs, expected, frames, n), relative(batch, expected, frames, n)
    name = f"n={n} m={m} H={heads} d={d} sigma={sigma} {kind}" + (f" {policy} {scale}" if m else " exact")
    worst, allowed = step_errors.max(), max(FLOOR, 4 * batch_errors.max())
    high, high_allowed = np.quantile(step_errors, 0.999), max(FLOOR, 4 * np.quantile(batch_errors, 0.999))
    tap.note(f"{name}: worst {worst:.1e} of {allowed:.1e}, 99.9 % {high:.1e} of {high_allowed:.1e}")
    tap.result(np.isfinite(outputs).all() and worst <= allowed and high <= high_allowed, f"{name}: no worse than recomputing")
    if m and m < n and policy == "means" and scale == "matrix":
        own, theirs = identity_error(outputs, frames, n, m), identity_error(expected, frames, n, m)
        tap.note(f"{name}: against batch Nystromformer, library {own:.1e}, reference {theirs:.1e}")
        tap.result(own <= allowed and theirs <= FLOOR, f"{name}: equals batch Nystromformer on full windows")


def check_all(tap, lib):
    for heads, d, sigma in COMBINATIONS:
        for n, m in SHAPES:
            for policy in ("means", "fixed"):
                check(tap, lib, n, m, heads, d, sigma, policy=policy)
        check(tap, lib, 12, 0, heads, d, sigma)
        check(tap, lib, 120, 0, heads, d, sigma)
    for kind in ("outliers", "repeats", "constant", "zeros"):
        for sigma in (0.1, 2, 30):
            check(tap, lib, 12, 4, 2, 16, sigma, kind)
            check(tap, lib, 120, 16, 2, 16, sigma, kind)
            check(tap, lib, 50, 7, 2, 16, sigma, kind, "fixed", "heads")
            check(tap, lib, 50, 0, 2, 16, sigma, kind)
    for sigma in (0.5, 8):
        check(tap, lib, 120, 16, 4, 12, sigma, policy="means", scale="heads")
        check(tap, lib, 9, 20, 4, 12, sigma, policy="fixed", scale="heads")
    n, m = LARGE
    check(tap, lib, n, m, 1, 64, 2)
    check(tap, lib, n, m, 4, 12, 0.5)
    check(tap, lib, n, m, 1, 12, 8, policy="fixed")


def main():
    if os.environ.get("ATTN_SANITIZERS") == "yes":
        print("1..0 # SKIP a library with sanitizers cannot be loaded into Python")
        return 0
    lib, tap = library.load(), Tap()
    if sys.argv[1:] == ["large"]:
        for heads, d, sigma in COMBINATIONS:
            for policy in ("means", "fixed"):
                check(tap, lib, *LARGE, heads, d, sigma, policy=policy)
    else:
        check_all(tap, lib)
    print(f"1..{tap.count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
