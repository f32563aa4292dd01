# SPDX-License-Identifier: MIT
"""What is trained with: recordings and their labels, from folders, from the table of collect.py, or as features with labels by frame.

A clip has, for each hop of 10 ms (or each frame of features), its values and what is true there: 1, 0, or UNKNOWN, for every label.
Labels hold where something is heard (sound.active). Where there is nothing but silence, the label `silence` is true if there is one.
"""
import collections
import hashlib
import multiprocessing
import os
import sys

import numpy as np

import augment
import folds
import sound

UNKNOWN = -1
NOTHING = "-"           # a label for what is none of the labels
CACHE_VERSION = b"3"
AUDIO = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64", ".snd", ".voc")

Clip = collections.namedtuple("Clip", "name label source fold is_free variants truths level")
Item = collections.namedtuple("Item", "path name label source fold is_free")  # is_free: a model that learned it may be given away


def fail(text):
    sys.exit(f"train.py: {text}")


# ---- what there is -------------------------------------------------------------------------------

def folder_items(folder):
    """Items of DIR/label/**/*, at any depth below the label; `one+other` is a label for both at once."""
    found, others = [], 0
    for label in sorted(os.listdir(folder)):
        for place, folders, names in os.walk(os.path.join(folder, label), followlinks=True):
            folders.sort()
            for name in sorted(names):
                if name.lower().endswith(AUDIO):
                    path = os.path.join(place, name)
                    found.append(Item(path, os.path.relpath(path, folder), label, os.path.relpath(place, folder), 0, True))
                else:
                    others += 1
    if not found:
        fail(f"{folder} has no recordings; expected {os.path.join(folder, '<label>', '*.wav')} "
             f"(or .flac, .ogg, .mp3 …, in folders of any depth)" + (f"; {others} other files are there" if others else ""))
    return found


def table_items(path, column):
    """Items of a table that collect.py wrote."""
    rows = folds.read_rows(path)
    if column not in rows[0]:
        fail(f"{path} has no column {column}; it has {', '.join(rows[0])}")
    return [Item(row["file"], row["name"], row[column], row["source"], int(row["fold"]), row["bundled"] == "yes") for row in rows]


def items(sources, column):
    found = []
    for source in sources:
        if os.path.isdir(source):
            found += folder_items(source)
        elif source.endswith(".tsv") and os.path.exists(source):
            found += table_items(source, column)
        else:
            fail(f"{source} is neither a folder nor a table of collect.py")
    return found


# ---- one recording -------------------------------------------------------------------------------

def spans_to_flags(spans, n):
    """Whether the middle of each hop lies in one of the spans."""
    middle = (np.arange(n) * sound.HOP + sound.ANALYSIS / 2) / sound.RATE
    flags = np.zeros(n, bool)
    for start, end in spans:
        flags |= (middle >= start) & (middle < end)
    return flags


def analyse(job):
    """(log-mels [hops, 64] float16, flags [hops]: 1 heard, 2 silent, 0 neither) of one variant, from the cache if it is there."""
    path, label, variant, most_s, cache = job
    try:
        about = os.stat(path)
        words = f"{os.path.abspath(path)} {about.st_size} {about.st_mtime_ns} {label in ('speech', 'silence')} {label == 'silence'}"
        key = hashlib.sha256(CACHE_VERSION + f"{words} {variant} {most_s}".encode()).hexdigest()
        kept = os.path.join(cache, key[:2], key + ".npz")
        try:
            with np.load(kept) as file:
                return file["x"], file["flags"]
        except (OSError, ValueError, KeyError, EOFError):
            pass
        x, flags = analyse_file(path, label, variant, most_s, np.random.default_rng(int(key[:12], 16)))
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        part = f"{kept}.{os.getpid()}.npz"
        np.savez(part, x=x, flags=flags)
        os.replace(part, kept)
        return x, flags
    except (ValueError, OSError) as error:
        return str(error) if path in str(error) else f"{path}: {error}"


def analyse_file(path, label, variant, most_s, rng):
    x = sound.read(path)
    if len(x) > most_s * sound.RATE:
        at = np.random.default_rng(len(x)).integers(len(x) - int(most_s * sound.RATE))
        x = x[at:at + int(most_s * sound.RATE)]
    if variant and label != "silence":
        x = augment.speed(x, rng)
    heard = [(0, len(x) / sound.RATE)] if label == "silence" else sound.active(x, label)
    silent = [] if label == "silence" else sound.silent(x)
    if variant and label != "silence":
        x = augment.place_elsewhere(x, rng)
    mels = sound.log_mels(x).astype(np.float16)
    if len(mels) < 10:
        raise ValueError(f"{path}: it is shorter than a tenth of a second")
    flags = spans_to_flags(heard, len(mels)).astype(np.int8)
    flags[spans_to_flags(silent, len(mels)) & (flags == 0)] = 2
    return mels, flags


def truth_of(flags, label, labels):
    """int8 [hops, labels]"""
    truth = np.full((len(flags), len(labels)), UNKNOWN, np.int8)
    truth[flags == 1] = [name in label.split("+") for name in labels]
    if "silence" in labels:
        truth[flags == 2] = [name == "silence" for name in labels]
    return truth


def level_of(x, flags):
    """dB of the heard mels, on a scale on which digital full scale is near 0."""
    lin = np.exp(x[flags == 1].astype(np.float32)) - sound.LOG_OFFSET
    return 10 * np.log10((np.maximum(lin, 0) ** 2).sum(1).mean() + 1e-9) - 51 if len(lin) else -120.0


def load(found, labels, variants, most_s, cache, jobs, progress):
    """Clips of the items, each once as it is and in so many variants; a file that cannot be read is named and left out."""
    work = [(item.path, item.label, v, most_s, cache) for item in found for v in range(variants(item) + 1)]
    done, results = 0, []
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for result in pool.imap(analyse, work, chunksize=4):
            results.append(result)
            done += 1
            progress(done, len(work))
    clips, at, bad = [], 0, []
    for item in found:
        n = variants(item) + 1
        mine, at = results[at:at + n], at + n
        if isinstance(mine[0], str):
            bad.append(mine[0])
            continue
        mine = [pair for pair in mine if not isinstance(pair, str)]
        clips.append(Clip(item.name, item.label, item.source, item.fold, item.is_free, [x for x, _ in mine],
                          [truth_of(flags, item.label, labels) for _, flags in mine], level_of(*mine[0])))
    for problem in bad:
        print(f"left out: {problem}", file=sys.stderr)
    return clips


# ---- features with labels by frame ---------------------------------------------------------------

def feature_names(folder):
    """The names of *.x.npy, below the folder at any depth, without the ending; none if it has no such files."""
    return sorted(os.path.join(place, name)[:-6] for place, _, names in os.walk(folder) for name in names
                  if name.endswith(".x.npy"))


def feature_clips(folder, labels_given):
    """Clips of NAME.x.npy, float [T, D], and NAME.y.npy, whole numbers [T]: 0 nothing known, else the number of a label.

    labels.tsv in the folder may name them, a number and a name a line. A name that begins with val_ is held out."""
    names, names_of = feature_names(folder), {}
    table = os.path.join(folder, "labels.tsv")
    if os.path.exists(table):
        with open(table, encoding="utf-8") as file:
            names_of = {int(number): name for number, name in (line.split() for line in file if line.strip())}
    pairs, width = [], None
    for name in names:
        try:
            x, y = np.load(name + ".x.npy"), np.load(name + ".y.npy")
            if x.ndim != 2 or y.shape != (len(x),) or width not in (None, x.shape[1]):
                raise ValueError(f"x is {list(x.shape)}, y is {list(y.shape)}; expected [T, {width or 'D'}] and [T]")
            if not np.isfinite(x).all():
                raise ValueError("a value of x is not finite")
        except (OSError, ValueError) as error:
            print(f"left out: {name}.x.npy: {error}", file=sys.stderr)
            continue
        width = x.shape[1]
        pairs.append((name, x.astype(np.float32), y.astype(int)))
    if not pairs:
        fail(f"{folder} has no NAME.x.npy with NAME.y.npy that can be read")
    numbers = sorted(set(np.concatenate([np.unique(y) for _, _, y in pairs])) - {0})
    labels = labels_given or [names_of.get(int(number), str(number)) for number in numbers]
    clips = []
    for name, x, y in pairs:
        truth = np.full((len(y), len(labels)), UNKNOWN, np.int8)
        truth[y != 0] = (y[y != 0][:, None] == np.array(numbers)).astype(np.int8)
        base = os.path.basename(name)
        clips.append(Clip(base, "features", base.split("_exp")[0], -1 if base.startswith("val_") else 0, True, [x], [truth], 0.0))
    return clips, labels, width
