# SPDX-License-Identifier: MIT
"""Generated sound that changes, and is neither speech nor music: what falls, scrapes, bursts, revs, splashes, rings or barks.

Each function takes a random generator and a number of samples at 16 kHz, and returns that many samples, at a level of its own.
Steady noise alone teaches a model that everything that changes is music.
"""
import numpy as np

RATE = 16000


def db(x):
    return 10 ** (x / 20)


def slow(rng, n, rate_hz):
    """A random curve with standard deviation 1 that changes about rate_hz times a second."""
    points = rng.standard_normal(int(n / RATE * rate_hz) + 4)
    return np.interp(np.arange(n) * rate_hz / RATE, np.arange(len(points)), points)


def between(rng, low, high):
    """A number drawn so that each octave is equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shaped(rng, n, low_hz, high_hz, slope=0.0):
    """Noise between two frequencies, whose power falls as 1/f^slope."""
    f = np.fft.rfftfreq(n, 1 / RATE)
    gain = np.maximum(f, 40) ** (-slope / 2) / np.sqrt((1 + (low_hz / np.maximum(f, 1)) ** 4) * (1 + (f / high_hz) ** 4))
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * gain, n)
    return x / (x.std() + 1e-9)


def place(x, part, at, height=1.0):
    """Adds part to x from sample `at` on."""
    end = min(len(x), at + len(part))
    if end > at:
        x[at:end] += height * part[:end - at]


def floor(rng, n):
    """What lies beneath: 25 to 60 dB below."""
    return db(rng.uniform(-60, -25)) * shaped(rng, n, between(rng, 20, 300), between(rng, 800, 8000), rng.uniform(0, 2))


def times(rng, n, gap_s, regularity):
    """Samples at which something happens; regularity 1 is a clock."""
    at, found = int(rng.uniform(0, gap_s) * RATE), []
    while at < n:
        found.append(at)
        gap = regularity * gap_s + (1 - regularity) * rng.exponential(gap_s)
        at += max(240, int(gap * RATE))
    return found


def struck(rng, low_hz, high_hz, decay_s, modes=None, hiss=None):
    """One thing hit once: inharmonic modes that decay, and a click."""
    n = int(min(2.0, 6 * decay_s) * RATE) + 400
    t = np.arange(n) / RATE
    x = np.zeros(n)
    for _ in range(modes or rng.integers(2, 14)):
        f = between(rng, low_hz, high_hz)
        x += rng.uniform(0.2, 1) * np.exp(-t / (decay_s * rng.uniform(0.3, 1.2))) * np.sin(2 * np.pi * (f * t + rng.random()))
    x /= np.abs(x).max() + 1e-9
    click = rng.standard_normal(n) * np.exp(-t / between(rng, 0.001, 0.03))
    return x + (rng.uniform(0.1, 1.5) if hiss is None else hiss) * click / (np.abs(click).max() + 1e-9)


def impacts(rng, n):
    """The same few things hit again and again: doors, boxes, dishes, hammers."""
    low = between(rng, 60, 1200)
    things = [struck(rng, low, low * rng.uniform(2, 10), between(rng, 0.01, 0.25)) for _ in range(rng.integers(1, 4))]
    x = floor(rng, n)
    for at in times(rng, n, between(rng, 0.1, 0.9), rng.uniform(0, 0.9)):
        place(x, things[rng.integers(len(things))], at, db(rng.uniform(-14, 0)))
    return x


def bounces(rng, n):
    """Things that fall and come to rest, faster and softer."""
    x = floor(rng, n)
    for start in times(rng, n, rng.uniform(0.7, 1.8), 0.5):
        low = between(rng, 100, 3000)
        thing, at, gap, height = struck(rng, low, 4 * low, between(rng, 0.005, 0.08)), start, rng.uniform(0.1, 0.4), 1.0
        keep = rng.uniform(0.6, 0.85)
        while gap > 0.012 and height > 0.03:
            place(x, thing, at, height)
            at, gap, height = at + int(gap * RATE), gap * keep, height * keep
    return x


def footsteps(rng, n):
    """Heel and sole, on something soft or hard."""
    x, hard = floor(rng, n), rng.random()
    for at in times(rng, n, rng.uniform(0.3, 0.7), 0.95):
        place(x, struck(rng, 50, 300 + 1500 * hard, 0.02 + 0.04 * hard, hiss=0.3), at, db(rng.uniform(-6, 0)))
        size = int(rng.uniform(0.04, 0.14) * RATE)
        sole = shaped(rng, size, 300, 1500 + 6000 * hard) * np.hanning(size)
        place(x, sole, at + int(0.05 * RATE), 0.1 * rng.uniform(0.3, 2))
    return x


def scrapes(rng, n):
    """Stick and slip: bursts of friction whose colour and roughness glide; saws, drawers, brakes, paper."""
    x = floor(rng, n)
    for at in times(rng, n, rng.uniform(0.3, 1.0), rng.uniform(0, 0.95)):
        size = int(rng.uniform(0.1, 0.8) * RATE)
        low = between(rng, 150, 2500)
        part = shaped(rng, size, low, low * rng.uniform(1.5, 6), rng.uniform(0, 1))
        rate = np.abs(between(rng, 15, 400) * (1 + 0.4 * slow(rng, size, 4)))
        rough = rng.uniform(0, 0.95)
        grain = 1 - rough * (np.cumsum(rate) / RATE % 1)
        place(x, part * grain * np.hanning(size) ** rng.uniform(0.2, 1), at, db(rng.uniform(-12, 0)))
    return x


def bursts(rng, n):
    """Shots, explosions, splashes, thunder: a sudden start, and a tail that grows dark."""
    x = floor(rng, n)
    for at in times(rng, n, between(rng, 0.3, 1.6), rng.uniform(0, 0.8)):
        decay, size = between(rng, 0.02, 0.7), int(1.8 * RATE)
        t = np.arange(size) / RATE
        bright = shaped(rng, size, 100, 7000) * np.exp(-t / (decay * 0.3))
        dark = shaped(rng, size, 25, between(rng, 200, 2000), 1) * np.exp(-t / decay) * np.exp(0.5 * slow(rng, size, 12))
        place(x, bright * db(rng.uniform(-20, 6)) + dark, at, db(rng.uniform(-12, 0)))
    return x


def revs(rng, n):
    """An engine or a motor under changing load, with gears; from a ship's diesel to a drill."""
    low = between(rng, 15, 120)
    speed = low * 2 ** np.clip(0.8 + 0.7 * slow(rng, n, rng.uniform(0.2, 1.5)), 0, 2.5)
    if rng.random() < 0.4:  # gears: the speed falls back
        for at in times(rng, n, 1.5, 0.5):
            speed[at:] *= rng.uniform(0.6, 0.9)
        speed = np.maximum(speed, low)
    phase = np.cumsum(speed) / RATE
    x = np.zeros(n)
    for k in range(1, rng.integers(6, 40)):
        fade = np.clip((7000 - k * speed) / 2000, 0, 1)
        x += db(rng.uniform(-14, 0)) / k ** rng.uniform(0.2, 1.2) * fade * np.sin(2 * np.pi * (k * phase + rng.random()))
    wobble = 1 + rng.uniform(0, 0.8) * np.sin(2 * np.pi * phase * rng.choice([0.25, 0.5, 1]))
    air = shaped(rng, n, 80, between(rng, 800, 6000), 1) * wobble
    return x / (x.std() + 1e-9) + db(rng.uniform(-12, 8)) * air * np.clip(speed / speed.mean(), 0.3, 3)


def water(rng, n):
    """Bubbles and drops over a stream, from a tap to a waterfall; or waves that swell."""
    x = np.zeros(n)
    low = between(rng, 250, 1500)
    for at in np.flatnonzero(rng.random(n) < between(rng, 3, 250) / RATE):
        f, life = low * between(rng, 1, 5), between(rng, 0.004, 0.06)
        t = np.arange(int(5 * life * RATE)) / RATE
        place(x, np.exp(-t / life) * np.sin(2 * np.pi * f * t * (1 + rng.uniform(0, 6) * t)), at, db(rng.uniform(-24, 0)))
    stream = shaped(rng, n, between(rng, 100, 1500), between(rng, 2000, 8000), rng.uniform(0, 1.5))
    swell = np.exp(rng.uniform(0, 1.3) * slow(rng, n, between(rng, 0.2, 6)))
    return x + db(rng.uniform(-40, -3)) * stream * swell


def jingle(rng, n):
    """Keys, coins, cutlery, chains: many small pieces of metal."""
    pieces = [struck(rng, 2200, 7800, between(rng, 0.01, 0.15), hiss=rng.uniform(0, 0.5)) for _ in range(rng.integers(3, 9))]
    x, shake = floor(rng, n), slow(rng, n, rng.uniform(1, 5)) > rng.uniform(-1, 0.6)
    for at in np.flatnonzero(rng.random(n) < between(rng, 6, 60) / RATE):
        if shake[at]:
            place(x, pieces[rng.integers(len(pieces))], at, db(rng.uniform(-20, 0)))
    return x


def typing(rng, n):
    """A keyboard in runs and breaks: press and release, each key with a sound of its own."""
    keys = [struck(rng, 400, 6000, between(rng, 0.002, 0.02), hiss=1) for _ in range(8)]
    x, busy = floor(rng, n), slow(rng, n, 0.8) > -0.5
    for at in times(rng, n, rng.uniform(0.07, 0.25), 0.3):
        if busy[at]:
            key = keys[rng.integers(len(keys))]
            place(x, key, at, db(rng.uniform(-10, 0)))
            place(x, key, at + int(rng.uniform(0.04, 0.1) * RATE), db(rng.uniform(-18, -6)))
    return x


def machine(rng, n):
    """A short pattern of strokes and hiss, over and over: printers, pumps, looms, trains."""
    size = int(between(rng, 0.15, 1.5) * RATE)
    one = impacts(rng, size) + db(rng.uniform(-20, 0)) * scrapes(rng, size)
    x = np.resize(one, n) + 0.1 * one.std() * shaped(rng, n, 50, 5000, 1)
    return x * np.exp(0.2 * slow(rng, n, 3))


def clock(rng, n):
    """Two ticks in turn, all alike."""
    ticks = [struck(rng, 800, 7000, between(rng, 0.002, 0.02), hiss=1) for _ in range(2)]
    x, gap = floor(rng, n), rng.choice([0.2, 0.25, 0.5, 0.5, 1.0])
    for i, at in enumerate(times(rng, n, gap, 1.0)):
        place(x, ticks[i % 2], at, db(rng.uniform(-1, 0)))
    return x


def call(rng, f0, seconds, noisy):
    """One call of an animal, or a cry: a gliding voice without words, through a few resonances, more or less hoarse."""
    n = int(seconds * RATE)
    t = np.linspace(0, 1, n)
    bend = np.sin(np.pi * t ** rng.uniform(0.4, 2)) * rng.uniform(-0.3, 0.8) + rng.uniform(-0.3, 0.3) * t
    f = f0 * 2 ** bend * (1 + 0.03 * slow(rng, n, 25))
    phase, x = np.cumsum(f) / RATE, np.zeros(n)
    peaks = [(between(rng, 400, 5000), rng.uniform(0.08, 0.5)) for _ in range(rng.integers(1, 4))]
    for k in range(1, int(min(40, 7500 / f0)) + 1):
        octaves = [np.log2(np.maximum(k * f, 1) / centre) / width for centre, width in peaks]
        gain = sum(np.exp(-0.5 * octave ** 2) for octave in octaves) + 0.05
        x += gain * np.clip((7600 - k * f) / 800, 0, 1) * np.sin(2 * np.pi * (k * phase + rng.random()))
    x = x / (x.std() + 1e-9) + noisy * shaped(rng, n, peaks[0][0] / 2, peaks[0][0] * 3)
    envelope = np.minimum(1, np.minimum(t / rng.uniform(0.02, 0.3), (1 - t) / rng.uniform(0.1, 0.5)))
    return x * envelope * (1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(10, 60) * t * seconds))


def calls(rng, n):
    """Barks, cries, crows, cries of birds of one animal."""
    kind = rng.choice(["bark", "cry", "crow", "low", "bird"])
    f0, seconds, gap = {"bark": (between(rng, 250, 900), between(rng, 0.08, 0.3), between(rng, 0.2, 0.9)),
                        "cry": (between(rng, 300, 650), rng.uniform(0.4, 1.3), rng.uniform(0.6, 1.6)),
                        "crow": (between(rng, 300, 1200), rng.uniform(0.2, 1.2), rng.uniform(0.5, 1.6)),
                        "low": (between(rng, 60, 220), rng.uniform(0.4, 1.5), rng.uniform(0.8, 1.8)),
                        "bird": (between(rng, 1500, 5000), between(rng, 0.05, 0.3), between(rng, 0.1, 0.6))}[kind]
    noisy, x = rng.uniform(0, 1.2) * (rng.random() < 0.7), floor(rng, n)
    for at in times(rng, n, gap, rng.uniform(0.2, 0.9)):
        part = call(rng, f0 * 2 ** rng.uniform(-0.15, 0.15), seconds * rng.uniform(0.7, 1.3), noisy)
        place(x, part, at, db(rng.uniform(-8, 0)))
    return x


def siren(rng, n):
    """Up and down, or two tones, with harmonics."""
    low, span, rate = between(rng, 300, 1000), rng.uniform(0.3, 1.3), between(rng, 0.15, 5)
    wave = np.sin(2 * np.pi * rate * np.arange(n) / RATE)
    f = low * 2 ** (span * (np.sign(wave) if rng.random() < 0.3 else 0.5 + 0.5 * wave))
    phase = np.cumsum(f) / RATE
    x = sum(rng.uniform(0.1, 1) / k * np.sin(2 * np.pi * k * phase) * (k * f < 7500) for k in range(1, 8))
    return x / (x.std() + 1e-9) + db(rng.uniform(-30, -5)) * shaped(rng, n, 50, 4000, 1)


CHANGING = (impacts, bounces, footsteps, scrapes, bursts, revs, water, jingle, typing, machine, clock, calls, siren)


# ---- tones: rings, beeps, dial tones --------------------------------------------------------------

PAIRS = ((350, 440), (425,), (400, 450), (440, 480), (480, 620), (400,), (1004,), (950, 1400, 1800))
DTMF = tuple((a, b) for a in (697, 770, 852, 941) for b in (1209, 1336, 1477, 1633))


def sines(rng, frequencies, n, square=False):
    t = np.arange(n) / RATE
    x = sum(np.sin(2 * np.pi * (f * t + rng.random())) for f in frequencies)
    return np.tanh(6 * x) if square else x


def ramped(x):
    """Without clicks at both ends."""
    ramp = min(80, len(x) // 2)
    x = x.copy()
    x[:ramp] *= np.linspace(0, 1, ramp)
    x[len(x) - ramp:] *= np.linspace(1, 0, ramp)
    return x


def tones(rng, n):
    """Signals of telephones and devices, in the rhythm of one of them."""
    kind = rng.choice(["dial", "cadence", "keys", "beeps", "alarm", "bell"])
    x = db(rng.uniform(-70, -35)) * shaped(rng, n, 50, 6000, 1)
    if kind == "dial":
        return x + sines(rng, PAIRS[rng.integers(len(PAIRS))], n)
    if kind == "bell":  # hammer on two bells
        bell = [struck(rng, 1000, 5000, rng.uniform(0.1, 0.4), modes=5, hiss=0.1) for _ in range(2)]
        rate, at = rng.uniform(15, 25), 0
        for i in range(int(n / RATE * rate)):
            at = int(i / rate * RATE)
            if i / rate % rng.choice([3, 3.01]) < 1.5:
                place(x, bell[i % 2], at, 1)
        return x
    on, off = {"cadence": (rng.uniform(0.2, 1.2), rng.uniform(0.2, 0.5)), "keys": (rng.uniform(0.06, 0.25), rng.uniform(0.04, 0.3)),
               "beeps": (rng.uniform(0.04, 0.5), rng.uniform(0.04, 0.5)), "alarm": (rng.uniform(0.1, 0.5), 0)}[kind]
    steady = {"cadence": PAIRS[rng.integers(len(PAIRS))], "beeps": (between(rng, 400, 5000),), "keys": None,
              "alarm": (between(rng, 500, 3500),)}[kind]
    other, square, at, i = between(rng, 500, 3500), rng.random() < 0.3, 0, 0
    while at < n:
        frequencies = DTMF[rng.integers(16)] if kind == "keys" else (other,) if kind == "alarm" and i % 2 else steady
        place(x, ramped(sines(rng, frequencies, max(200, int(on * RATE)), square)), at)
        at, i = at + int((on + off) * RATE) + 1, i + 1
    return x


def room_tone(rng, n):
    """The quiet of a room: dark noise, some hum, now and then a little more of it. The level is the caller's."""
    x = shaped(rng, n, between(rng, 20, 100), between(rng, 300, 7900), rng.uniform(0, 2.2))
    x *= np.exp(rng.uniform(0, 0.25) * slow(rng, n, 1.5))
    if rng.random() < 0.5:
        f = rng.choice([50, 60, 100, 120])
        hum = sum(np.sin(2 * np.pi * (k * f * np.arange(n) / RATE + rng.random())) / k for k in range(1, 12))
        x += db(rng.uniform(-25, 3)) * hum / hum.std()
    return x
