# SPDX-License-Identifier: MIT
"""Every manual page can be read at 60, 80 and 120 columns, with groff and with mandoc: neither warns, no text goes beyond
the margin, and no column is so narrow that its words stand one below the other. Literal displays are as wide as they are.
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile

SRCDIR = os.environ.get("ATTN_SRCDIR", ".")
WIDTHS = (60, 80, 120)
STACKED = 3  # so many lines of one word, each below the other, are no text any more

# A table of the kind that must be found: its last column has no room for its words.
BAD = r""".Dd November 22, 2026
.Dt BAD 7
.Os
.Sh NAME
.Nm bad
.Nd a table that cannot be read
.Sh DESCRIPTION
Shaped as in MessagePack-RPC:
.Bl -column "notification" "[0, id, method, params]" "from the client, and answered with the same id"
.It request Ta [0, id, method, params] Ta from the client, and answered with the same id
.It response Ta [1, id, error, result] Ta from the daemon; error is nil or an error map
.El
"""
# And a list whose tags leave no room for its text.
NARROW = BAD.split(".Bl")[0] + r""".Bl -tag -width "from the client, and answered with the same idea"
.It request
one word and another and yet another
.El
"""


def groff(path, width):
    return ["groff", "-t", "-man", "-Tutf8", "-P-c", f"-rLL={width}n", f"-rLT={width}n", "-ww", path]


def mandoc(path, width):
    return ["mandoc", "-T", "utf8", "-W", "warning", "-O", f"width={width}", path]


def render(command, path, width):
    """The text without overstrikes, and what the program complained of."""
    done = subprocess.run(command(path, width), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    return re.sub(".\b", "", done.stdout), done.stderr + (f"exit status {done.returncode}" if done.returncode else "")


def body(text):
    """The lines between the page's header and its footer."""
    lines = text.rstrip().split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip() == "NAME"), 0)
    return lines[first:-1]


def without_displays(page):
    return re.sub(r"^\.Bd -literal.*?^\.Ed$", "", page, flags=re.DOTALL | re.MULTILINE)


def faults(page, command, width):
    """What is wrong with the filled text of a page, as sentences."""
    with tempfile.NamedTemporaryFile("w", suffix=".mdoc", encoding="utf-8") as file:
        file.write(without_displays(page))
        file.flush()
        lines = body(render(command, file.name, width)[0])
    found = [f"beyond the margin: {line}" for line in lines if len(line) > width]
    run = []
    for line in lines:
        indent = len(line) - len(line.lstrip())
        run = [*run, (indent, line)] if len(line.split()) == 1 and (not run or run[-1][0] == indent) else []
        if len(run) == STACKED:
            found.append("words one below the other: " + " / ".join(line.strip() for _, line in run))
    return found


def check():
    """Yields (what is claimed, complaints or None where it cannot be judged here)."""
    pages = sorted(glob.glob(os.path.join(SRCDIR, "man", "*.[1-9]")))
    yield "there are pages", [] if pages else [f"none in {SRCDIR}/man"]
    for command in (groff, mandoc):
        tool = command.__name__
        there = shutil.which(tool) is not None
        for what, bad in (("table", BAD), ("list", NARROW)):
            yield f"{tool}: a {what} that cannot be read is found", None if not there else (
                [] if all(faults(bad, command, width) for width in WIDTHS[:1]) else ["it was not"])
        for path in pages:
            with open(path, encoding="utf-8") as file:
                page = file.read()
            for width in WIDTHS:
                name = f"{os.path.basename(path)} at {width} columns"
                yield f"{tool} renders {name} without a warning", (
                    render(command, path, width)[1].splitlines() if there else None)
                yield f"{tool}: {name} can be read", faults(page, command, width) if there else None
    for path in pages:
        with open(path, "rb") as file:
            lines = [f"{i}: {line!r}" for i, line in enumerate(file, 1) if not line.isascii()]
        yield f"{os.path.basename(path)} is plain ASCII, which every formatter reads alike", lines


def main():
    count = 0
    for count, (claim, complaints) in enumerate(check(), 1):
        for complaint in complaints or []:
            print("#", complaint)
        skipped = " # SKIP it is not installed" if complaints is None else ""
        print(f"{'not ok' if complaints else 'ok'} {count} - {claim}{skipped}")
    print(f"1..{count}")


if __name__ == "__main__":
    main()
