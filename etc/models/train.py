#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train a continual Nyström model on a folder of labelled recordings: DIR/<label>/*.wav, 16 kHz mono.

Needs python3-torch and python3-numpy, and attnctl, whose front-end turns each recording into frames: what is trained is
what the daemon will see. Frames are cached in ~/.cache/attnd. Sequences are random cuts of recordings of different
labels, one after the other, so that the model learns to answer a change quickly, and each starts cold, so that it is
right while its window fills.

examples:
  train.py sounds/ -o mine.safetensors                      one file in six is held out for the report
  train.py train/ --test test/ -o mine.safetensors          the report is about the recordings in test/
  train.py train/ -o mine.safetensors --window 128 --landmarks 16 --layers 1
  train.py more/ --from mine.safetensors -o better.safetensors --rate 1e-3          go on with a model made here
  train.py test/ --judge mine.safetensors                   no training: how a model made here does on recordings
  attnctl stream -m ./mine.safetensors recording.wav

Letters are those of the papers: n window, m landmarks, H heads, d head width, E = H·d, T frames of a sequence.
"""
import argparse
import hashlib
import json
import math
import multiprocessing.pool
import os
import shlex
import struct
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before it loads; threads do not help products as small as these
try:
    import numpy as np
    import torch
except ImportError:  # etc/python finds a Python that has both, or says which have not
    finder = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "python")
    os.execv(finder, [finder, "--with", "numpy torch", *sys.argv])
from torch import nn
from torch.nn import functional as F

RATE, HOP, ANALYSIS = 16000, 160, 400  # samples: a second, from hop to hop, analysed by a hop
LOG_OFFSET = 0.01                      # a log-mel is ln(mel + LOG_OFFSET)
SETTLE_S = 0.25                        # no loss for so long after a change of label


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
    """One encoder layer around continual Nyström attention."""

    def __init__(self, c):
        super().__init__()
        E = c["model_dim"]
        self.c = c
        self.q, self.k, self.v, self.o = (nn.Linear(E, E) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(E), nn.LayerNorm(E)
        self.ff1, self.ff2 = nn.Linear(E, c["hidden_dim"]), nn.Linear(c["hidden_dim"], E)

    def attention(self, x):
        heads = lambda y: y.unflatten(-1, (self.c["heads"], -1)).transpose(-2, -3)
        y = nystrom(heads(self.q(x)), heads(self.k(x)), heads(self.v(x)), self.c["window"], self.c["landmarks"])
        return self.o(y.transpose(-2, -3).flatten(-2))

    def forward(self, x):
        feed = lambda y: self.ff2(F.gelu(self.ff1(y)))
        if self.c["norm"] == "pre":
            h = x + self.attention(self.norm1(x))
            return h + feed(self.norm2(h))
        h = self.norm1(x + self.attention(x))
        return self.norm2(h + feed(h))


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


# ---- the model file ------------------------------------------------------------------------------

def description(c, training):
    """What the file says about its tensors."""
    layer = {"method": "nystrom", "landmarks": c["landmarks"], "landmark_policy": "means", "refresh": "immediate",
             "inverse_scale": "matrix", "head_merge": "concat", "retroactive": False}
    shared = {key: c[key] for key in ("input_dim", "model_dim", "heads", "window", "positions", "norm", "labels",
                                      "frontend")}
    return {"version": 1, **shared, "residual_tap": "newest", "activation": "gelu", "head": "softmax",
            "layers": [layer] * c["layers"], "training": training}


def write_model(path, c, tensors, training):
    """A safetensors file: the header's length, the header, the tensors."""
    header, body = {"__metadata__": {"attnd": json.dumps(description(c, training), ensure_ascii=False)}}, b""
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
    os.replace(path + ".part", path)


def read_model(path):
    """Configuration and tensors of a file that write_model wrote."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(min(struct.unpack("<Q", file.read(8))[0], 1 << 20)))
            body = bytearray(file.read())
        about = json.loads(header.pop("__metadata__")["attnd"])
        tensors = {name: torch.frombuffer(body, dtype=torch.float32, offset=entry["data_offsets"][0],
                                          count=math.prod(entry["shape"])).view(entry["shape"])
                   for name, entry in header.items()}
        c = {**about, "landmarks": about["layers"][0]["landmarks"], "layers": len(about["layers"]),
             "hidden_dim": len(tensors["blocks.0.ff1.bias"])}
        if description(c, about["training"]) != about:
            raise ValueError("not a model that this program makes")
    except (OSError, struct.error, ValueError, KeyError) as error:
        sys.exit(f"train.py: cannot read the model {path}: {error}")
    return c, tensors


def fold(tensors, mean, std):
    """Tensors for frames as they come, from tensors for frames with mean 0 and deviation 1."""
    weight = tensors["embed.weight"].double() / std
    bias = tensors["embed.bias"].double() - weight @ mean
    return {**tensors, "embed.weight": weight.float(), "embed.bias": bias.float()}


def unfold(tensors, mean, std):
    """The other way."""
    bias = tensors["embed.bias"].double() + tensors["embed.weight"].double() @ mean
    weight = tensors["embed.weight"].double() * std
    return {**tensors, "embed.weight": weight.float(), "embed.bias": bias.float()}


# ---- frames of recordings ------------------------------------------------------------------------

def recordings(folder):
    """[(label, path)] of DIR/label/*.wav."""
    if not os.path.isdir(folder):
        sys.exit(f"train.py: no such folder: {folder}")
    found = [(label, os.path.join(folder, label, name))
             for label in sorted(os.listdir(folder)) if os.path.isdir(os.path.join(folder, label))
             for name in sorted(os.listdir(os.path.join(folder, label))) if name.lower().endswith(".wav")]
    if not found:
        sys.exit(f"train.py: {folder} has no recordings; expected {os.path.join(folder, '<label>', '*.wav')}")
    return found


def one_file(job):
    """The frames of one recording, from the cache or from the front-end."""
    path, command, model, cache, key = job
    with open(path, "rb") as file:
        cached = os.path.join(cache, hashlib.sha256(key + file.read()).hexdigest() + ".npy")
    if not os.path.exists(cached):
        part = f"{cached[:-4]}.{os.getpid()}-{threading.get_ident()}.npy"  # equal recordings may be at work together
        done = subprocess.run([*command, "-m", model, path, part], stderr=subprocess.PIPE)
        if done.returncode:
            raise ValueError(f"{path}: {done.stderr.decode(errors='replace').strip() or 'the front-end failed'}")
        os.replace(part, cached)
    return np.load(cached)


def features(files, c, args):
    """[(label number, frames [T, input_dim])] of [(label, path)]."""
    os.makedirs(args.cache, exist_ok=True)
    key = json.dumps(c["frontend"], sort_keys=True).encode()
    with tempfile.TemporaryDirectory() as folder, multiprocessing.pool.ThreadPool(args.jobs) as pool:
        model = os.path.join(folder, "untrained.safetensors")  # tells attnctl which front-end
        write_model(model, c, Encoder(c).state_dict(), {})
        jobs = [(path, shlex.split(args.features), model, args.cache, key) for _, path in files]
        try:
            frames = pool.map(one_file, jobs)
        except FileNotFoundError as error:
            sys.exit(f"train.py: cannot run '{args.features}' ({error}); build attnd, or name attnctl by --features")
        except (ValueError, OSError) as error:
            sys.exit(f"train.py: {error}")
    short = [path for (_, path), x in zip(files, frames) if len(x) < 2]
    if short:
        print(f"left out, shorter than two frames: {', '.join(short)}", file=sys.stderr)
    return [(c["labels"].index(label), torch.from_numpy(x)) for (label, _), x in zip(files, frames) if len(x) >= 2]


def split(files, labels):
    """Every sixth file of a label is held out."""
    train, test = [], []
    for label in labels:
        of_label = [file for file in files if file[0] == label]
        if len(of_label) < 6:
            sys.exit(f"train.py: {len(of_label)} recordings of '{label}': give six, to hold one out, or --test DIR")
        test += of_label[5::6]
        train += [file for file in of_label if file not in set(of_label[5::6])]
    return train, test


# ---- training ------------------------------------------------------------------------------------

def amplify(frames, rng, gain_db, tilt_db):
    """The frames of the same recording, louder or softer, and tilted from its lowest to its highest band.

    Exact, since mel bands of magnitudes grow as the samples do; digital silence stays so.
    """
    decibel = rng.uniform(-gain_db, gain_db) + rng.uniform(-tilt_db, tilt_db) * np.linspace(-0.5, 0.5, 64)
    gain = torch.from_numpy(np.tile(10 ** (decibel / 20), frames.shape[-1] // 64).astype(np.float32))
    return ((frames.exp() - LOG_OFFSET).clamp_min(0) * gain + LOG_OFFSET).log()


def sequence(clips, rng, c, args):
    """Cuts of clips of changing labels: frames [T, input_dim], labels [T], weights [T]."""
    fps = frame_rate(c)
    frames, labels, weights, size, label = [], [], [], 0, None
    while size < args.length:
        label = rng.choice([i for i in range(len(clips)) if i != label])
        clip = clips[label][rng.integers(len(clips[label]))]
        n = min(len(clip), int(fps * rng.uniform(0.8, 6)) + 1, args.length - size)
        at = rng.integers(len(clip) - n + 1)
        frames.append(amplify(clip[at:at + n], rng, args.gain, args.tilt))
        labels.append(torch.full((n,), int(label)))
        weights.append((torch.arange(n) >= fps * SETTLE_S if size else torch.ones(n)).float())
        size += n
    return torch.cat(frames), torch.cat(labels), torch.cat(weights)


def frame_rate(c):
    return RATE / HOP / c["frontend"]["stride"]


def train(model, clips, mean, std, c, args):
    """clips: a list of frames for each label."""
    rng = np.random.default_rng(args.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, args.steps, pct_start=0.1)
    began, shown = time.monotonic(), 0.0
    for step in range(1, args.steps + 1):
        frames, labels, weights = map(torch.stack, zip(*(sequence(clips, rng, c, args) for _ in range(args.batch))))
        logits = model((frames - mean) / std)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=0.02)
        loss = (losses * weights.flatten()).sum() / weights.sum()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        plan.step()
        shown += loss.item()
        if step % 100 == 0:
            seconds = time.monotonic() - began
            print(f"step {step} of {args.steps}: loss {shown / 100:.4f}, {seconds:.0f} s", file=sys.stderr)
            shown = 0.0


# ---- the report ----------------------------------------------------------------------------------

@torch.no_grad()
def judge(model, clips, c, seed):
    """Stream the clips one after the other, twelve to a stream, shuffled; (label, scores [T, labels]) of each."""
    order = np.random.default_rng(seed).permutation(len(clips))
    results = []
    for first in range(0, len(order), 12):
        chosen = [clips[i] for i in order[first:first + 12]]
        scores = model(torch.cat([frames for _, frames in chosen])[None])[0].softmax(-1)
        results += zip([label for label, _ in chosen], scores.split([len(frames) for _, frames in chosen]))
    return results


def by_second(scores, c):
    """[seconds, labels]: mean scores of the frames that end in each second of a clip."""
    hops, stride = c["frontend"]["hops"], c["frontend"]["stride"]
    ends = ((torch.arange(len(scores)) * stride + hops - 1) * HOP + ANALYSIS - 1) // RATE
    return torch.stack([scores[ends == second].mean(0) for second in ends.unique()])


def report(results, c):
    """What goes to the terminal, and into the file."""
    size = len(c["labels"])
    confusion, settled, delays = np.zeros((size, size), int), [0, 0], []
    for label, scores in results:
        heard = by_second(scores, c).argmax(-1)
        for second in heard:
            confusion[label, second] += 1
        settled = [settled[0] + int((heard[1:] == label).sum()), settled[1] + len(heard) - 1]
        right = (scores.argmax(-1) == label).nonzero()
        delays.append(float(right[0]) / frame_rate(c) if len(right) else len(scores) / frame_rate(c))
    median, late = np.sort(delays)[[len(delays) // 2, len(delays) * 95 // 100]]
    return {"seconds": int(confusion.sum()), "accuracy": round(float(np.trace(confusion) / confusion.sum()), 4),
            "accuracy_without_first_seconds": round(settled[0] / max(1, settled[1]), 4),
            "first_right_s": {"median": round(float(median), 2), "p95": round(float(late), 2)},
            "confusion": confusion.tolist()}


def print_report(result, labels):
    print(f"held out: {result['seconds']} seconds, {100 * result['accuracy']:.2f} % right "
          f"({100 * result['accuracy_without_first_seconds']:.2f} % without the first second of each recording)")
    delay = result["first_right_s"]
    print(f"from the start to the first right frame: median {delay['median']} s, 95 % within {delay['p95']} s")
    width = max(map(len, labels)) + 2
    print("\nrows: truth; columns: heard\n" + " " * width + "".join(f"{label:>{width}}" for label in labels))
    for label, row in zip(labels, result["confusion"]):
        print(f"{label:<{width}}" + "".join(f"{count:>{width}}" for count in row))


# ---- command line --------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("folder", metavar="DIR", help="recordings: DIR/<label>/*.wav")
    add("-o", "--output", metavar="FILE", help="the model to write, NAME.safetensors")
    add("--from", metavar="MODEL", dest="start", help="start from MODEL and its architecture")
    add("--judge", metavar="MODEL", help="do not train: report how MODEL does on DIR")
    add("--test", metavar="DIR", help="held-out recordings, in the same layout")
    add("--features", metavar="CMD", default="attnctl features",
        help="front-end, run as CMD -m MODEL IN.wav OUT.npy (%(default)s)")
    add("--cache", metavar="DIR", help="where frames are kept (~/.cache/attnd)",
        default=os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "attnd"))
    for name, value, what in (("hops", 4, "log-mel hops a frame"), ("stride", 4, "hops from frame to frame"),
                              ("width", 96, "model width E"), ("heads", 4, "heads H"),
                              ("hidden", 192, "width of the feed-forward"),
                              ("window", 60, "window n, frames"), ("landmarks", 6, "landmarks m"),
                              ("layers", 2, "layers"),
                              ("positions", 0, "positional rows, 0 for none"), ("steps", 3000, "training steps"),
                              ("batch", 8, "sequences a step"), ("length", 256, "frames a sequence"),
                              ("seed", 1, "random seed"),
                              ("threads", 1, "threads of torch"), ("jobs", 2, "front-ends at a time")):
        add("--" + name, type=int, default=value, metavar="N", help=f"{what} (%(default)s)")
    add("--norm", choices=("pre", "post"), default="pre", help="layer norms before or after (%(default)s)")
    add("--rate", type=float, default=2e-3, metavar="R", help="highest learning rate (%(default)s)")
    add("--gain", type=float, default=4, metavar="DB", help="random gain of each cut (%(default)s)")
    add("--tilt", type=float, default=6, metavar="DB", help="random tilt of each cut (%(default)s)")
    args = parser.parse_args()
    if not args.output and not args.judge:
        parser.error("say where the model goes: -o FILE")
    for name in ("hops", "stride", "width", "heads", "hidden", "window", "landmarks", "layers", "steps", "batch",
                 "length", "threads", "jobs"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} starts at 1")
    if args.width % args.heads:
        parser.error(f"--width {args.width} is not a multiple of --heads {args.heads}")
    return args


def configuration(args, labels):
    return {"input_dim": 64 * args.hops, "model_dim": args.width, "heads": args.heads, "window": args.window,
            "positions": args.positions, "norm": args.norm, "landmarks": args.landmarks, "layers": args.layers,
            "hidden_dim": args.hidden, "labels": labels,
            "frontend": {"type": "vggish", "hops": args.hops, "stride": args.stride}}


def judge_file(args):
    """The report on an existing model."""
    c, tensors = read_model(args.judge)
    files = recordings(args.folder)
    check_labels(files, c["labels"], args.folder)
    model = Encoder(c)
    model.load_state_dict(tensors)
    print_report(report(judge(model, features(files, c, args), c, args.seed), c), c["labels"])


def check_labels(files, labels, folder):
    unknown = {label for label, _ in files} - set(labels)
    if unknown:
        sys.exit(f"train.py: {folder} has labels that the model lacks: {', '.join(sorted(unknown))}")


def train_file(args):
    """Train, report, write."""
    files = recordings(args.folder)
    labels = sorted({label for label, _ in files})
    if len(labels) < 2:
        sys.exit(f"train.py: {args.folder} has one label only, '{labels[0]}': there is nothing to tell apart")
    train_files, test_files = (files, recordings(args.test)) if args.test else split(files, labels)
    check_labels(test_files, labels, args.test)

    c, start = read_model(args.start) if args.start else (configuration(args, labels), None)
    if c["labels"] != labels:
        sys.exit(f"train.py: {args.start} has the labels {', '.join(c['labels'])}; {args.folder}: {', '.join(labels)}")
    model = Encoder(c)
    examples, held_out = features(train_files, c, args), features(test_files, c, args)
    total = sum(len(frames) for _, frames in examples)
    mean = sum(frames.double().sum(0) for _, frames in examples) / total
    std = (sum(((frames - mean) ** 2).sum(0) for _, frames in examples) / total).sqrt() + 1e-3
    clips = [[frames for label, frames in examples if label == i] for i in range(len(labels))]
    if start:
        model.load_state_dict(unfold(start, mean, std))
    train(model, clips, mean.float(), std.float(), c, args)

    model.load_state_dict(fold(model.state_dict(), mean, std))
    result = report(judge(model, held_out, c, args.seed), c)
    training = {"by": "train.py", "seconds": round(total / frame_rate(c)), "steps": args.steps, "batch": args.batch,
                "length": args.length, "seed": args.seed, "torch": torch.__version__, "held_out": result}
    write_model(args.output, c, model.state_dict(), training)
    print_report(result, labels)
    print(f"\n{args.output}: {os.path.getsize(args.output)} bytes")


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    if args.judge:
        judge_file(args)
    else:
        train_file(args)


if __name__ == "__main__":
    main()
