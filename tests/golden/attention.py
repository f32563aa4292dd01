# SPDX-License-Identifier: MIT
"""The library's steps against the formulas in float64, at every frame of ten windows or more, for every option and with the kernels of
every instruction set that this machine has.

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
ALARM = 1e-4                        # attn_verify: a damaged state
SHAPES = [(8, 8), (12, 4), (120, 16), (120, 7), (64, 1)]
LARGE = (512, 32)
COMBINATIONS = [(heads, d, sigma) for heads in (1, 4) for d in (12, 64) for sigma in (0.5, 2, 8)]


def inputs(kind, n, heads, d, sigma):
    """Frames whose logits have the standard deviation sigma, and then what `kind` does to them."""
    rng = np.random.default_rng([n, heads, d, int(10 * sigma)])
    frames = rng.standard_normal((max(WINDOWS * n, LEAST_FRAMES if n <= 50 else 0), 3, heads, d))
    frames[:, :2] *= np.sqrt(sigma)
    if kind == "outliers":
        frames[rng.integers(0, len(frames), len(frames) // 20), 1] *= 30
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
    errors = np.abs(outputs - expected).reshape(len(frames), -1).max(axis=1)
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


def same_bits(a, b):
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


class Tap:
    def __init__(self):
        self.count = 0

    def result(self, passed, text):
        self.count += 1
        print(f"{'ok' if passed else 'not ok'} {self.count} - {text}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)


class Case:
    """A raw attention and its frames."""

    def __init__(self, lib, n, m, heads, d, sigma, kind="noise", policy="means", scale="matrix", refresh="immediate",
                 retroactive=False, n_frames=None):
        self.lib, self.n, self.m, self.heads, self.d = lib, n, m, heads, d
        self.kind, self.scale, self.refresh, self.retroactive = kind, scale, refresh, retroactive
        self.frames = inputs(kind, n, heads, d, sigma)[:n_frames]
        self.fixed = fixed_landmarks(n, m, heads, d, sigma) if policy == "fixed" else None
        self.name = f"n={n} m={m} H={heads} d={d} sigma={sigma} {kind} " + (f"{policy} {scale} {refresh}" if m else "exact")
        if retroactive:
            self.name += " retroactive"

    def open(self, variant):
        return library.Attention(self.lib, self.heads, self.d, self.n, self.m, self.scale, self.fixed, self.refresh,
                                 self.retroactive, variant)

    def expected(self, start=0):
        """The formulas for a stream that begins at `start`."""
        frames, n, m = self.frames[start:], self.n, self.m
        if self.retroactive:
            return reference.retroactive(frames, n, m, self.scale, self.fixed, self.refresh, start)
        if m == 0:
            return reference.exact(frames, n)
        return reference.nystrom(frames, n, m, self.scale, self.fixed, self.refresh, start)


def compare(tap, name, errors, batch_errors):
    """Rule 1; returns the worst error that is allowed. The batch errors are those with any variant's kernels: their worst is a matter
    of luck, too."""
    worst, allowed = errors.max(), max(FLOOR, 4 * batch_errors.max())
    high, high_allowed = np.quantile(errors, 0.999), max(FLOOR, 4 * np.quantile(batch_errors, 0.999))
    tap.note(f"{name}: worst {worst:.1e} of {allowed:.1e}, 99.9 % {high:.1e} of {high_allowed:.1e}")
    tap.result(worst <= allowed and high <= high_allowed, f"{name}: no worse than recomputing")
    return allowed


def run(case, variant):
    """The outputs of the steps, those of the batch form, and what attn_verify says in the end."""
    attention = case.open(variant)
    outputs, batch, difference = attention.run(case.frames), attention.batch(case.frames), attention.verify()
    attention.close()
    return outputs, batch, difference


def check(tap, lib, *shape, **options):
    case = Case(lib, *shape, **options)
    expected, results = case.expected(), {variant: run(case, variant) for variant in library.variants(lib)}
    batch_errors = np.concatenate([relative(batch, expected, case.frames, case.n) for _, batch, _ in results.values()])
    for variant, (outputs, _, difference) in results.items():
        name = f"{case.name} {variant}"
        allowed = compare(tap, name, relative(outputs, expected, case.frames, case.n), batch_errors)
        tap.result(difference <= max(ALARM, allowed), f"{name}: attn_verify says {difference:.1e}")
        if case.m and case.m < case.n and case.fixed is None and case.scale == "matrix" and case.refresh == "immediate":
            newest = outputs[:, -1] if case.retroactive else outputs
            error = identity_error(newest, case.frames, case.n, case.m)
            tap.result(error <= allowed, f"{name}: {error:.1e} from batch Nystromformer on full windows")


def check_replays(tap, lib, *shape, **options):
    """A stream that begins somewhere is right from its first frame on, and has the bits of the whole stream after R of them."""
    case = Case(lib, *shape, **options)
    for variant in library.variants(lib):
        attention = case.open(variant)
        whole, batch_errors = attention.run(case.frames), relative(attention.batch(case.frames), case.expected(), case.frames, case.n)
        replay = attention.info.replay_frames
        worst, same = 0.0, True
        for start in (1, case.n - 1, 2 * case.n + case.n // 2, 3 * case.n + 1):
            attention.start(start)
            outputs = attention.run(case.frames[start:])
            worst = max(worst, relative(outputs, case.expected(start), case.frames[start:], case.n).max())
            same = same and same_bits(outputs[replay - 1:], whole[start + replay - 1:])
        attention.close()
        name = f"{case.name} {variant}"
        tap.result(worst <= max(FLOOR, 4 * batch_errors.max()), f"{name}: {worst:.1e} from any position on")
        tap.result(same, f"{name}: the same bits {replay} frames later")


def check_moves(tap, lib, *shape, **options):
    """Saved and loaded between any two frames, or in a batch with others, a stream has the bits that it has alone."""
    case = Case(lib, *shape, **options)
    streams = np.stack([np.roll(case.frames, 7 * s, axis=0) for s in range(5)])
    for variant in library.variants(lib):
        attention = case.open(variant)
        alone = []
        for frames in streams:
            attention.start(0)
            alone.append(attention.run(frames))
        together = attention.run_together(streams)
        attention.start(0)
        moved = []
        for t in range(len(case.frames)):
            moved.append(attention.run(case.frames[t:t + 1])[0])
            attention.move()
        attention.close()
        tap.result(same_bits(np.stack(moved), alone[0]), f"{case.name} {variant}: the same bits from memory to memory")
        tap.result(same_bits(together, np.stack(alone)), f"{case.name} {variant}: the same bits in a batch")


def check_shapes(tap, lib):
    for i, (n, m) in enumerate(SHAPES):
        for j, policy in enumerate(("means", "fixed")):
            for k, refresh in enumerate(library.REFRESHES):
                place = 7 * i + 3 * j + 5 * k
                for heads, d, sigma in (COMBINATIONS[place % 12], COMBINATIONS[(place + 6) % 12]):
                    check(tap, lib, n, m, heads, d, sigma, policy=policy, refresh=refresh)
    for heads, d, sigma in COMBINATIONS[::3]:
        check(tap, lib, 12, 0, heads, d, sigma)
        check(tap, lib, 120, 0, heads, d, sigma)
    for sigma in (0.5, 8):
        check(tap, lib, 120, 16, 4, 12, sigma, scale="heads")
        check(tap, lib, 50, 11, 4, 12, sigma, scale="heads", refresh="spread")
        check(tap, lib, 9, 20, 4, 12, sigma, policy="fixed", scale="heads")


def check_kinds(tap, lib):
    for kind in ("outliers", "repeats", "constant", "zeros"):
        for sigma in (0.1, 2, 30):
            check(tap, lib, 12, 4, 2, 16, sigma, kind)
            check(tap, lib, 50, 8, 2, 16, sigma, kind, refresh="spread")
            check(tap, lib, 50, 7, 2, 16, sigma, kind, "fixed", "heads")
            check(tap, lib, 50, 0, 2, 16, sigma, kind)
        check(tap, lib, 120, 16, 2, 16, 2, kind, refresh="spread")
        check(tap, lib, 120, 16, 2, 16, 30, kind)
        check(tap, lib, 50, 8, 2, 16, 30, kind, "fixed", refresh="spread")


def check_retroactive(tap, lib):
    for sigma in (0.1, 2, 30):
        for kind in ("noise", "outliers", "constant", "zeros"):
            check(tap, lib, 13, 0, 2, 12, sigma, kind, retroactive=True, n_frames=260)
            check(tap, lib, 12, 4, 2, 16, sigma, kind, retroactive=True, n_frames=240)
            check(tap, lib, 13, 5, 2, 12, sigma, kind, refresh="spread", retroactive=True, n_frames=260)
            check(tap, lib, 12, 4, 2, 16, sigma, kind, "fixed", "heads", retroactive=True, n_frames=240)
    check(tap, lib, 40, 8, 1, 64, 2, retroactive=True, n_frames=400)
    check(tap, lib, 40, 9, 4, 12, 8, scale="heads", refresh="spread", retroactive=True, n_frames=400)
    check(tap, lib, 8, 8, 1, 12, 2, retroactive=True, n_frames=100)
    check(tap, lib, 8, 12, 1, 12, 2, policy="fixed", refresh="spread", retroactive=True, n_frames=100)


def check_journeys(tap, lib):
    for journey in (check_replays, check_moves):
        for retroactive in (False, True):
            for refresh in library.REFRESHES:
                for n, m in ((12, 4), (13, 5), (26, 1)):
                    journey(tap, lib, n, m, 2, 12, 2, refresh=refresh, retroactive=retroactive, n_frames=6 * n)
                journey(tap, lib, 13, 5, 2, 12, 2, policy="fixed", refresh=refresh, retroactive=retroactive, n_frames=78)
            journey(tap, lib, 13, 0, 2, 12, 2, retroactive=retroactive, n_frames=78)


def check_references(tap):
    """Two ways to write the same formulas agree: as defined for streams, and as Nystromformer defines them for batches."""
    for n, m in ((12, 4), (13, 5), (120, 16)):
        frames = inputs("noise", n, 2, 16, 2)
        error = identity_error(reference.nystrom(frames, n, m), frames, n, m)
        tap.result(error <= FLOOR, f"n={n} m={m}: the references are {error:.1e} apart")


def main():
    if os.environ.get("ATTN_SANITIZERS") == "yes":
        print("1..0 # SKIP a library with sanitizers cannot be loaded into Python")
        return 0
    lib, tap = library.load(), Tap()
    n, m = LARGE
    if sys.argv[1:] == ["large"]:
        for heads, d, sigma in COMBINATIONS:
            for policy in ("means", "fixed"):
                for refresh in library.REFRESHES:
                    check(tap, lib, n, m, heads, d, sigma, policy=policy, refresh=refresh)
    else:
        check_references(tap)
        check_shapes(tap, lib)
        check_kinds(tap, lib)
        check_retroactive(tap, lib)
        check_journeys(tap, lib)
        check(tap, lib, n, m, 1, 12, 8, policy="fixed", n_frames=1200)
        check(tap, lib, n, m, 1, 12, 0.5, refresh="spread", n_frames=1200)
    print(f"1..{tap.count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
