# SPDX-License-Identifier: MIT
"""How a model does on recordings that it has not learned from: by second, by clip and by label; and the thresholds of its events.

Each clip is a stream of its own that starts cold. A second counts where exactly one label is true in most of its frames that are
labelled, at least three tenths of it; it is right when the mean of its frames' scores is highest for that label.
"""
import numpy as np
import torch

import dataset
import sound

LEAST_S = 0.3  # of a second that has to be labelled
MOST_SOURCES = 60  # of more, only the report has each


def frame_rate(c):
    """Frames a second; features have none, and are judged frame by frame."""
    return sound.RATE / sound.HOP / c["frontend"]["stride"] if c.get("frontend") else 1.0


def frames_of(x, c):
    """[T, input_dim] of one clip: hops laid side by side; features as they are."""
    if not c.get("frontend"):
        return np.asarray(x, np.float32)
    hops, stride = c["frontend"]["hops"], c["frontend"]["stride"]
    if len(x) < hops:
        return np.zeros((0, c["input_dim"]), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(np.asarray(x, np.float32), hops, axis=0)[::stride]
    return view.transpose(0, 2, 1).reshape(len(view), -1)


def truth_of_frames(truth, c):
    """[T, labels]: what is true at the newest hop of each frame."""
    if not c.get("frontend"):
        return truth
    hops, stride = c["frontend"]["hops"], c["frontend"]["stride"]
    return truth[hops - 1::stride]


@torch.no_grad()
def run(model, clips, c, batch=16, longest=1500):
    """Logits [T, labels] of each clip's first variant, from a cold start."""
    model.eval()
    order = sorted(range(len(clips)), key=lambda i: len(clips[i].variants[0]))
    results = [None] * len(clips)
    for first in range(0, len(order), batch):
        chosen = order[first:first + batch]
        frames = [frames_of(clips[i].variants[0], c)[:longest] for i in chosen]
        T = max(map(len, frames))
        if T == 0:
            for i in chosen:
                results[i] = np.zeros((0, len(c["labels"])), np.float32)
            continue
        stacked = np.zeros((len(chosen), T, c["input_dim"]), np.float32)
        for row, x in enumerate(frames):
            stacked[row, :len(x)] = x
        logits = model(torch.from_numpy(stacked)).numpy()
        for row, (i, x) in enumerate(zip(chosen, frames)):
            results[i] = logits[row, :len(x)]
    return results


def probabilities(logits, c):
    if c["head"] == "sigmoid":
        return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_second(logits, truth, c):
    """(mean scores [S, labels], truth [S, labels] with UNKNOWN) of a clip's seconds; of features, of its frames."""
    scores = probabilities(logits, c)
    truth = truth_of_frames(truth, c)[:len(scores)]
    if not c.get("frontend"):
        return scores, truth.astype(float)
    hops, stride = c["frontend"]["hops"], c["frontend"]["stride"]
    ends = ((np.arange(len(scores)) * stride + hops - 1) * sound.HOP + sound.ANALYSIS - 1) // sound.RATE
    means, true, least = [], [], LEAST_S * frame_rate(c)
    for second in np.unique(ends):
        chosen = ends == second
        known = truth[chosen]
        known = known[(known != dataset.UNKNOWN).any(1)]
        if len(known) >= least:
            means.append(scores[chosen].mean(0))
            unknown = (known == dataset.UNKNOWN).mean(0) > 0.5
            true.append(np.where(unknown, dataset.UNKNOWN, np.where(known == 1, 1, 0).mean(0) > 0.5))
    size = len(c["labels"])
    return np.array(means).reshape(-1, size), np.array(true).reshape(-1, size)


def area(scores, truth):
    """Area under the curve of true against false positives; NaN where there are only such or such."""
    positive, negative = int((truth == 1).sum()), int((truth == 0).sum())
    if not positive or not negative:
        return float("nan")
    known = truth >= 0
    scores, truth = scores[known], truth[known]
    order = np.argsort(scores, kind="mergesort")
    _, inverse, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return (ranks[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * negative)


def confusion(scores, truth, shift=0.0):
    """[labels, labels] counts of the seconds with one true label: rows truth, columns heard."""
    size = truth.shape[1]
    single = (truth == 1).sum(1) == 1
    counts = np.zeros((size, size), int)
    np.add.at(counts, (truth[single].argmax(1), (logit(scores[single]) + shift).argmax(1)), 1)
    return counts


def logit(p):
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def balanced(counts):
    """Mean of the labels' shares of right seconds, of those labels that occur."""
    occurs = counts.sum(1) > 0
    return float((np.diag(counts)[occurs] / counts.sum(1)[occurs]).mean()) if occurs.any() else float("nan")


def by_source(pairs, clips, names):
    """{label: {source: [right seconds, seconds]}}"""
    found = {}
    for (scores, truth), clip in zip(pairs, clips):
        counts = confusion(scores, truth)
        for i, row in enumerate(counts):
            if row.sum():
                place = found.setdefault(names[i], {}).setdefault(clip.source, [0, 0])
                place[0] += int(row[i])
                place[1] += int(row.sum())
    return found


def report(logits, clips, c):
    """Everything that is said about a model on these clips."""
    pairs = [by_second(x, clip.truths[0], c) for x, clip in zip(logits, clips)]
    scores, truth = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
    counts = confusion(scores, truth)
    names = c["labels"]
    right, clips_counted, delays = 0, 0, []
    for x, clip in zip(logits, clips):
        parts = [names.index(name) for name in clip.label.split("+") if name in names]
        if len(parts) == 1 and len(x):
            p = probabilities(x, c)
            clips_counted += 1
            right += int(p.mean(0).argmax() == parts[0])
            heard = truth_of_frames(clip.truths[0], c)[:len(x), parts[0]] == 1
            first, hits = np.flatnonzero(heard), np.flatnonzero(heard & (p.argmax(1) == parts[0]))
            if len(first):
                delays.append(((hits[0] if len(hits) else len(x)) - first[0]) / frame_rate(c))
    return {"seconds": int(counts.sum()), "accuracy": round(float(np.trace(counts) / max(1, counts.sum())), 4),
            "balanced": round(balanced(counts), 4),
            "auc": {name: round(float(area(scores[:, i], truth[:, i])), 4) for i, name in enumerate(names)},
            "sources": by_source(pairs, clips, names),
            "clips": clips_counted, "clip_accuracy": round(right / clips_counted, 4) if clips_counted else None,
            "first_right_s": round(float(np.median(delays)), 2) if delays else None, "confusion": counts.tolist()}


def merged_sources(tables):
    found = {}
    for table in tables:
        for label, sources in table.items():
            for source, (right, seconds) in sources.items():
                place = found.setdefault(label, {}).setdefault(source, [0, 0])
                place[0] += right
                place[1] += seconds
    return found


def merge(results):
    """One report of several, from their counts; areas are means over the folds."""
    counts = sum(np.array(result["confusion"]) for result in results)
    mean = lambda key: float(np.mean([result[key] for result in results if result[key] is not None] or [float("nan")]))
    clips = sum(result["clips"] for result in results)
    right = sum((result["clip_accuracy"] or 0) * result["clips"] for result in results)
    return {"seconds": int(counts.sum()), "accuracy": round(float(np.trace(counts) / max(1, counts.sum())), 4),
            "balanced": round(balanced(counts), 4),
            "auc": {name: round(float(np.nanmean([result["auc"][name] for result in results])), 4) for name in results[0]["auc"]},
            "sources": merged_sources([result["sources"] for result in results]),
            "clips": clips, "clip_accuracy": round(right / clips, 4) if clips else None,
            "first_right_s": round(mean("first_right_s"), 2), "confusion": counts.tolist()}


def show(result, labels, unit="seconds"):
    """The report, as text."""
    lines = [f"held out: {result['seconds']} {unit}, {100 * result['accuracy']:.1f} % right; mean of the labels "
             f"{100 * result['balanced']:.1f} %"]
    if result["clip_accuracy"] is not None and unit == "seconds":
        lines.append(f"of {result['clips']} recordings {100 * result['clip_accuracy']:.1f} % are right by the mean of their scores; "
                     f"first right after {result['first_right_s']} s (median)")
    width = max(8, max(map(len, labels)) + 2)
    lines += ["", "rows: truth; columns: heard", " " * width + "".join(f"{label:>{width}}" for label in labels)
              + f"{'right':>9}{'AUC':>8}"]
    for label, row in zip(labels, result["confusion"]):
        right = f"{100 * row[labels.index(label)] / sum(row):.1f} %" if sum(row) else "-"
        lines.append(f"{label:<{width}}" + "".join(f"{count:>{width}}" for count in row)
                     + f"{right:>9}{result['auc'][label]:>8.3f}")
    if unit == "seconds" and 1 < sum(map(len, result["sources"].values())) <= MOST_SOURCES:
        lines.append("\nright, by label and source:")
        lines += [f"{label:<{width}}" + ", ".join(f"{source} {100 * right / n:.0f} % of {n} s" for source, (right, n) in
                                                  sorted(sources.items(), key=lambda pair: -pair[1][1]))
                  for label, sources in result["sources"].items()]
    return "\n".join(lines)


# ---- calibration ---------------------------------------------------------------------------------

def shifts(scores, truth):
    """What to add to each label's logit so that the mean of the labels' shares of right seconds is highest.

    Found label by label, a few rounds. Small shifts are preferred: each costs a little, so that few seconds do not decide much.
    """
    size = truth.shape[1]
    best, grid = np.zeros(size), np.arange(-3, 3.01, 0.25)
    value = lambda shift: balanced(confusion(scores, truth, shift)) - 0.002 * np.abs(shift).sum()
    for _ in range(3):
        for i in range(size):
            tried = [best + (step - best[i]) * np.eye(size)[i] for step in grid]
            best = max(tried, key=value)
    return best - best.mean()


def thresholds(scores, truth):
    """(on, off) for each label: on where the shares of right yes and right no are highest in sum, off a logit of 1 below."""
    on, off = [], []
    for i in range(truth.shape[1]):
        known = truth[:, i] >= 0
        yes, no = np.sort(scores[known & (truth[:, i] == 1), i]), np.sort(scores[known & (truth[:, i] == 0), i])
        if len(yes) and len(no):
            grid = np.arange(0.05, 0.951, 0.01)
            right = (1 - np.searchsorted(yes, grid) / len(yes)) + np.searchsorted(no, grid) / len(no)
            chosen = float(np.median(grid[right >= right.max() - 1e-9]))
        else:
            chosen = 0.5
        on.append(round(chosen, 3))
        off.append(round(float(1 / (1 + np.exp(1 - logit(np.array(chosen))))), 3))
    return on, off


def calibrate(logits, clips, c):
    """(shift of each label's bias, on, off), from clips that the model has not learned from."""
    pairs = [by_second(x, clip.truths[0], c) for x, clip in zip(logits, clips)]
    scores, truth = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
    moved = shifts(scores, truth)
    moved_scores = 1 / (1 + np.exp(-(logit(scores) + moved)))
    return moved, *thresholds(moved_scores, truth)
