#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Generate labelled sound: OUT/{music,noise,silence,speech,tone,music+speech}/*.wav, 16 kHz mono, 8 seconds each.

Everything is synthesised: speech by espeak-ng, flite and festival, music by fluidsynth (and a small chip synthesiser)
from random pieces, noise, tones and silence by numpy (changing.py has the sounds that change); sox filters, reverberates and
modulates. In music+speech both are true: a voice over music. The same arguments give the same sound. train and test share no voice,
no dialect of espeak-ng, no instrument, no sound font and no random number; the noise recipes in NOISE_TEST_ONLY are heard in the test split alone.

examples:
  generate.py sounds/train --split train --clips 700        4,200 clips, 9.3 hours of sound
  generate.py sounds/test --split test --clips 150
  generate.py sounds/loud --split test --clips 25 --level -10      every clip but silence at -10 dBFS RMS
  generate.py sounds/snr10 --split test --clips 50 --labels speech --snr 10
  generate.py --demo demo.flac                              the bundled recording, and demo.tsv beside it
"""
import argparse
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import wave

try:
    import numpy as np
except ImportError:  # etc/python finds a Python that has it, or says which have not
    finder = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "python")
    os.execv(finder, [finder, "--with", "numpy", *sys.argv])
import changing

RATE = 16000
CLIP_S = 8
LABELS = ("music", "noise", "silence", "speech", "tone", "music+speech")
TOOLS = {"espeak-ng": "espeak-ng", "flite": "flite", "text2wave": "festival", "fluidsynth": "fluidsynth", "sox": "sox"}

FONT_DIR = "/usr/share/sounds/sf2/"
FONTS = {  # file: Debian package
    "train": {"FluidR3_GM.sf2": "fluid-soundfont-gm", "OPL-3_FM_128M.sf2": "opl3-soundfont",
              "sf_GMbank.sf2": "csound-soundfont"},
    "test": {"TimGM6mb.sf2": "timgm6mb-soundfont"},
}
VOICE_DIR = "/usr/share/festival/voices/"
FESTIVAL = {  # folder: Debian package
    "train": {"english/kal_diphone": "festvox-kallpc16k", "english/ked_diphone": "festvox-kdlpc16k",
              "italian/lp_diphone": "festvox-italp16k", "czech/czech_dita": "festvox-czech-dita",
              "czech/czech_krb": "festvox-czech-krb", "czech/czech_machac": "festvox-czech-machac",
              "finnish/hy_fi_mv_diphone": "festvox-suopuhe-mv", "catalan/upc_ca_ona_hts": "festvox-ca-ona-hts"},
    "test": {"italian/pc_diphone": "festvox-itapc16k", "czech/czech_ph": "festvox-czech-ph",
             "finnish/suo_fi_lj_diphone": "festvox-suopuhe-lj", "russian/msu_ru_nsh_clunits": "festvox-ru",
             "us/cmu_us_slt_arctic_hts": "festvox-us-slt-hts"},
}
FLITE = {"train": ["kal", "kal16", "awb", "rms"], "test": ["slt"]}
ESPEAK = {
    "train": ["en-us", "en-gb", "en-gb-scotland", "en-029", "de", "fr-fr", "es", "pt", "it", "nl", "sv", "da", "fi",
              "et", "pl", "cs", "hu", "ro", "ru", "bg", "tr", "sw", "id", "vi", "yue", "ja", "hi", "ta",
              "el", "eu", "eo", "cy", "az", "ka", "ko"],
    "test": ["en-gb-x-rp", "en-us-nyc", "fr-be", "es-419", "pt-br", "nb", "uk", "sk", "lt", "ca", "ms", "cmn", "te",
              "fa", "he", "ga"],
}
VARIANTS = {
    "train": ["", "m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "f4", "klatt", "klatt2", "klatt3", "klatt6",
              "whisper", "croak", "adam", "Alex", "Alicia", "Andy", "Annie", "antonio", "aunty",
              "belinda", "boris", "caleb", "Denis", "Diogo", "ed", "edward", "Gene", "grandma",
              "Henrique", "Hugo", "iven", "iven3", "Jacky", "kaukovalta", "linda", "Marco", "max",
              "michel", "mike", "norbert", "pablo", "paul", "quincy", "rob", "sandro", "steph", "travis",
              "victor", "zac"],
    "test": ["m7", "m8", "f5", "klatt4", "klatt5", "whisperf", "Andrea", "anika", "benjamin", "david", "Gene2",
              "grandpa", "iven2", "john", "Lee", "Michael", "Miguel", "Nguyen", "pedro", "robert",
              "shelby", "steph2"],
}
CYRILLIC = {"ru", "bg", "uk", "russian/msu_ru_nsh_clunits"}
WORDS = ("the a of and to in is you that it he was for on are with his they at be this from have or by one had not "
         "but what all were when we there can an your which their said if do will each about how up out them then "
         "she many some so these would other into has more her two like him see time could no make than first been "
         "its who now people my made over did down only way find use may water long little very after words called "
         "just where most know front left right rear center side channel audio stream open window morning kitchen "
         "question answer number seven children station river mountain yellow breakfast tomorrow understand "
         "remember together important beautiful everything afternoon telephone machine").split()
NOISE_TEST_ONLY = ("helicopter", "crackle")


# ---- small signal tools --------------------------------------------------------------------------

def rms(x):
    """Level of the parts of x within 25 dB of its loudest 20 ms."""
    blocks = x[:len(x) // 320 * 320].reshape(-1, 320).astype(np.float64)
    power = (blocks ** 2).mean(axis=1)
    return np.sqrt(power[power >= power.max() * 10 ** -2.5].mean() + 1e-20)


def db(x):
    return 10 ** (x / 20)


def sox(x, *effects):
    """x through sox effects, given as words."""
    raw = ["-t", "f32", "-r", str(RATE), "-c", "1", "-"]
    command = ["sox", "-V1", *raw, *raw, *map(str, effects)]
    done = subprocess.run(command, input=x.astype("<f4").tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, "<f4").astype(np.float64)


def read_audio(path):
    """Any file that sox reads, as 16 kHz mono."""
    command = ["sox", "-V1", path, "-t", "f32", "-r", str(RATE), "-c", "1", "-"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, "<f4").astype(np.float64)


def write_wav(path, x):
    samples = np.clip(np.rint(x * 32768), -32768, 32767).astype("<i2")
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def close_gaps(x, longest_s, floor_db=-42):
    """Cut what is floor_db below the loudest 10 ms: at both ends of x, and inside what lasts longer than longest_s."""
    blocks = x[:len(x) // 160 * 160].reshape(-1, 160)
    power = (blocks ** 2).mean(axis=1)
    quiet = power < power.max() * 10 ** (floor_db / 10) + 1e-12
    keep = np.ones(len(blocks), bool)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(int), [0]))))
    for start, stop in edges.reshape(-1, 2):
        at_end = start == 0 or stop == len(blocks)
        keep[start + (0 if at_end else int(longest_s * 100)):stop] = False
    return blocks[keep].ravel()


def fit(x, seconds, rng):
    """Exactly so many seconds of x: a random cut, or x repeated."""
    n = int(seconds * RATE)
    if len(x) == 0:
        raise ValueError("an empty sound")
    if len(x) < n:
        x = np.tile(x, n // len(x) + 1)
    start = rng.integers(0, len(x) - n + 1)
    return x[start:start + n]


def slow(rng, n, rate_hz):
    """A random curve with standard deviation 1 that changes about rate_hz times a second."""
    points = rng.standard_normal(int(n / RATE * rate_hz) + 4)
    return np.interp(np.arange(n) * rate_hz / RATE, np.arange(len(points)), points)


# ---- speech --------------------------------------------------------------------------------------

def random_text(rng, voice):
    """A few sentences: words where the voice is English, else invented ones, and numbers, read in each language."""
    if voice in CYRILLIC:
        consonants, vowels = "бвгджзклмнпрстфхчш", "аеиоуыэя"
    else:
        consonants, vowels = "b d f g h k l m n p r s t v z sh ch tr pl st".split(), "a e i o u ai ou".split()
    english = voice.startswith("en") or voice in FLITE["train"] + FLITE["test"] or "_us_" in voice

    def word():
        if rng.random() < 0.1 and "russian" not in voice:
            return str(rng.integers(0, 2000))
        if english and rng.random() < 0.8:
            return rng.choice(WORDS)
        syllables = rng.integers(1, 5)
        return "".join(rng.choice(list(consonants)) + rng.choice(list(vowels)) for _ in range(syllables))

    sentence = lambda: " ".join(word() for _ in range(rng.integers(4, 12))) + rng.choice([".", ",", "?", "!"])
    return " ".join(sentence() for _ in range(4))


def pick_voice(rng, split):
    """An engine and the name of one of its voices."""
    engine = rng.choice(["espeak", "flite", "festival"], p=[0.45, 0.2, 0.35])
    if engine == "flite":
        return engine, rng.choice(FLITE[split])
    if engine == "festival":
        return engine, rng.choice(list(FESTIVAL[split]))
    return engine, rng.choice(ESPEAK[split]) + "+" + rng.choice(VARIANTS[split])


def say(rng, engine, voice, text, folder):
    path, script = os.path.join(folder, "say.wav"), os.path.join(folder, "say.txt")
    with open(script, "w", encoding="utf-8") as file:
        file.write(text)
    if engine == "espeak":
        command = ["espeak-ng", "-v", voice.rstrip("+"), "-s", str(rng.integers(110, 240)),
                   "-p", str(rng.integers(15, 90)), "-f", script, "-w", path]
    elif engine == "flite":
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={rng.uniform(0.75, 1.3):.2f}",
                   "-f", script, "-o", path]
    else:
        command = ["text2wave", "-eval", f"(voice_{os.path.basename(voice)})", script, "-o", path]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=120)
    return read_audio(path)


def speech(rng, split, folder, voice=None):
    """One voice for CLIP_S seconds; no pause is longer than 0.4 s."""
    engine, name = voice or pick_voice(rng, split)
    x = np.zeros(0)
    pause = rng.uniform(0.15, 0.4)
    while len(x) < CLIP_S * RATE:
        part = close_gaps(say(rng, engine, name, random_text(rng, name.split("+")[0]), folder), pause)
        if len(part) < RATE // 4:
            raise ValueError(f"{engine} says nothing with the voice {name}")
        x = np.concatenate((x, part / rms(part), np.zeros(int(pause * RATE))))
    if rng.random() < 0.6:  # other voices of the same speaker: cents, with the formants
        x = sox(x, "pitch", rng.integers(-300, 500), "tempo", "-s", round(rng.uniform(0.88, 1.15), 2))
        x = np.tile(x, 2)
    x = x[:CLIP_S * RATE] if rng.random() < 0.5 else fit(x, CLIP_S, rng)
    return x, f"{engine}_{name.replace('/', '_')}"


# ---- music ---------------------------------------------------------------------------------------

SCALES = ([0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 4, 7, 9], [0, 3, 5, 7, 10], [0, 2, 3, 5, 7, 9, 10],
          [0, 1, 4, 5, 7, 8, 10])
TICKS = 24  # a beat
KINDS = ("band", "duo", "solo", "chords", "arpeggio", "pad", "drums", "chip")
KIND_P = (0.27, 0.12, 0.16, 0.1, 0.1, 0.07, 0.1, 0.08)


def programs(split):
    """General MIDI programs of a split, sound effects left out: in each family of eight, two are for testing alone."""
    return [p for p in range(119) if (p % 8 in (3, 6)) == (split == "test")]


def pitch(scale, root, degree):
    octave, step = divmod(int(degree), len(scale))
    return root + 12 * octave + scale[step]


def melody(rng, scale, root, beats, lengths=(0.25, 0.5, 0.5, 1, 1, 2)):
    """A walk over the scale: (start, length, key, velocity) in beats."""
    notes, at, degree = [], 0.0, rng.integers(-2, 8)
    while at < beats:
        length = rng.choice(lengths)
        degree = np.clip(degree + rng.integers(-3, 4), -5, 13)
        if rng.random() > 0.06:
            notes.append((at, length * rng.uniform(0.7, 1.05), pitch(scale, root, degree), rng.integers(60, 120)))
        at += length
    return notes


def chords(rng, scale, root, beats, every, size=3):
    notes = []
    for at in np.arange(0, beats, every):
        degree = rng.integers(0, len(scale))
        velocity = rng.integers(50, 110)
        notes += [(at, every * 0.98, pitch(scale, root, degree + 2 * i), velocity) for i in range(size)]
    return notes


def arpeggio(rng, scale, root, beats, step):
    notes, steps = [], rng.permutation([0, 2, 4, 7])
    for i, at in enumerate(np.arange(0, beats, step)):
        degree = rng.integers(0, len(scale)) if i % 8 == 0 else degree
        notes.append((at, step * 1.2, pitch(scale, root, degree + steps[i % 4]), rng.integers(70, 110)))
    return notes


def drums(rng, beats):
    """One bar of sixteen steps, repeated with small changes."""
    sounds = [36, 38, rng.choice([42, 44, 46]), rng.choice([37, 39, 51, 54, 70]), rng.choice([41, 45, 48, 56, 62, 64])]
    density = [0.3, 0.2, 0.7, 0.3, 0.15]
    bar = rng.random((5, 16)) < np.array(density)[:, None]
    bar[0, 0] = bar[1, 4] = bar[1, 12] = True
    bar[2, ::rng.choice([1, 2])] = True
    notes = []
    for at in range(int(beats * 4)):
        for hit, sound in zip(bar[:, at % 16], sounds):
            if hit != (rng.random() < 0.03):
                notes.append((at / 4, 0.2, sound, rng.integers(60, 125)))
    return notes


def piece(rng, split, kind, beats):
    """Tracks of a random piece: (channel, program, notes)."""
    scale, root = SCALES[rng.integers(len(SCALES))], int(rng.integers(48, 72))
    program = lambda: int(rng.choice(programs(split)))
    low = 36 + root % 12
    parts = {
        "solo": [lambda c: (c, program(), melody(rng, scale, root, beats))],
        "chords": [lambda c: (c, program(),
                              chords(rng, scale, root, beats, rng.choice([1, 2, 4]), rng.integers(3, 5)))],
        "arpeggio": [lambda c: (c, program(), arpeggio(rng, scale, root, beats, rng.choice([0.25, 0.5])))],
        "pad": [lambda c: (c, program() % 8 + 88 if split == "train" else int(rng.choice([91, 94, 51, 54, 19])),
                           chords(rng, scale, root, beats, 4, rng.integers(1, 5)))],
        "bass": [lambda c: (c, program() % 8 + 32 if split == "train" else int(rng.choice([35, 38])),
                            melody(rng, scale, low - 12, beats, (0.5, 1)))],
        "drums": [lambda c: (9, int(rng.choice([0, 0, 8, 16, 24, 25, 32, 40])), drums(rng, beats))],
    }
    parts["duo"] = [parts["solo"][0], parts[rng.choice(["chords", "arpeggio", "bass", "drums"])][0]]
    parts["band"] = parts["solo"] + parts["chords"] + parts["bass"] + parts["drums"]
    parts["band"] += parts["arpeggio"] * (rng.random() < 0.4)
    return [part(channel) for channel, part in enumerate(parts[kind])]


def midi(tracks, bpm):
    """A format 0 MIDI file."""
    events = [(0, bytes((0xC0 | channel, program))) for channel, program, _ in tracks]
    for channel, _, notes in tracks:
        for start, length, key, velocity in notes:
            key = int(np.clip(key, 0, 127))
            events.append((round(start * TICKS), bytes((0x90 | channel, key, int(velocity)))))
            events.append((round((start + length) * TICKS), bytes((0x80 | channel, key, 0))))
    body, now = b"\0\xff\x51\x03" + struct.pack(">I", int(60e6 / bpm))[1:], 0
    for tick, event in sorted(events, key=lambda e: e[0]):
        delta, now = tick - now, tick
        body += (bytes((0x80 | delta >> 7,)) if delta > 127 else b"") + bytes((delta & 127,)) + event
    body += b"\0\xff\x2f\0"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(body)) + body


def render(rng, split, tracks, bpm, folder):
    score, path = os.path.join(folder, "piece.mid"), os.path.join(folder, "piece.wav")
    with open(score, "wb") as file:
        file.write(midi(tracks, bpm))
    font = rng.choice(sorted(FONTS[split]), p=[0.4, 0.2, 0.4] if split == "train" else None)
    command = ["fluidsynth", "-niq", "-r", "32000", "-g", "0.5", "-R", str(rng.integers(2)), "-C", str(rng.integers(2)),
               "-o", "synth.dynamic-sample-loading=1", "-F", path, FONT_DIR + font, score]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=120)
    return read_audio(path)


def chip(rng, split, seconds, bpm):
    """Square-wave voices, a triangle bass and noise drums, as in old game machines."""
    beats, n = seconds * bpm / 60, int(seconds * RATE)
    scale, root = SCALES[rng.integers(len(SCALES))], int(rng.integers(55, 72))
    duty = rng.choice([0.5, 0.125] if split == "train" else [0.25, 0.375])
    x = np.zeros(n + RATE)

    def play(notes, wave_of_phase, gain):
        for start, length, key, _ in notes:
            a, size = int(start * 60 / bpm * RATE), max(80, int(length * 60 / bpm * RATE))
            if a < n:
                t = np.arange(min(size, len(x) - a)) / RATE
                phase = t * 440 * 2 ** ((key - 69) / 12) % 1
                x[a:a + len(t)] += gain * wave_of_phase(phase) * np.exp(-t * rng.uniform(0, 4))

    play(melody(rng, scale, root, beats, (0.25, 0.5, 0.5, 1)), lambda p: np.where(p < duty, 1.0, -1.0), 1)
    if rng.random() < 0.7:
        play(arpeggio(rng, scale, root, beats, 0.25), lambda p: np.where(p < 0.5, 1.0, -1.0), 0.5)
    if rng.random() < 0.8:
        play(melody(rng, scale, root - 24, beats, (0.5, 1)), lambda p: 4 * np.abs(p - 0.5) - 1, 1.2)
    if rng.random() < 0.5:
        play([(at, 0.12, 0, 0) for at in np.arange(0, beats, 0.5)], lambda p: rng.uniform(-1, 1, len(p)), 0.6)
    return x[:n]


def music(rng, split, folder, kind=None):
    kind = kind or rng.choice(KINDS, p=KIND_P)
    bpm = rng.uniform(66, 180)
    if kind == "chip":
        x = chip(rng, split, CLIP_S + 2, bpm)
    else:
        beats = (CLIP_S + 2) * bpm / 60
        x = render(rng, split, piece(rng, split, kind, beats), bpm, folder)
    x = close_gaps(x, 0.35)
    x = fit(x, CLIP_S, rng) if rng.random() < 0.5 or len(x) < CLIP_S * RATE else x[:CLIP_S * RATE]
    return x, kind


# ---- noise ---------------------------------------------------------------------------------------

def coloured(rng, n, slope):
    """Noise whose power falls as 1/f^slope above 40 Hz: 0 white, 1 pink, 2 brown, -1 blue."""
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * f ** (-slope / 2), n)
    return x / x.std()


def colour(rng, n):
    return coloured(rng, n, rng.choice([0, 1, 2, rng.uniform(-1, 2.2)]))


def band(rng, n):
    centre = np.exp(rng.uniform(np.log(200), np.log(6000)))
    return sox(colour(rng, n), "bandpass", round(centre), f"{rng.uniform(0.2, 3):.2f}q")


def two_bands(rng, n):
    return band(rng, n) + db(rng.uniform(-12, 0)) * band(rng, n)


def low_pass(rng, n):
    x = coloured(rng, n, rng.uniform(0, 1))
    return sox(x, "lowpass", rng.integers(300, 5000), "lowpass", rng.integers(600, 6000))


def high_pass(rng, n):
    return sox(coloured(rng, n, rng.uniform(0, 1)), "highpass", rng.integers(500, 4000))


def tones(rng, n, f0, count, slope):
    """Harmonics of f0 with random phases, falling by slope dB an octave."""
    t = np.arange(n) / RATE
    x = np.zeros(n)
    for k in range(1, count + 1):
        if k * f0 < 7500:
            x += db(-slope * np.log2(k) + rng.uniform(-10, 0)) * np.sin(2 * np.pi * (k * f0 * t + rng.random()))
    return x / x.std()


def hum(rng, n):
    return tones(rng, n, rng.choice([50, 60, 100, 120, rng.uniform(45, 125)]), rng.integers(4, 40), rng.uniform(3, 9)) \
        + db(rng.uniform(-40, -10)) * colour(rng, n)


def fan(rng, n):
    whine = sum(tones(rng, n, rng.uniform(80, 1500), rng.integers(1, 5), 6) for _ in range(rng.integers(1, 4)))
    return low_pass(rng, n) + db(rng.uniform(-25, -3)) * whine


def engine(rng, n):
    """A saw with an unsteady period, below 60 Hz, in its own noise."""
    f = rng.uniform(18, 60) * (1 + 0.03 * slow(rng, n, 2))
    saw = sox(np.cumsum(f) / RATE % 1 - 0.5, "lowpass", rng.integers(300, 2500))
    return saw / saw.std() + db(rng.uniform(-15, 3)) * low_pass(rng, n)


def tremolo(rng, n):
    x = two_bands(rng, n) if rng.random() < 0.5 else colour(rng, n)
    return sox(x, "tremolo", f"{rng.uniform(0.5, 14):.2f}", rng.integers(30, 98))


def gated(rng, n):
    """On and off at the rate of syllables, or slower; never off for more than 0.35 s."""
    gate, at = np.zeros(n), 0
    longest = rng.choice([0.25, 0.6, 2.0])
    while at < n:
        on = int(rng.uniform(0.05, longest) * RATE)
        gate[at:at + on] = db(rng.uniform(-10, 0))
        at += on + int(rng.uniform(0.03, 0.35) * RATE)
    ramp = np.hanning(rng.choice([32, 320, 960]))
    gate = np.convolve(gate, ramp / ramp.sum(), "same")
    return gate * rng.choice([colour, band, two_bands, low_pass, high_pass])(rng, n)


def wind(rng, n):
    x = np.zeros(n)
    for centre in (150, 300, 600, 1200):
        x += np.exp(0.7 * slow(rng, n, rng.uniform(0.5, 3))) * sox(coloured(rng, n, 1.5), "bandpass", centre, "1q")
    return x + 0.02 * x.std() * rng.standard_normal(n)


def pulses(rng, n, rate_hz, decay_s, filtered):
    """Random pulses of random heights, each a short decaying burst of noise."""
    x = np.zeros(n)
    hits = rng.random(n) < rate_hz / RATE
    x[hits] = np.exp(rng.normal(0, 0.7, hits.sum())) * rng.choice([-1, 1], hits.sum())
    t = np.arange(int(decay_s * 6 * RATE) + 1) / RATE
    x = np.convolve(x, np.exp(-t / decay_s) * rng.standard_normal(len(t)))[:n]
    return sox(x, *filtered) / (x.std() + 1e-9)


def rain(rng, n):
    drops = pulses(rng, n, rng.uniform(100, 1500), 0.002, ("highpass", rng.integers(300, 3000)))
    return drops + db(rng.uniform(-20, 0)) * high_pass(rng, n)


def clicks(rng, n):
    """A few hard clicks or knocks a second over a noise floor."""
    rate_hz, decay_s = rng.uniform(4, 20), rng.choice([0.001, 0.004, 0.02])
    hard = pulses(rng, n, rate_hz, decay_s, ("bandpass", rng.integers(400, 5000), "0.7q"))
    return hard / (np.abs(hard).max() + 1e-9) + db(rng.uniform(-45, -20)) * colour(rng, n)


def typing(rng, n):
    """Pairs of clicks, irregular, a keyboard; over room noise."""
    x = db(rng.uniform(-45, -25)) * coloured(rng, n, 1)
    at = 0
    while at < n - RATE // 4:
        for offset, height in ((0, 1.0), (rng.integers(600, 1600), 0.5)):
            burst = rng.standard_normal(rng.integers(80, 400))
            burst *= height * rng.uniform(0.3, 1) * np.exp(-np.arange(len(burst)) / 60)
            x[at + offset:at + offset + len(burst)] += burst
        at += int(rng.uniform(0.07, 0.35) * RATE)
    return sox(x, "bandpass", rng.integers(1000, 4000), "0.5q") + 0.3 * x


def rustle(rng, n):
    """Noise whose spectrum and level wander: handling, traffic, paper."""
    return sum(np.exp(rng.uniform(0.3, 1.2) * slow(rng, n, rng.uniform(1, 10))) * band(rng, n) for _ in range(3))


def crackle(rng, n):
    """An old record without music."""
    pops = pulses(rng, n, rng.uniform(10, 60), 0.0007, ("lowpass", 6000))
    return pops + db(rng.uniform(-25, -5)) * coloured(rng, n, 1)


def font_effect(program):
    """One of the sound effects of General MIDI, held."""
    def make(rng, n, split, folder):
        keys = [(0, 400, int(rng.integers(48, 72)), 110) for _ in range(2)]
        x = render(rng, split, [(0, program, keys)], 120, folder)[:(CLIP_S + 2) * RATE]
        return fit(close_gaps(x, 0.3), n / RATE, rng)
    return make


def crowd(rng, n, split, folder):
    """Many voices at once, of which none is understood: three speakers, each several times, at different pitches."""
    x = np.zeros(n)
    for _ in range(3):
        voice, _ = speech(rng, split, folder)
        for _ in range(rng.integers(2, 6)):
            part = sox(voice, "speed", f"{rng.uniform(0.85, 1.2):.2f}")
            x += db(rng.uniform(-10, 0)) * np.resize(np.roll(part, rng.integers(len(part))), n)
    return sox(x, "gain", -20, "reverb", rng.integers(20, 80), "lowpass", rng.integers(1500, 7000))[:n]


STEADY = {f.__name__: f for f in (colour, band, two_bands, low_pass, high_pass, hum, fan, engine, tremolo, gated, wind,
                                  rain, clicks, typing, rustle, crackle)}
NOISES = {**STEADY, **{"changing_" + f.__name__: f for f in changing.CHANGING}}
NOISE_WEIGHTS = {"colour": 2, "gated": 2.5, "hum": 2, "fan": 1.5, "sea": 0.3, "applause": 0.3, "crowd": 2,
                 **{name: 3 for name in NOISES if name not in STEADY}}
EFFECTS = {"sea": font_effect(122), "applause": font_effect(126), "helicopter": font_effect(125), "crowd": crowd}


def noise(rng, split, folder, kind=None):
    n = CLIP_S * RATE
    kinds = [k for k in [*NOISES, *EFFECTS] if split == "test" or k not in NOISE_TEST_ONLY]
    weights = np.array([NOISE_WEIGHTS.get(k, 1) for k in kinds])
    kind = kind or rng.choice(kinds, p=weights / weights.sum())
    return (NOISES[kind](rng, n) if kind in NOISES else EFFECTS[kind](rng, n, split, folder)), kind


def silence(rng, split, folder, kind=None):
    """Digital zero, the last bit, hiss and hum below -65 dBFS, or a quiet room at -75 to -45; with or without an offset."""
    n = CLIP_S * RATE
    kind = kind or rng.choice(["zero", "dither", "hiss", "hum", "room"], p=[0.15, 0.1, 0.2, 0.05, 0.5])
    if kind == "zero":
        x = np.zeros(n)
    elif kind == "dither":
        x = rng.integers(-1, 2, n) / 32768
    elif kind == "room":
        x = changing.room_tone(rng, n)
        x = x / rms(x) * db(rng.uniform(-75, -45))
    else:
        x = colour(rng, n) if kind == "hiss" else hum(rng, n)
        x = x / rms(x) * db(rng.uniform(-95, -66))
    return x + (rng.uniform(-0.003, 0.003) if rng.random() < 0.3 else 0), kind


def tone(rng, split, folder, kind=None):
    return changing.tones(rng, CLIP_S * RATE), kind or "tone"


def over_music(rng, split, folder, kind=None):
    """A voice 0 to 20 dB above music, each in a room of its own."""
    voice, name = speech(rng, split, folder)
    under, _ = music(rng, split, folder)
    voice, under = room(rng, voice), room(rng, under)
    n = min(len(voice), len(under))
    return voice[:n] / rms(voice) + under[:n] / rms(under) * db(-rng.uniform(0, 20)), kind or name


# ---- a clip --------------------------------------------------------------------------------------

def muffled(rng):
    """Effects of a voice behind a wall, under water, or through cloth."""
    corner = rng.integers(400, 1600)
    return ["lowpass", corner, "lowpass", corner] + (["reverb", rng.integers(20, 60)] if rng.random() < 0.5 else [])


def far(rng):
    """Effects of a source at the other end of a large room: mostly reverberation."""
    return ["treble", f"{rng.uniform(-12, 0):.1f}", "reverb", rng.integers(60, 100), rng.integers(10, 60), 100, 100, 0,
            f"{rng.uniform(0, 6):.1f}"]


def room(rng, x):
    """A microphone, a line and a room: tilt, telephone band, reverberation, each now and then; some muffled, some far."""
    drawn = rng.random()
    if drawn < 0.2:
        return sox(x, "gain", -20, *(muffled(rng) if drawn < 0.1 else far(rng)))[:len(x)]
    effects = []
    if rng.random() < 0.5:
        effects += ["bass", f"{rng.uniform(-10, 10):.1f}", "treble", f"{rng.uniform(-12, 8):.1f}"]
    if rng.random() < 0.3:
        effects += ["equalizer", rng.integers(300, 5000), "1q", f"{rng.uniform(-10, 8):.1f}"]
    kind = rng.choice(["wide", "telephone", "narrow"], p=[0.7, 0.15, 0.15])
    if kind == "telephone":
        effects += ["highpass", 300, "lowpass", 3400, "lowpass", 3400]
    elif kind == "narrow":
        effects += ["lowpass", rng.integers(2500, 7000)]
    if rng.random() < 0.35:
        effects += ["reverb", rng.integers(10, 75), rng.integers(20, 80), rng.integers(10, 100)]
    return sox(x, "gain", -20, *effects)[:len(x)] if effects else x


def background(rng, x, split, folder, snr):
    """x with a noise snr dB below it."""
    under, _ = noise(rng, split, folder)
    return x / rms(x) + under[:len(x)] / rms(under) * db(-snr)


def clip(label, split, seed, index, folder, level=None, snr=None, kind=None):
    """One clip of a label: samples and where they come from. level: dBFS RMS; snr: dB, speech and music only."""
    rng = np.random.default_rng([seed, split == "test", LABELS.index(label), index])
    x, kind = {"speech": speech, "music": music, "noise": noise, "silence": silence, "tone": tone,
               "music+speech": over_music}[label](rng, split, folder, kind)
    if label == "silence":
        return x, kind
    if label != "music+speech":
        x = room(rng, x)
    often, least = {"speech": (0.6, 3), "music": (0.4, 10), "noise": (0, 0), "tone": (0.5, 5), "music+speech": (0.2, 15)}[label]
    if snr is not None or rng.random() < often:
        drawn = least + (45 - least) * rng.random() ** 2
        x = background(rng, x, split, folder, drawn if snr is None else snr)
    softest = -40 if kind in STEADY else -52  # steady noise below that is a quiet room
    level = level if level is not None else rng.uniform(softest, -8) if rng.random() < 0.9 else rng.uniform(-10, -2)
    return np.clip(x / rms(x) * db(level), -1, 1), kind


def make_clip(job):
    out, label, split, seed, index, level, snr = job
    with tempfile.TemporaryDirectory() as folder:
        try:
            x, kind = clip(label, split, seed, index, folder, level, snr)
        except (subprocess.SubprocessError, ValueError) as error:
            return f"{label} {index}: left out: {error}"
    write_wav(os.path.join(out, label, f"{index:05d}-{kind}.wav"), x)
    return None


def generate(args):
    jobs = [(args.out, label, args.split, args.seed, i, args.level, args.snr)
            for i in range(args.clips) for label in args.labels]
    for label in args.labels:
        os.makedirs(os.path.join(args.out, label), exist_ok=True)
    with multiprocessing.Pool(args.jobs) as pool:
        for done, problem in enumerate(pool.imap_unordered(make_clip, jobs), 1):
            if problem:
                print(problem, file=sys.stderr)
            if done % 100 == 0:
                print(f"{done} of {len(jobs)} clips", file=sys.stderr)


# ---- the demonstration ---------------------------------------------------------------------------

DEMO = [  # label, voice or kind, seconds, level dBFS, SNR dB
    ("silence", "hiss", 2.5, None, None),
    ("speech", ("festival", "us/cmu_us_slt_arctic_hts"), 4, -24, None),
    ("noise", "low_pass", 2.5, -36, None),
    ("speech", ("espeak", "en-gb-x-rp+m7"), 3.5, -28, 25),
    ("music", "band", 5, -24, None),
    ("silence", "zero", 2, None, None),
    ("music", "solo", 4, -30, None),
    ("noise", "gated", 2.5, -38, None),
    ("speech", ("festival", "czech/czech_ph"), 3.5, -34, None),
    ("music", "drums", 3, -28, None),
    ("noise", "hum", 2, -32, None),
    ("silence", "hiss", 2, None, None),
]


def demo(path, seed):
    """The bundled recording, from the test split, and a .tsv of what is heard when."""
    parts, truth, at = [], [], 0.0
    for index, (label, kind, seconds, level, snr) in enumerate(DEMO):
        with tempfile.TemporaryDirectory() as folder:
            x, _ = clip(label, "test", seed + 1000, index, folder, level, snr, kind)
        parts.append(x[:int(seconds * RATE)])
        truth.append(f"{at:.1f}\t{at + seconds:.1f}\t{label}\n")
        at += seconds
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "demo.wav")
        write_wav(plain, np.concatenate(parts))
        subprocess.run(["sox", "-V1", "-D", plain, path], check=True)
    with open(os.path.splitext(path)[0] + ".tsv", "w", encoding="utf-8") as file:
        file.writelines(truth)


# ---- command line --------------------------------------------------------------------------------

def missing_packages(splits):
    packages = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    for split in splits:
        packages += [package for font, package in FONTS[split].items() if not os.path.exists(FONT_DIR + font)]
        packages += [package for voice, package in FESTIVAL[split].items() if not os.path.exists(VOICE_DIR + voice)]
    return packages


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", help="folder for the sound, one subfolder a label")
    parser.add_argument("--split", choices=("train", "test"), default="train", help="voices and instruments (train)")
    parser.add_argument("--seed", type=int, default=1, help="another number, other sound (default: 1)")
    parser.add_argument("--clips", type=int, default=700, help="clips a label (default: 700)")
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=LABELS)
    parser.add_argument("--level", type=float, metavar="DBFS", help="RMS level of all but silence (default: random)")
    parser.add_argument("--snr", type=float, metavar="DB", help="noise under all speech and music (default: random)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--demo", metavar="FILE", help="write the bundled recording instead")
    args = parser.parse_args()
    if not args.out and not args.demo:
        parser.error("say where: a folder, or --demo FILE")
    if args.clips < 1 or args.jobs < 1 or args.seed < 0:
        parser.error("--clips and --jobs start at 1, --seed at 0")
    return args


def main():
    args = arguments()
    missing = missing_packages(["test"] if args.demo else [args.split])
    if missing:
        sys.exit("generate.py: missing; install with:\n  sudo apt-get install -y " + " ".join(missing))
    if args.demo:
        demo(args.demo, args.seed)
    else:
        generate(args)


if __name__ == "__main__":
    main()
