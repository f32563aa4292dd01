# SPDX-License-Identifier: MIT
"""The structure of the C code, measured: circles of files, callbacks, the files that a batch enters, fields that several
modules write, and the daemon's order. `structure.py --build FOLDER` prints the figures and where they come from."""
import argparse
import os
import sys
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "structure"))

import callbacks  # noqa: E402  (of the folder beside this file, as all below)
import fields  # noqa: E402
import graph  # noqa: E402
import rules  # noqa: E402
from source import Tree, stem_of  # noqa: E402


class Figure(NamedTuple):
    name: str
    value: int
    most: int  # that is asked for; None: no more than told
    details: list

    @property
    def is_good(self):
        return self.most is None or self.value <= self.most


class Row(NamedTuple):
    """A callback that has its reason."""
    function: str
    receiver: str  # a stem
    reason: str


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    return [Row(*line) for line in lines]


class Structure:
    """The figures of one tree and its objects. rows: of callbacks; names: {a file's stem: the stem in the rules}."""

    def __init__(self, source, build, rows, names=None):
        self.tree, self.rows, self.names = Tree(source), rows, names or {}
        self.calls, self.without_object = graph.calls(self.tree, build)
        self.includes = {ending: graph.includes(self.tree, ending) for ending in (".c", ".h")}
        callers = callbacks.callers_of_fields(self.tree)
        self.callbacks = [callback for source in self.tree.sources.values()
                          for callback in callbacks.Finder(self.tree, source, callers).found()]

    def stem(self, path):
        return self.names.get(stem_of(path), stem_of(path))

    def rank(self, path):
        return rules.rank(self.stem(path)) if path.startswith("daemon/") else None

    def upward(self):
        """{(function's name, receiver's stem): callback} of those that go up."""
        found, reach = {}, {path: graph.reached(self.calls, path) for path in self.calls}
        for callback in self.callbacks:
            above, below = self.rank(callback.function.file), self.rank(callback.receiver)
            is_ordered = above is not None and below is not None and above < below
            if is_ordered or callback.receiver in reach.get(callback.function.file, ()):
                found.setdefault((callback.function.name, stem_of(callback.receiver)), callback)
        return found

    def objects(self):
        missing = [path for path in self.without_object if path.startswith("daemon/")]
        return Figure("files of the daemon without an object", len(missing), 0, missing)

    def circles(self):
        for name, edges in (("sources", self.calls), ("headers", self.includes[".h"])):
            found = graph.circles(edges)
            details = []
            for circle in found:
                details.append(f"{len(circle)} {name}: {' '.join(sorted(circle))}")
                details += [f"    {path} -> {target}: {' '.join(sorted(edges[path][target]))}"
                            for path in sorted(circle) for target in sorted(edges[path]) if target in circle]
            yield Figure(f"circles of {name}", len(found), 0, details)

    def unexplained(self):
        known, upward = {(row.function, row.receiver) for row in self.rows}, self.upward()
        inside = {key: callback for key, callback in upward.items() if callback.function.file.startswith("daemon/")}
        yield Figure("callbacks of the daemon without a reason", len(inside.keys() - known), 0,
                     [self.told(inside[key]) for key in sorted(inside.keys() - known)])
        yield Figure("reasons for callbacks that are none", len(known - inside.keys()), 0,
                     [" ".join(key) for key in sorted(known - inside.keys())])
        others = [self.told(callback) for key, callback in sorted(upward.items()) if key not in inside]
        yield Figure("callbacks elsewhere", len(others), None, others)

    @staticmethod
    def told(callback):
        return f"{callback.function.name} ({callback.function.file}), called by {callback.receiver}: {callback.place}"

    def entered(self, start):
        """The files of the daemon that the linker and the source say to be reached from a function."""
        own = [function.file for function in self.tree.functions.get(start, ())]
        files = {path for file in own for path in graph.reached(self.calls, file) | {file} if path.startswith("daemon/")}
        yield Figure(f"files reached from the file of {start}", len(files), None, sorted(files))
        ways = graph.entered(self.tree, start, self.callbacks)
        files = sorted({path for path, _ in ways if path.startswith("daemon/") and path.endswith(".c")})
        told = [f"{path}: {' '.join(graph.way_to(ways, path))}" for path in files] or [f"there is no {start}"]
        yield Figure(f"files that {start} enters", len(files) or rules.MOST_ENTERED + 1, rules.MOST_ENTERED, told)
        told = [line for path, line in zip(files, told) if rules.matches(self.stem(path), rules.REQUESTS)]
        yield Figure("of them files of requests", len(told), 0, told)

    def fields(self):
        unknown = []
        shared = fields.shared_fields(self.tree, rules.VALUES, unknown)
        told = {True: [], False: []}
        for (path, struct, field), modules in shared.items():
            places = "; ".join(f"{os.path.basename(name)} {' '.join(places)}" for name, places in sorted(modules.items()))
            told[path.startswith("daemon/")].append(f"{path} {struct.split()[1]}.{field}: {places}")
        yield Figure("fields of the daemon that several modules write", len(told[True]), 0, told[True])
        yield Figure("such fields elsewhere", len(told[False]), None, told[False])
        yield Figure("writes whose field is not known", len(unknown), None,
                     [f"{path}:{line}: {text}" for path, line, text in unknown])

    def order(self):
        files = [path for path in self.tree.sources if path.startswith("daemon/")]
        unnamed = [path for path in files if self.rank(path) is None]
        yield Figure("files of the daemon that the order does not name", len(unnamed), 0, unnamed)
        against = []
        for edges in (self.calls, self.includes[".c"], self.includes[".h"]):
            for path, target in ((path, target) for path in sorted(edges) for target in sorted(edges[path])):
                above, below = self.rank(path), self.rank(target)
                if above is not None and below is not None and below < above:
                    against.append(f"{path} -> {target}: {' '.join(sorted(edges[path][target]))}")
        yield Figure("calls and includes against the daemon's order", len(against), 0, against)

    def figures(self, start="batch_run"):
        return [self.objects(), *self.circles(), *self.unexplained(), *self.entered(start), *self.fields(), *self.order()]


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default=os.environ.get("ATTN_SRCDIR", "."))
    parser.add_argument("--build", default=os.environ.get("ATTN_BUILDDIR", "."))
    parser.add_argument("--start", default="batch_run", help="the function from which files are entered")
    parser.add_argument("--as", action="append", default=[], metavar="STEM=NAME", dest="names",
                        help="a file that the rules know by another name")
    parser.add_argument("--figures", action="store_true", help="leave the details out")
    return parser.parse_args()


def main():
    given = options()
    rows = read_rows(os.path.join(HERE, "structure", "callbacks.tsv"))
    names = dict(pair.split("=") for pair in given.names)
    figures = Structure(given.source, given.build, rows, names).figures(given.start)
    for figure in figures:
        asked = "" if figure.most is None else f"(at most {figure.most})"
        print(f"{figure.value:5}  {figure.name} {asked}")
    for figure in figures if not given.figures else ():
        if figure.details:
            print(f"\n{figure.name}: {figure.value}", *("  " + line for line in figure.details), sep="\n")
    sys.exit(0 if all(figure.is_good for figure in figures) else 1)


if __name__ == "__main__":
    main()
