# SPDX-License-Identifier: MIT
"""Functions that are called from below: a file hands one down, and the call that comes back up is none the linker sees.

A callback is a function whose name stands in the source without a call, where it is given to a function of the tree, or to a
field through which some file of the tree calls; and whose file itself calls, however indirectly, the file that receives it.
Functions given to other libraries are outside, and so is a table that only its own file uses. What this cannot see: a
function that is returned, or that the receiver passes on; fields of one name are taken for one."""
import collections
from typing import NamedTuple

from fields import KEYWORDS
from tokens import split


class Callback(NamedTuple):
    function: object
    receiver: str  # a path
    field: str  # through which it is called; None: it was given to a function
    place: str


def enclosing(tokens):
    """For each token the index of the bracket that it stands in, or -1."""
    stack, result = [-1], []
    for i, token in enumerate(tokens):
        if token.text in (")", "]", "}") and len(stack) > 1:
            stack.pop()
        result.append(stack[-1])
        if token.text in ("(", "[", "{"):
            stack.append(i)
    return result


def callers_of_fields(tree):
    """{field: files that call through it}."""
    callers = collections.defaultdict(set)
    for source in tree.sources.values():
        tokens = source.tokens
        for i in range(1, len(tokens) - 1):
            if tokens[i - 1].text in (".", "->") and tokens[i + 1].text == "(" and tokens[i].kind == "name":
                callers[tokens[i].text].add(source.path)
    return callers


class Finder:
    """Looks for the functions that one file hands out."""

    def __init__(self, tree, source, callers):
        self.tree, self.path, self.tokens, self.callers = tree, source.path, source.tokens, callers
        self.around = enclosing(self.tokens)

    def found(self):
        for i in range(1, len(self.tokens) - 1):
            token = self.tokens[i]
            if token.kind == "name" and self.tokens[i + 1].text in (",", ")", "}", ";", ":") and \
                    self.tokens[i - 1].text in ("(", ",", "=", "{", "?", ":", "&"):
                function = self.tree.function(token.text, self.path)
                receivers, field = self.receivers(i) if function is not None else ((), None)
                for receiver in receivers:
                    if receiver != function.file:
                        yield Callback(function, receiver, field, f"{self.path}:{token.line}")

    def receivers(self, i):
        """The files that get what stands at i, and the field through which they call it."""
        field, bracket = self.field_before(i), self.around[i]
        if field is None and self.tokens[bracket].text == "{":
            field = self.nth_field(bracket, i)
        if field is None and self.tokens[bracket].text == "(" and self.tokens[bracket - 1].kind == "name":
            return self.called(bracket - 1)
        return self.callers.get(field, ()), field

    def field_before(self, i):
        """The field of `.field = name` or `x->field = name`; None where it is neither."""
        if self.tokens[i - 1].text == "=" and self.tokens[i - 3].text in (".", "->"):
            return self.tokens[i - 2].text
        return None

    def called(self, at):
        name = self.tokens[at].text
        function = self.tree.function(name, self.path) if name not in KEYWORDS else None
        if self.tokens[at - 1].text in (".", "->"):
            return self.callers.get(name, ()), None
        return (function.file,) if function is not None else (), None

    def nth_field(self, brace, i):
        """The field of a struct that is set without its name; None where the struct is not known."""
        struct, n = self.struct_before(brace), len(split(self.tokens[brace + 1:i + 1])) - 1
        names = list(struct.fields) if struct is not None else []
        return names[n] if n < len(names) else None

    def struct_before(self, brace):
        """The struct whose fields stand in this brace, be it of one or of an array of them."""
        while brace > 0 and self.tokens[brace - 1].text in ("{", ",", "]"):
            brace = self.around[brace]
        i = brace
        while i > 0 and self.tokens[i - 1].text not in (";", "{", "}"):
            i -= 1
            if self.tokens[i].text == "struct":
                return self.tree.struct("struct " + self.tokens[i + 1].text, self.path)
        return None
