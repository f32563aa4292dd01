# SPDX-License-Identifier: MIT
"""What a step of training hears: cuts of recordings, one after the other, mixed, louder and softer, with the truth of each frame.

Labels are drawn equally often, and within a label sources by the root of what they have, so that a large one does not drown the
others. Sequences change their label quickly, so that the model learns to answer a change, and start cold, so that it is right while
its window fills.
"""
import collections

import numpy as np
import torch

import augment
import dataset
import judge
import sound

SETTLE_S = 0.25        # after a change of label nothing is true or false for so long
QUIETEST_DB = -50      # nothing that is heard is made softer, so that it is not a quiet room
BACKGROUNDS = {        # beneath a label: which others, from which to which distance in dB
    "speech": (("noise", -5, 25), ("music", -2, 25), ("silence", 0, 0)),
    "music": (("noise", 5, 30),),
    "noise": (("noise", -10, 25),),
    "tone": (("noise", 0, 25), ("music", 3, 20)),
    "music+speech": (("noise", 10, 30),),
}
AUDIBLE_DB = {"music": 10, "speech": 10, "tone": 15, "noise": -100}  # a background no further below is true as well
GONE_DB = 20           # further below it counts for nothing


class Drawing:
    """Draws clips: label, then source, then recording."""

    def __init__(self, clips, rng):
        self.rng, self.groups = rng, {}
        by_label = collections.defaultdict(lambda: collections.defaultdict(list))
        for clip in clips:
            heard = (clip.truths[0] != dataset.UNKNOWN).any(1).sum()
            if heard:
                by_label[clip.label][clip.source].append((clip, heard))
        for label, sources in by_label.items():
            weights = np.array([sum(heard for _, heard in found) for found in sources.values()], float) ** 0.5
            inner = [([clip for clip, _ in found], np.cumsum([min(heard, 1000) for _, heard in found], dtype=float))
                     for found in sources.values()]
            self.groups[label] = (np.cumsum(weights), inner)
        self.labels = list(self.groups)

    def clip(self, label):
        weights, inner = self.groups[label]
        clips, sums = inner[self.pick(weights)]
        return clips[self.pick(sums)]

    def pick(self, sums):
        return min(int(np.searchsorted(sums, self.rng.random() * sums[-1])), len(sums) - 1)

    def label(self, but=None):
        choice = [label for label in self.labels if label != but] or self.labels
        return choice[self.rng.integers(len(choice))]


def cut(clip, n, rng):
    """(values, truth) of n steps of a random variant; repeated where the clip is shorter, if something is heard in it."""
    v = rng.integers(len(clip.variants))
    x, truth = clip.variants[v], clip.truths[v]
    if len(x) <= n:
        return np.asarray(x, np.float32), truth
    at = rng.integers(len(x) - n + 1)
    if not (truth[at:at + n] != dataset.UNKNOWN).any():  # nothing known there: go where something is
        known = np.flatnonzero((truth != dataset.UNKNOWN).any(1))
        at = int(np.clip(known[rng.integers(len(known))] - rng.integers(n), 0, len(x) - n))
    return np.asarray(x[at:at + n], np.float32), truth[at:at + n]


def gain_of(clip, label, rng, args):
    if label == "silence":
        return rng.uniform(-3, 0)
    gain = rng.uniform(-args.gain, args.gain)
    return max(gain, min(0, QUIETEST_DB - clip.level))


def beneath(mels, truth, clip, label, gain, drawing, labels, rng):
    """The cut with another sound under it, and what is true then."""
    choices = [row for row in BACKGROUNDS.get(label, ((dataset.NOTHING, 5, 25),)) if row[0] in drawing.groups]
    if not choices:
        return mels, truth
    other, least, most = choices[rng.integers(len(choices))]
    under = drawing.clip(other)
    x, t = cut(under, len(mels), rng)
    distance = rng.uniform(least, most)
    lin = np.maximum(np.exp(x) - sound.LOG_OFFSET, 0) * 10 ** ((clip.level + gain - distance - under.level) / 20)
    repeats = -(-len(mels) // len(lin))
    lin, t = np.tile(lin, (repeats, 1))[:len(mels)], np.tile(t, (repeats, 1))[:len(mels)]
    result = truth.copy()
    for i, name in enumerate(labels):
        if name in label.split("+") or name == "silence":
            continue
        there = t[:, i] == 1
        if distance <= AUDIBLE_DB.get(name, -100):
            result[there, i] = 1
        elif distance < GONE_DB:
            result[there, i] = dataset.UNKNOWN
    result[(truth == dataset.UNKNOWN).all(1)] = dataset.UNKNOWN  # breaks of the sound above: nobody knows
    return augment.mixed(mels, lin.astype(np.float32)), result


def audio_sequence(drawing, c, args, rng):
    """(log-mels [hops, 64], truth [hops, labels]) for one sequence of frames."""
    hops, stride = c["frontend"]["hops"], c["frontend"]["stride"]
    total, size, label = stride * (args.length - 1) + hops, 0, None
    parts, truths = [], []
    while size < total:
        label = drawing.label(label)
        clip = drawing.clip(label)
        x, truth = cut(clip, min(total - size, int(100 * rng.uniform(0.8, 6)) + hops), rng)
        gain = gain_of(clip, label, rng, args)
        mels = augment.tilted(np.maximum(np.exp(x) - sound.LOG_OFFSET, 0), rng, gain, args.tilt if label != "silence" else 2)
        truth = truth.copy()
        if rng.random() < args.mix and label != "silence":
            mels, truth = beneath(mels, truth, clip, label, gain, drawing, c["labels"], rng)
        if size:
            truth[:int(100 * SETTLE_S)] = dataset.UNKNOWN
        mels, truth = mels[:total - size], truth[:total - size]
        parts.append(augment.holes(np.log(mels + sound.LOG_OFFSET), rng))
        truths.append(truth)
        size += len(mels)
    return np.concatenate(parts), np.concatenate(truths)


def make_audio(clips, c, args):
    rng = np.random.default_rng(args.seed)
    drawing = Drawing(clips, rng)

    def draw(step):
        frames, truths = [], []
        for _ in range(args.batch):
            x, truth = audio_sequence(drawing, c, args, rng)
            frames.append(judge.frames_of(x, c)[:args.length])
            truths.append(judge.truth_of_frames(truth, c)[:args.length])
        return torch.from_numpy(np.stack(frames).astype(np.float32)), torch.from_numpy(np.stack(truths))
    return draw


def make_features(clips, c, args):
    """Cuts of features that end where a label is true that was drawn, each label as often as the others."""
    rng = np.random.default_rng(args.seed)
    where = [[(i, np.flatnonzero(clip.truths[0][:, label] == 1)) for i, clip in enumerate(clips)]
             for label in range(len(c["labels"]))]
    where = [[(i, at) for i, at in found if len(at)] for found in where]
    where = [found for found in where if found]

    def one():
        found = where[rng.integers(len(where))]
        i, at = found[rng.integers(len(found))]
        x, truth = clips[i].variants[0], clips[i].truths[0]
        end = int(np.clip(at[rng.integers(len(at))] + rng.integers(1, args.length + 1), 1, len(x)))
        first = max(0, end - args.length)
        x, truth = x[first:end], truth[first:end]
        short = args.length - len(x)
        x = np.pad(x * rng.uniform(0.9, 1.1), ((0, short), (0, 0)), mode="edge")
        return x, np.pad(truth, ((0, short), (0, 0)), constant_values=dataset.UNKNOWN)

    def draw(step):
        frames, truths = zip(*(one() for _ in range(args.batch)))
        return torch.from_numpy(np.stack(frames).astype(np.float32)), torch.from_numpy(np.stack(truths))
    return draw


def make(clips, c, args):
    """A function from the number of a step to (frames [B, T, input_dim], truth [B, T, labels])."""
    return make_audio(clips, c, args) if c.get("frontend") else make_features(clips, c, args)
