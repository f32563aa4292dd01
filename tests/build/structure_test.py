# SPDX-License-Identifier: MIT
"""No figure of structure.py is worse than asked: circles, callbacks, the files of a batch, fields, the daemon's order."""
import os
import shutil

from structure import HERE, Structure, read_rows


def main():
    if shutil.which("nm") is None:
        print("1..0 # SKIP there is no nm")
        return
    rows = read_rows(os.path.join(HERE, "structure", "callbacks.tsv"))
    figures = Structure(os.environ["ATTN_SRCDIR"], os.environ["ATTN_BUILDDIR"], rows).figures()
    asked = [figure for figure in figures if figure.most is not None]
    print(f"1..{len(asked)}")
    for number, figure in enumerate(asked, 1):
        for line in figure.details if not figure.is_good else ():
            print(f"# {line}")
        print(f"{'ok' if figure.is_good else 'not ok'} {number} - {figure.name}: {figure.value}, at most {figure.most}")


main()
