# SPDX-License-Identifier: MIT
"""What training does to a recording so that no two steps hear the same: to its samples, before they are analysed, and to its mels.

Of samples a few variants are made once and kept (they cost a Fourier transform); mels are changed anew at each step. Mel bands of
magnitudes grow as the samples do, and those of a mixture are close to the root of the sum of squares: gains, tilts and mixtures cost
next to nothing there.
"""
import numpy as np

import sound


def between(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def room_response(rng):
    """The direct sound and a tail of noise that decays by 60 dB in 0.1 to 1.5 s, and darkens."""
    decay_s = between(rng, 0.1, 1.5)
    n = int(min(decay_s, 1.0) * sound.RATE)
    t = np.arange(n) / sound.RATE
    tail = rng.standard_normal(n) * 10 ** (-3 * t / decay_s)
    tail[:int(between(rng, 0.001, 0.02) * sound.RATE)] = 0
    tail *= 10 ** (-rng.uniform(-6, 15) / 20) / (np.sqrt((tail ** 2).sum()) + 1e-9)
    tail[0] = 1
    return tail


def response(rng, f):
    """Gains for the frequencies f: tilt, and now and then the band of a telephone, a codec, a wall or a cheap microphone."""
    octaves = np.log2(np.maximum(f, 50) / 1000)
    gain = 10 ** (rng.uniform(-3, 3) * octaves / 20)
    low = lambda hz, order: 1 / np.sqrt(1 + (f / hz) ** (2 * order))
    high = lambda hz, order: 1 / np.sqrt(1 + (hz / np.maximum(f, 1)) ** (2 * order))
    kind = rng.choice(["wide", "narrow", "telephone", "thin", "muffled"], p=[0.4, 0.25, 0.1, 0.15, 0.1])
    if kind == "narrow":
        gain *= low(between(rng, 2500, 7500), 8)
    elif kind == "telephone":
        gain *= low(3400, 6) * high(300, 4)
    elif kind == "thin":
        gain *= high(between(rng, 80, 500), 2)
    elif kind == "muffled":
        gain *= low(between(rng, 400, 1800), rng.integers(1, 4))
    return gain


def speed(x, rng):
    """Faster or slower, and so higher or lower."""
    return sound.resample(x, rng.uniform(0.88, 1.14)) if len(x) > 400 else x


def place_elsewhere(x, rng):
    """x through another microphone, and half of the time in another room; as long and as loud as before."""
    if not np.any(x):
        return x
    n = len(x) + sound.RATE
    size = 1 << (n - 1).bit_length()
    spectrum = np.fft.rfft(x, size) * response(rng, np.fft.rfftfreq(size, 1 / sound.RATE))
    if rng.random() < 0.5:
        spectrum *= np.fft.rfft(room_response(rng), size)
    y = np.fft.irfft(spectrum, size)[:len(x)]
    y *= np.sqrt((np.asarray(x, float) ** 2).mean() / ((y ** 2).mean() + 1e-20))
    return (np.tanh(y * 2) / 2 if rng.random() < 0.05 else y).astype(np.float32)


def tilted(mels, rng, decibel, tilt_db):
    """Mels [T, 64] of the same sound, louder by some decibels, and tilted from its lowest to its highest band."""
    gain = decibel + rng.uniform(-tilt_db, tilt_db) * np.linspace(-0.5, 0.5, sound.BANDS)
    return mels * (10 ** (gain / 20)).astype(np.float32)


def mixed(a, b):
    """Mels of two sounds together, whose phases have nothing to do with each other."""
    return np.sqrt(a * a + b * b)


def holes(log_mels, rng):
    """Now and then a few neighbouring bands, or a few hops, are flattened to their mean, as if they said nothing."""
    if rng.random() < 0.3:
        at, n = rng.integers(0, sound.BANDS - 8), rng.integers(2, 9)
        log_mels[:, at:at + n] = log_mels[:, at:at + n].mean()
    return log_mels
