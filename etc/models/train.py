#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train a model that attnd serves, on sounds of your own: DIR/<label>/…, in any format that libsndfile reads.

A recording may be named .wav or .WAV, .flac, .ogg, .mp3 and so on, at any rate, in folders of any depth below the label's. Names of
labels are yours; `silence` is for quiet, `one+other` for recordings in which both labels are true. Tables of collect.py are taken in
place of folders, and features with labels by frame: DIR/NAME.x.npy, float [T, D], with DIR/NAME.y.npy, whole numbers [T], 0 where
nothing is known.

One recording in six is held out, unless --test or --folds says otherwise. The model is judged by them while it trains, and the best
so far is what is written; Ctrl-C ends the training and writes it, too. A file that cannot be read is named and left out.

examples:
  train.py sounds/ -o mine.safetensors
  train.py sounds/ -o mine.safetensors --folds 5            judge by five folds first, then learn from everything
  train.py train/ --test test/ -o mine.safetensors          judge by the recordings in test/
  train.py more/ --from mine.safetensors -o better.safetensors          go on with a model made here
  train.py test/ --judge mine.safetensors                   no training: how a model made here does
  train.py recordings.tsv sounds/ --fold 3                  judge by fold 3 of a table of collect.py; write nothing
  train.py test/ --judge mine.safetensors --table           accuracy, time and state: exact, and with other landmarks
  attnctl stream -m ./mine.safetensors recording.wav
"""
import argparse
import collections
import json
import math
import os
import sys
import tempfile
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before they load; threads do not help products as small as these
try:
    import numpy as np
    import torch
except ImportError:  # etc/python finds a Python that has both, or says which have not
    finder = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "python")
    os.execv(finder, [finder, "--with", "numpy torch", *sys.argv])
from torch import nn
from torch.nn import functional as F

import dataset
import folds
import judge
import model_file
import sampler
import table
from network import Encoder


def say(text):
    print(text, file=sys.stderr, flush=True)


def progress(what):
    """A function (done, of all) that shows how far it is: on a terminal all the time, elsewhere each fifth."""
    began, shown = time.monotonic(), [0]

    def show(done, total):
        terminal = sys.stderr.isatty()
        if done < total and (time.monotonic() - began < 2 or (not terminal and done * 5 // total == shown[0])):
            return
        shown[0] = done * 5 // total
        if terminal:
            print(f"\r{what}: {done} of {total} ", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done < total:
            say(f"{what}: {done} of {total}")
    return show


# ---- training ------------------------------------------------------------------------------------

class Average:
    """The mean of the newest weights, which judges better than the last ones."""

    def __init__(self, model, keep):
        self.keep, self.steps = keep, 0
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def add(self, model):
        self.steps += 1
        keep = min(self.keep, self.steps / (self.steps + 10))
        for name, tensor in model.state_dict().items():
            self.tensors[name].mul_(keep).add_(tensor, alpha=1 - keep)


def loss_of(logits, truth):
    """Binary cross-entropy where the truth is known, each label's yes and no smoothed a little."""
    known = (truth != dataset.UNKNOWN).float()
    target = truth.clamp_min(0).float() * 0.96 + 0.02
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)


def merit(result):
    """What the best model is best at: seconds right and areas, half and half."""
    areas = [area for area in result["auc"].values() if not math.isnan(area)]
    return (result["balanced"] + (sum(areas) / len(areas) if areas else 0)) / 2


def fit(model, draw, held_out, c, args, scale):
    """Trains on what draw(steps) gives; returns (tensors of the best, its report). Ctrl-C ends it early."""
    mean, std = scale
    evaluator = Encoder(c)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=args.decay)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, args.steps, pct_start=0.15)
    average, best, result, best_step, shown = Average(model, 0.995), None, None, 0, []

    def look():
        evaluator.load_state_dict(model_file.fold(average.tensors, mean, std))
        return judge.report(judge.run(evaluator, held_out, c), held_out, c)

    began = time.monotonic()
    try:
        for step in range(1, args.steps + 1):
            model.train()
            frames, truth = draw(step)
            loss = loss_of(model((frames - mean.float()) / std.float()), truth)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            plan.step()
            average.add(model)
            shown.append(loss.item())
            if step % args.every and step < args.steps:
                continue
            found = look()
            seconds = time.monotonic() - began
            better = result is None or merit(found) > merit(result)
            say(f"step {step} of {args.steps}: loss {np.mean(shown):.4f}, held out {100 * found['balanced']:.1f} % right"
                f"{' (best so far)' if better else ''}, {seconds / step:.2f} s a step, "
                f"{(args.steps - step) * seconds / step / 60:.0f} min left")
            shown = []
            if better:
                best, result, best_step = {name: tensor.clone() for name, tensor in average.tensors.items()}, found, step
            elif step - best_step >= args.patience * args.every and step > args.steps // 2:
                say(f"no better since step {best_step}: enough")
                break
    except KeyboardInterrupt:
        if average.steps == 0:
            raise
        say(f"\nended by Ctrl-C after {average.steps} steps")
        if best is None:
            best, result = average.tensors, look()
    return best, result


def scale_of(clips, c):
    """Mean and deviation of the frames' values, double [input_dim]."""
    parts = [judge.frames_of(clip.variants[0], c)[::5] for clip in clips]
    total = sum(map(len, parts))
    mean = sum(part.sum(0, dtype=np.float64) for part in parts) / total
    std = np.sqrt(sum(((part - mean) ** 2).sum(0) for part in parts) / total) + 1e-3
    return torch.from_numpy(mean), torch.from_numpy(std)


def train(train_clips, held_out, c, args, start=None):
    """(tensors, report, c with events) of a model for train_clips, judged and calibrated by held_out."""
    torch.manual_seed(args.seed)
    scale = scale_of(train_clips, c)
    model = Encoder({**c, "dropout": args.dropout})
    if start:
        model.load_state_dict(model_file.unfold(start, *scale))
    draw = sampler.make(train_clips, c, args)
    best, result = fit(model, draw, held_out, c, args, scale)
    tensors = model_file.fold(best, *scale)
    evaluator = Encoder(c)
    evaluator.load_state_dict(tensors)
    moved, on, off = judge.calibrate(judge.run(evaluator, held_out, c), held_out, c)
    tensors["head.bias"] = tensors["head.bias"] + torch.from_numpy(moved).float()
    c = {**c, "events": {"frames": max(1, round(0.5 * judge.frame_rate(c))) if c.get("frontend") else 1, "on": on, "off": off}}
    return tensors, {**result, "shift": [round(float(x), 2) for x in moved]}, c


# ---- what is trained with ------------------------------------------------------------------------

def summary(items, labels):
    """Labels, recordings and sources, before anything takes time."""
    by_label = collections.defaultdict(list)
    for item in items:
        by_label[item.label].append(item)
    width = max(map(len, [*by_label, "label"])) + 2
    say(f"{'label':<{width}}{'recordings':>11}{'folders or sources':>20}")
    for label in sorted(by_label):
        mine = by_label[label]
        note = "" if label == dataset.NOTHING or set(label.split("+")) <= set(labels) else "   left out: not among --labels"
        say(f"{label:<{width}}{len(mine):>11}{len({item.source for item in mine}):>20}{note}")


def labels_of(items, given):
    found = sorted({part for item in items if item.label != dataset.NOTHING for part in item.label.split("+")})
    labels = given or found
    if len(labels) < 2:
        dataset.fail(f"there is one label only, '{labels[0]}': there is nothing to tell apart" if labels else "there is no label")
    missing = sorted(set(labels) - set(found))
    if missing:
        dataset.fail(f"there are no recordings of {', '.join(missing)}; there are {', '.join(found)}")
    return labels


def seconds_of(clips, labels):
    """Seconds in which each label is true, in words."""
    totals = sum((clip.truths[0] == 1).sum(0) for clip in clips) / 100
    return ", ".join(f"{label} {total:.0f} s" for label, total in zip(labels, np.atleast_1d(totals)))


def load(sources, labels, args, variants):
    items = dataset.items(sources, args.column)
    items = [item._replace(label=dataset.NOTHING) if item.label in args.negatives else item for item in items]
    return items, lambda labels: dataset.load(
        [item for item in items if item.label == dataset.NOTHING or set(item.label.split("+")) <= set(labels)], labels,
        lambda item: variants if item.is_free or args.every_licence else 0, args.most_s, args.cache, args.jobs, progress("analysing"))


def split(clips, args, by_fold=None):
    """(to learn from, held out): a fold, or every sixth recording of a label, spread over its folders.

    What may not be given away in a model is not learned, and may be held out: a model is judged by it all the same."""
    if by_fold is not None:
        return ([clip for clip in clips if clip.fold != by_fold and (clip.is_free or args.every_licence)],
                [clip for clip in clips if clip.fold == by_fold])
    seen, learn, test = collections.Counter(), [], []
    for clip in clips:
        seen[clip.label] += 1
        if seen[clip.label] % 6 == 0:
            test.append(clip)
        elif clip.is_free or args.every_licence:
            learn.append(clip)
    return learn, test


def numbered(clips, count):
    """The clips with folds 1 to count, where a folder gave them none: recordings of one subfolder stay together."""
    groups, result = {}, []
    for clip in clips:
        several = os.sep in clip.source
        group = (clip.label, clip.source if several else clip.name)
        number = groups.setdefault(group, sum(1 for label, _ in groups if label == clip.label) % count + 1)
        result.append(clip._replace(fold=number))
    return result


def check_both_sides(learn, test, labels):
    for side, clips in (("to learn from", learn), ("held out", test)):
        if not clips:
            dataset.fail(f"no recording is {side}: give six of each label, or --test DIR")
        true = sum((clip.truths[0] == 1).sum(0) for clip in clips)
        missing = [label for label, n in zip(labels, true) if n == 0]
        if missing and side == "to learn from":
            dataset.fail(f"nothing {side} has the label {', '.join(missing)}: give six recordings of each label, or --test DIR")
        if missing:
            say(f"nothing {side} has the label {', '.join(missing)}: it is learned, but not judged")


# ---- what is asked for ---------------------------------------------------------------------------

def features_folder(args):
    return len(args.sources) == 1 and os.path.isdir(args.sources[0]) and bool(dataset.feature_names(args.sources[0]))


def configuration(args, labels, width=None):
    frontend = {"type": "vggish", "hops": args.hops, "stride": args.stride} if width is None else None
    return {"input_dim": width or 64 * args.hops, "model_dim": args.width, "heads": args.heads, "window": args.window,
            "positions": args.positions, "norm": args.norm, "landmarks": args.landmarks, "layers": args.layers,
            "hidden_dim": args.hidden, "labels": labels, "frontend": frontend, "head": "sigmoid", "events": None}


def prepare(args):
    """(clips, test clips or None, configuration, start or None)"""
    c, start = model_file.read_model(args.start or args.judged) if args.start or args.judged else (None, None)
    given = c["labels"] if c else args.labels
    variants = 0 if args.judged else args.variants
    if features_folder(args):
        clips, labels, width = dataset.feature_clips(args.sources[0], given)
        test = None
    else:
        items, loader = load(args.sources, given, args, variants)
        labels, width = labels_of(items, given) if not args.judged else given, None
        summary(items, labels)
        clips = loader(labels)
        test = load([args.test], labels, args, 0)[1](labels) if args.test else None
    if not clips:
        dataset.fail("nothing of it can be read")
    if c and width is not None and c["input_dim"] != width:
        dataset.fail(f"the model takes frames of {c['input_dim']} values, the features have {width}")
    if args.start:
        c = {**c, "head": "sigmoid"}  # a model of one label at a time learns to hear several
    return clips, test, c or configuration(args, labels, width), start


def unit(c):
    return "seconds" if c.get("frontend") else "frames"


def by_folds(clips, c, args, start=None):
    """A model for each fold, trained without it; the report of all."""
    numbers = sorted({clip.fold for clip in clips} - {0, -1})
    if not numbers:
        clips, numbers = numbered(clips, args.folds), list(range(1, args.folds + 1))
    results = []
    for number in numbers[:args.folds] if args.folds else numbers:
        learn, test = split(clips, args, number)
        check_both_sides(learn, test, c["labels"])
        say(f"\nfold {number}: {len(learn)} recordings to learn from, {len(test)} held out")
        _, result, _ = train(learn, test, c, args, start)
        say(judge.show(result, c["labels"], unit(c)))
        results.append(result)
    return judge.merge(results)


def judge_file(args):
    clips, _, c, tensors = prepare(args)
    if args.fold:
        clips = split(clips, args, args.fold)[1]
    model = Encoder(c)
    model.load_state_dict(tensors)
    result = judge.report(judge.run(model, clips, c), clips, c)
    print(judge.show(result, c["labels"], unit(c)))
    if args.table:
        print("\n" + table.compare(c, tensors, clips, args))
    return result


def train_file(args):
    clips, test, c, start = prepare(args)
    if c.get("frontend"):
        say(f"heard in them: {seconds_of(clips, c['labels'])}")
    cross = by_folds(clips, c, args, start) if args.folds else None
    if cross:
        print(judge.show(cross, c["labels"], unit(c)))
        if not args.output:
            return cross
    if args.fold:
        learn, held_out = split(clips, args, args.fold)
    elif test is not None:
        learn, held_out = [clip for clip in clips if clip.is_free or args.every_licence], test
    elif any(clip.fold == -1 for clip in clips):
        learn, held_out = split(clips, args, -1)
    else:
        learn, held_out = split(clips, args)
    check_both_sides(learn, held_out, c["labels"])
    tensors, result, c = train(learn, held_out, c, args, start)
    print(judge.show(result, c["labels"], unit(c)))
    if args.output:
        training = {"by": "train.py", "steps": args.steps, "batch": args.batch, "length": args.length, "seed": args.seed,
                    "torch": torch.__version__, "held_out": result, **({"folds": cross} if cross else {})}
        model_file.write_model(args.output, c, tensors, training)
        print(f"\n{args.output}: {os.path.getsize(args.output)} bytes")
    if args.table:
        print("\n" + table.compare(c, tensors, held_out, args))
    return result


# ---- command line --------------------------------------------------------------------------------

NUMBERS = (("hops", 4, "log-mel hops a frame"), ("stride", 4, "hops from frame to frame"), ("width", 96, "model width E"),
           ("heads", 4, "heads H"), ("hidden", 192, "width of the feed-forward"), ("window", 60, "window n, frames"),
           ("landmarks", 0, "landmarks m of Nyström attention; 0: exact attention"), ("layers", 2, "layers"),
           ("positions", 0, "positional rows, 0 for none"), ("steps", 3000, "training steps at most"),
           ("every", 200, "steps from one judgement to the next"), ("patience", 6, "judgements without a better one"),
           ("batch", 8, "sequences a step"), ("length", 256, "frames a sequence"), ("seed", 1, "random seed"),
           ("variants", 2, "variants of each recording, through other rooms and microphones; 0: no augmentation of samples"),
           ("threads", 1, "threads of torch"), ("jobs", 2, "recordings analysed at a time"))
MAY_BE_ZERO = ("landmarks", "positions", "seed", "variants")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", nargs="+", metavar="DIR", help="recordings: DIR/<label>/…, or a table of collect.py")
    add("-o", "--output", metavar="FILE", help="the model to write, NAME.safetensors")
    add("--from", metavar="MODEL", dest="start", help="start from MODEL and its architecture")
    add("--judge", metavar="MODEL", dest="judged", help="do not train: report how MODEL does on DIR")
    add("--test", metavar="DIR", help="held-out recordings, in the same layout")
    add("--folds", type=int, metavar="N", help="judge by N folds, those of the table if it has them")
    add("--fold", type=int, metavar="K", help="hold out fold K of the table")
    add("--labels", type=lambda text: text.split(","), metavar="A,B", help="the labels, in this order (default: all)")
    add("--negatives", type=lambda text: text.split(","), default=[], metavar="A,B", help="labels that count as none of the others")
    add("--column", default="label", metavar="NAME", help="column of a table that has the labels (%(default)s)")
    add("--every-licence", action="store_true", help="of a table, learn also what may not be given away in a model")
    add("--table", action="store_true", help="accuracy, time a frame and state: exact attention, and several numbers of landmarks")
    add("--report", metavar="FILE", help="write the figures as JSON, too")
    add("--cache", metavar="DIR", help="where analysed recordings are kept (~/.cache/attnd)",
        default=os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "attnd"))
    for name, value, what in NUMBERS:
        add("--" + name, type=int, default=value, metavar="N", help=f"{what} (%(default)s)")
    add("--norm", choices=("pre", "post"), default="pre", help="layer norms before or after (%(default)s)")
    add("--rate", type=float, default=2e-3, metavar="R", help="highest learning rate (%(default)s)")
    add("--decay", type=float, default=0.02, metavar="R", help="weight decay (%(default)s)")
    add("--dropout", type=float, default=0.1, metavar="P", help="dropout (%(default)s)")
    add("--gain", type=float, default=10, metavar="DB", help="random gain of each cut (%(default)s)")
    add("--tilt", type=float, default=6, metavar="DB", help="random tilt of each cut (%(default)s)")
    add("--mix", type=float, default=0.5, metavar="P", help="share of the cuts with another sound beneath (%(default)s)")
    add("--most-s", type=float, default=30, metavar="S", help="seconds of a recording at most (%(default)s)")
    args = parser.parse_args()
    if not (args.output or args.judged or args.folds or args.fold):
        parser.error("say where the model goes: -o FILE")
    for name, _, _ in NUMBERS:
        if getattr(args, name) < (0 if name in MAY_BE_ZERO else 1):
            parser.error(f"--{name} starts at {0 if name in MAY_BE_ZERO else 1}")
    if args.width % args.heads:
        parser.error(f"--width {args.width} is not a multiple of --heads {args.heads}")
    if args.folds is not None and args.folds < 2:
        parser.error("--folds starts at 2")
    return args


def try_output(path):
    """Whether the model can be written, before anything takes time."""
    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(os.path.abspath(path))):
            pass
        if os.path.isdir(path):
            raise IsADirectoryError(f"{path} is a folder")
    except OSError as error:
        dataset.fail(f"{path} cannot be written: {error}")


def main():
    args = arguments()
    if args.output:
        try_output(args.output)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    result = judge_file(args) if args.judged else train_file(args)
    if args.report:
        with open(args.report, "w", encoding="utf-8") as file:
            json.dump(result, file)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"train.py: {error}")
    except KeyboardInterrupt:
        sys.exit("\ntrain.py: ended before there was a model")
