# SPDX-License-Identifier: MIT
"""Sound as training sees it: any file that libsndfile reads, as mono at 16 kHz; its log-mels; where something is heard in it.

Reading and resampling are done by the libraries that attnctl uses, so nothing more is to be installed. The log-mels are those of
attnctl's front-end, but for rounding: attnd-model(7), FRONT-END.
"""
import ctypes
import functools

import numpy as np

RATE, HOP, ANALYSIS, FFT, BANDS = 16000, 160, 400, 512, 64
LOG_OFFSET = 0.01      # a log-mel is ln(mel + LOG_OFFSET)
ZERO_DBFS = -90.0      # below this, 10 ms are digital zero
LONGEST_S = 600        # of a longer file only so much is read


class Info(ctypes.Structure):  # SF_INFO
    _fields_ = [("frames", ctypes.c_int64), ("samplerate", ctypes.c_int), ("channels", ctypes.c_int),
                ("format", ctypes.c_int), ("sections", ctypes.c_int), ("seekable", ctypes.c_int)]


class Resampling(ctypes.Structure):  # SRC_DATA
    _fields_ = [("data_in", ctypes.c_void_p), ("data_out", ctypes.c_void_p), ("input_frames", ctypes.c_long),
                ("output_frames", ctypes.c_long), ("input_frames_used", ctypes.c_long),
                ("output_frames_gen", ctypes.c_long), ("end_of_input", ctypes.c_int), ("src_ratio", ctypes.c_double)]


@functools.lru_cache(None)
def library(name):
    try:
        found = ctypes.CDLL(name)
    except OSError as error:
        raise ValueError(f"{name} cannot be loaded ({error}); attnctl needs it as well: ./bootstrap installs it")
    if name.startswith("libsndfile"):
        found.sf_open.restype = ctypes.c_void_p
        found.sf_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(Info)]
        found.sf_readf_float.restype = ctypes.c_int64
        found.sf_readf_float.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        found.sf_close.argtypes = [ctypes.c_void_p]
        found.sf_strerror.restype = ctypes.c_char_p
        found.sf_strerror.argtypes = [ctypes.c_void_p]
    return found


def resample(x, ratio):
    """x with ratio times as many samples, by libsamplerate's sinc of medium quality, as attnctl resamples."""
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty(int(np.ceil(len(x) * ratio)) + 1, np.float32)
    data = Resampling(x.ctypes.data, out.ctypes.data, len(x), len(out), 0, 0, 1, ratio)
    error = library("libsamplerate.so.0").src_simple(ctypes.byref(data), 1, 1)
    if error:
        raise ValueError(f"libsamplerate cannot resample by {ratio}: error {error}")
    return out[:data.output_frames_gen]


def read(path):
    """float32 [samples] at 16 kHz, the mean of the channels. ValueError, with the path, for what is no sound."""
    sndfile, info = library("libsndfile.so.1"), Info()
    handle = sndfile.sf_open(path.encode(), 0x10, ctypes.byref(info))
    if not handle:
        raise ValueError(f"{path}: {sndfile.sf_strerror(None).decode(errors='replace')}")
    try:
        parts, left = [], LONGEST_S * info.samplerate
        while left > 0:  # headers do not always know how many frames there are
            part = np.empty((min(left, 1 << 18), info.channels), np.float32)
            n = sndfile.sf_readf_float(handle, part.ctypes.data, len(part))
            if n <= 0:
                break
            parts.append(part[:n].mean(1))
            left -= n
    finally:
        sndfile.sf_close(handle)
    if not parts:
        raise ValueError(f"{path}: there are no samples in it")
    x = np.concatenate(parts)
    if not np.isfinite(x).all():
        raise ValueError(f"{path}: a sample is not finite")
    return x if info.samplerate == RATE else resample(x, RATE / info.samplerate)


# ---- log-mels ------------------------------------------------------------------------------------

@functools.lru_cache(None)
def mel_matrix():
    """[bins, bands]: triangles that are linear in mel, between 66 edges equally far apart in mel."""
    mel = lambda hz: 1127.0 * np.log(1.0 + hz / 700.0)
    bins, edges = mel(np.linspace(0, RATE / 2, FFT // 2 + 1))[:, None], mel(np.array([125.0, 7500.0]))
    edges = np.linspace(*edges, BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    matrix = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    matrix[0] = 0
    return matrix.astype(np.float32)


def mels(x):
    """float32 [hops, 64]: mel bands of magnitudes, of all whole analysis windows in x."""
    if len(x) < ANALYSIS:
        return np.zeros((0, BANDS), np.float32)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(ANALYSIS) / ANALYSIS)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(x, np.float32), ANALYSIS)[::HOP]
    parts = [np.abs(np.fft.rfft(windows[i:i + 1000] * hann, FFT)).astype(np.float32) @ mel_matrix()
             for i in range(0, len(windows), 1000)]
    return np.concatenate(parts)


def log_mels(x):
    return np.log(mels(x) + LOG_OFFSET)


# ---- where something is heard --------------------------------------------------------------------

def levels(x):
    """dBFS RMS of each 10 ms, −120 for digital zero."""
    blocks = np.asarray(x[:len(x) // HOP * HOP], np.float64).reshape(-1, HOP)
    return 10 * np.log10(np.maximum((blocks ** 2).mean(1), 1e-12))


def runs(flags):
    """[(first, end)] of the runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(flags, int), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def active(x, label):
    """[(start_s, end_s)]: where the sound is heard that the label names.

    Speech ends where it is 30 dB below its loud parts, or not above what lies beneath it; anything else 45 dB below, and at
    −66 dBFS. Gaps of up to 0.3 s belong to the sound: they are the breaks within words, strokes and bars.
    """
    level = levels(x)
    heard = level[level > ZERO_DBFS]
    if len(heard) == 0:
        return []
    loud, floor = np.percentile(heard, 95), np.percentile(heard, 10)
    if label == "speech":
        least = max(loud - 30, floor + min(9, 0.3 * (loud - floor)) if loud - floor > 12 else -120)
    else:
        least = loud - 45
    flags = level > max(least, -66)
    for first, end in runs(~flags):
        if 0 < first and end < len(flags) and end - first <= 30:
            flags[first:end] = True
    return [(first / 100, end / 100) for first, end in runs(flags) if end - first >= 3]


def silent(x):
    """[(start_s, end_s)]: digital zeros and what is below −66 dBFS, for a quarter of a second or longer."""
    return [(first / 100, end / 100) for first, end in runs(levels(x) <= -66) if end - first >= 25]
