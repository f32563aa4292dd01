#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Collect recordings to train and judge models with: OUT/recordings.tsv, with source, fold, label, licence and author of each.

They come from Debian packages (packages.tsv says which, and what is in them), and from folders of recordings with a table
sources.tsv. Packages are downloaded by apt-get and unpacked into OUT; nothing is installed. A second run takes what is there.

recordings.tsv has, for each file: name (SET/... or PACKAGE/..., as folds.tsv knows it), file (its path), source and fold
(folds.tsv), label (speech, music, noise or tone), event (the class of ESC-10; speech or music; - for other noise), licence, bundled
(yes where a model that is given away may learn from it), author, origin (a package with its version, a repository with its
commit), seconds, active (where something is heard, start-end in seconds) and silent (where nothing is).

examples:
  collect.py recordings --folder audio                     Debian's packages, and the recordings of audio/sources.tsv
  collect.py recordings --packages klettres-data           these packages alone
"""
import argparse
import csv
import fnmatch
import glob
import multiprocessing
import os
import shutil
import subprocess
import sys

try:
    import numpy  # noqa: F401
except ImportError:  # etc/python finds a Python that has it, or says which have not
    finder = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, "python")
    os.execv(finder, [finder, "--with", "numpy", *sys.argv])
import folds
import sound

COLUMNS = ("name", "file", "source", "fold", "label", "event", "licence", "bundled", "author", "origin", "seconds", "active",
           "silent")
AUDIO = (".wav", ".ogg", ".oga", ".flac", ".g722")
FREE = ("cc0", "cc by", "cc-by", "public domain", "mit", "bsd", "apache")   # beginnings of licences
HERE = os.path.dirname(os.path.realpath(__file__))


def bundled(licence):
    """Whether a model that is given away may learn from sound under this licence. Neither -nc nor -nd nor the GPL are."""
    words = licence.lower()
    return words.startswith(FREE) and "-nc" not in words and "-nd" not in words


def package_rows():
    return folds.read_rows(os.path.join(HERE, "packages.tsv"))


def rule(package, path, rows):
    """The first row of packages.tsv that fits; None where the package has none for this path."""
    for row in rows:
        if row["package"] == package and fnmatch.fnmatchcase("/" + path, row["files"]):
            return row
    return None


# ---- packages ------------------------------------------------------------------------------------

def download(packages, folder):
    """{package: path of its .deb}; those that are there already are taken."""
    os.makedirs(folder, exist_ok=True)
    found = lambda name: glob.glob(os.path.join(folder, name + "_*.deb"))
    missing = [name for name in packages if not found(name)]
    if missing:
        print(f"downloading {', '.join(missing)}", file=sys.stderr)
        done = subprocess.run(["apt-get", "-q", "download", *missing], cwd=folder, stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit("collect.py: apt-get could not download them; as root, apt-get update reads the list of packages anew")
    return {name: found(name)[0] for name in packages}


def unpack(deb, folder):
    """The files of a package below folder, which is made as a whole or not at all."""
    if os.path.isdir(folder):
        return
    part = folder + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    subprocess.run(["dpkg-deb", "-x", deb, part], check=True)
    os.replace(part, folder)


def readable(path):
    """A path that libsndfile reads: G.722 is decoded once, by ffmpeg, into a WAV file beside it."""
    if not path.endswith(".g722"):
        return path
    wav = path[:-5] + ".g722.wav"
    if not os.path.exists(wav):
        part = wav + ".part.wav"
        subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "g722", "-i", path, part], check=True)
        os.replace(part, wav)
    return wav


def from_packages(packages, out):
    rows, found = package_rows(), []
    known = {row["package"] for row in rows}
    for name in packages:
        if name not in known:
            sys.exit(f"collect.py: packages.tsv has no row for the package {name}")
    for name, deb in download(packages, os.path.join(out, "debs")).items():
        root = os.path.join(out, "packages", name)
        unpack(deb, root)
        for folder, _, files in sorted(os.walk(root)):
            for file in sorted(files):
                path = os.path.relpath(os.path.join(folder, file), root)
                if not file.lower().endswith(AUDIO) or file.endswith(".g722.wav"):
                    continue
                row = rule(name, path, rows)
                if row is None or row["label"] == "-":
                    continue
                label = row["label"]
                found.append({"name": f"{name}/{path}", "file": os.path.join(root, path), "label": label,
                              "event": label if label in ("speech", "music") else "-", "licence": row["licence"],
                              "author": row["author"], "origin": os.path.basename(deb)[:-4]})
    return found


# ---- folders -------------------------------------------------------------------------------------

def from_folder(folder):
    """The recordings of FOLDER/sources.tsv; the classes of ESC-10 are noise, and events of their own."""
    with open(os.path.join(folder, "sources.tsv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = []
    for row in rows:
        plain = row["label"] in ("speech", "music", "noise", "tone")
        found.append({"name": row["file"], "file": os.path.join(folder, row["file"]),
                      "label": row["label"] if plain else "noise",
                      "event": "-" if row["label"] in ("noise", "tone") else row["label"],
                      "licence": row["licence"], "author": row["credit"], "origin": row["repository@commit"]})
    return found


# ---- the table -----------------------------------------------------------------------------------

def spans(pairs):
    return " ".join(f"{start:.2f}-{end:.2f}" for start, end in pairs) or "-"


def measure(row):
    """The row with length and activity; a sentence where the file cannot be read."""
    try:
        row["file"] = readable(os.path.abspath(row["file"]))
        x = sound.read(row["file"])
    except (ValueError, OSError, subprocess.SubprocessError) as error:
        return f"left out: {row['name']}: {error}"
    heard = sound.active(x, row["label"])
    return {**row, "seconds": f"{len(x) / sound.RATE:.2f}", "active": spans(heard), "silent": spans(sound.silent(x))}


def write_table(path, rows):
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            file.write("\t".join(str(row[column]) for column in COLUMNS) + "\n")
    os.replace(path + ".part", path)


def summary(rows):
    """Seconds in which something is heard, by label and fold."""
    print(f"{'label':<8}{'files':>7}{'seconds':>9}{'bundled':>9}   seconds of folds 1 to 5")
    for label in sorted({row["label"] for row in rows}):
        chosen = [(row, sum(end - start for start, end in parse_spans(row["active"]))) for row in rows
                  if row["label"] == label]
        by_fold = [sum(s for row, s in chosen if row["fold"] == fold) for fold in folds.FOLDS]
        free = sum(s for row, s in chosen if row["bundled"] == "yes")
        print(f"{label:<8}{len(chosen):>7}{sum(by_fold):>9.0f}{free:>9.0f}   " + " ".join(f"{s:.0f}" for s in by_fold))


def parse_spans(text):
    return [] if text == "-" else [tuple(map(float, pair.split("-"))) for pair in text.split(" ")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", help="folder for packages and the table")
    parser.add_argument("--folder", action="append", default=[], metavar="DIR", help="recordings with a sources.tsv")
    parser.add_argument("--packages", nargs="*", metavar="NAME", help="Debian packages (default: all of packages.tsv)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (%(default)s)")
    return parser.parse_args()


def main():
    args = arguments()
    packages = args.packages
    if packages is None:
        packages = list(dict.fromkeys(row["package"] for row in package_rows()))
    tools = {"apt-get": packages, "dpkg-deb": packages, "ffmpeg": [name for name in packages if name.endswith("-g722")]}
    missing = [tool for tool, users in tools.items() if users and not shutil.which(tool)]
    if missing:
        sys.exit(f"collect.py: no {', no '.join(missing)} here; install with:\n  sudo apt-get install -y apt dpkg ffmpeg")
    os.makedirs(args.out, exist_ok=True)
    rows = from_packages(packages, args.out)
    for folder in args.folder:
        rows += from_folder(folder)
    table = folds.read_folds()
    for row in rows:
        row["source"], row["fold"] = folds.place(row["name"], table)
        row["bundled"] = "yes" if bundled(row["licence"]) else "no"
    with multiprocessing.Pool(args.jobs) as pool:
        measured = pool.map(measure, rows, chunksize=8)
    for problem in [row for row in measured if isinstance(row, str)]:
        print(problem, file=sys.stderr)
    measured = [row for row in measured if not isinstance(row, str)]
    if not measured:
        sys.exit("collect.py: no recording was found")
    write_table(os.path.join(args.out, "recordings.tsv"), measured)
    summary(measured)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"collect.py: {error}")
