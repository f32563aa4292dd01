# SPDX-License-Identifier: MIT
"""The table of folds, folds.tsv: which recordings are kept apart, so that none is on both sides of a judgement."""
import fnmatch
import os

FOLDS = (1, 2, 3, 4, 5)
TABLE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "folds.tsv")


def read_rows(path):
    """The rows of a table with a header line, as dictionaries. Lines that begin with # are comments."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    header = lines[0].split("\t")
    rows = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise ValueError(f"{path}: {len(cells)} columns instead of {len(header)}: {line}")
        rows.append(dict(zip(header, cells)))
    return rows


def read_folds(path=TABLE):
    """[(source, fold, pattern)]; a source with two folds is refused."""
    rows = [(row["source"], int(row["fold"]), row["files"]) for row in read_rows(path)]
    fold_of = {}
    for source, fold, pattern in rows:
        if fold not in FOLDS:
            raise ValueError(f"{path}: the fold of {pattern} is {fold}, not 1 to 5")
        if fold_of.setdefault(source, fold) != fold:
            raise ValueError(f"{path}: {source} is in the folds {fold_of[source]} and {fold}")
    return rows


def place(name, rows):
    """The source and the fold of the recording SET/... or PACKAGE/..., of which exactly one row must know."""
    found = [(source, fold) for source, fold, pattern in rows if fnmatch.fnmatchcase(name, pattern)]
    if len(found) != 1:
        raise ValueError(f"{name}: {len(found)} rows of folds.tsv have a place for this recording, instead of one")
    return found[0]
