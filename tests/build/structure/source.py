# SPDX-License-Identifier: MIT
"""The tree's C files as functions, structs and includes. What a name means depends on the file that uses it: first what the
file itself defines, then a header or another file of its part of the tree, then one of another part."""
import collections
import os
from typing import NamedTuple

from tokens import closing, preprocess, split

PARTS = ("lib", "protocol", "daemon", "clients/attnctl", "clients/libattnclient", "clients/attnc")
SEARCHED = ("", "lib", "clients")  # folders that the compiler looks for "..." in, after the file's own
QUALIFIERS = {"const", "static", "inline", "extern", "register", "volatile", "restrict", "_Atomic", "_Noreturn"}
BUILTIN = {"unsigned", "signed", "int", "char", "long", "short", "float", "double", "void"}
QUEUES = ("TAILQ_", "STAILQ_", "LIST_", "SLIST_")


class Type(NamedTuple):
    base: str  # "struct stream", "uint64_t", "queue"
    stars: int = 0
    is_array: bool = False
    is_const: bool = False  # what stands before the stars


class Struct(NamedTuple):
    name: str  # "struct stream"
    file: str
    line: int
    fields: dict  # name: Type


class Function(NamedTuple):
    name: str
    file: str
    returns: Type
    params: list  # of (name, Type)
    body: list
    is_local: bool


class Source(NamedTuple):
    path: str
    includes: list
    tokens: list
    functions: list
    globals: dict  # name: Type


def part_of(path):
    return next((part for part in PARTS if path.startswith(part + "/")), os.path.dirname(path))


def stem_of(path):
    return os.path.splitext(os.path.basename(path))[0]


def base_type(tokens):
    """The type at the front of a declaration, and what stands behind it."""
    is_const, i = False, 0
    while i < len(tokens) and tokens[i].text in QUALIFIERS:
        is_const = is_const or tokens[i].text == "const"
        i += 1
    words = [token.text for token in tokens[i:i + 2]]
    if words and words[0] in ("struct", "union", "enum"):
        base, i = " ".join(words), i + 2
        if words[1:] == ["{"]:
            base, i = words[0], closing(tokens, i - 1) + 1
    elif words and words[0].startswith(QUEUES):
        base, i = "queue", closing(tokens, i + 1) + 1
    else:
        first = i
        while i < len(tokens) and (tokens[i].text in BUILTIN or (i == first and tokens[i].kind == "name")):
            i += 1
        base = " ".join(token.text for token in tokens[first:i])
    return Type(base, is_const=is_const or any(t.text == "const" for t in tokens[i:i + 1])), tokens[i:]


def declarator(tokens, base):
    """The token of the name that is declared, or None, and its type."""
    tokens = (split(tokens, "=") or [[]])[0]
    names = [i for i, token in enumerate(tokens) if token.kind == "name" and token.text not in QUALIFIERS]
    if not names:
        return None, base._replace(stars=sum(t.text == "*" for t in tokens))
    at = names[0]
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if behind == "(" or (at > 1 and tokens[at - 2].text == "("):
        return tokens[at], Type("function")
    return tokens[at], base._replace(stars=sum(t.text == "*" for t in tokens[:at]), is_array=behind == "[")


def declared(tokens):
    """(token of the name or None, Type) of each variable, parameter or field of one declaration."""
    base, rest = base_type(tokens)
    return [declarator(part, base) for part in split(rest)] or [(None, base)]


class Reader:
    """Takes one file apart."""

    def __init__(self, path, text, macros):
        self.structs, includes = [], []
        self.source = Source(path, includes, preprocess(text, macros, includes), [], {})
        self.read()

    def read(self):
        tokens, begin, i = self.source.tokens, 0, 0
        while i < len(tokens):
            if tokens[i].text == "{" and self.is_function(tokens[begin:i]):
                end = closing(tokens, i)
                self.add_function(tokens[begin:i], tokens[i:end + 1])
                begin = i = end + 1
            elif tokens[i].text == ";":
                self.declaration(tokens[begin:i])
                begin = i = i + 1
            else:
                i = closing(tokens, i) + 1 if tokens[i].text in "([{" else i + 1

    @staticmethod
    def is_function(head):
        return len(head) > 2 and head[-1].text == ")" and not any(token.text == "=" for token in head)

    def add_function(self, head, body):
        at = len(head) - 1
        while closing(head, at) != len(head) - 1 or head[at].text != "(":
            at -= 1
        params = [declared(part)[0] for part in split(head[at + 1:-1])]
        returns, stars = base_type(head[:at - 1])
        returns = returns._replace(stars=sum(token.text == "*" for token in stars))
        self.source.functions.append(Function(
            head[at - 1].text, self.source.path, returns, [(name.text if name else "", type_) for name, type_ in params],
            body, any(token.text == "static" for token in head)))

    def declaration(self, tokens):
        """One at file level: a struct, a variable, a list's head; prototypes say nothing that is not said elsewhere."""
        if tokens and tokens[0].text.startswith(QUEUES):
            name = "struct " + tokens[2].text
            self.structs.append(Struct(name, self.source.path, tokens[0].line, {}))
        elif tokens and tokens[0].text != "typedef":
            for name, type_ in declared(self.without_body(tokens)):
                if name is not None and type_.base.startswith("struct "):
                    self.source.globals[name.text] = type_

    def without_body(self, tokens, within=""):
        """A declaration whose struct stands by its name alone; the struct is kept. within: the struct around it."""
        i = next((i for i, token in enumerate(tokens[:-1]) if token.text in ("struct", "union")), None)
        if i is None:
            return tokens
        at = i + 1 if tokens[i + 1].text == "{" else i + 2
        if at >= len(tokens) or tokens[at].text != "{" or any(t.text == "=" for t in tokens[:at]):
            return tokens
        end = closing(tokens, at)
        tag = tokens[i + 1] if at == i + 2 else tokens[i]._replace(
            text=within + "." + (tokens[-1].text if end + 1 < len(tokens) else ""), kind="name")
        struct = tokens[i]._replace(text="struct")
        self.add_struct(tag, tokens[at + 1:end])
        return tokens[:i] + [struct, tag] + tokens[end + 1:]

    def add_struct(self, tag, body):
        fields = {}
        for member in split(body, ";"):
            if not member:
                continue
            names = declared(self.without_body(member, tag.text))
            if names == [(None, names[0][1])]:  # what it contains is reached as if it stood here
                fields.update(next((s.fields for s in self.structs if s.name == names[0][1].base), {}))
            fields.update((name.text, type_) for name, type_ in names if name is not None)
        self.structs.append(Struct("struct " + tag.text, self.source.path, tag.line, fields))


class Tree:
    """All files below the parts of a source folder, by their paths in it."""

    def __init__(self, folder):
        self.folder, self.sources = folder, {}
        self.structs, self.functions = collections.defaultdict(list), collections.defaultdict(list)
        macros = {}
        paths = sorted(self.find(), key=lambda path: (path.endswith(".c"), path))
        for path in paths:
            if path.endswith(".h"):
                self.read(path, macros)
        for path in paths:
            self.add(self.read(path, dict(macros)))
        self.shown = {name: type_ for path in paths if path.endswith(".h")
                      for name, type_ in self.sources[path].globals.items()}

    def find(self):
        for part in sorted({part.split("/")[0] for part in PARTS}):
            for folder, _, names in os.walk(os.path.join(self.folder, part)):
                for name in names:
                    if name.endswith((".c", ".h")):
                        yield os.path.relpath(os.path.join(folder, name), self.folder)

    def read(self, path, macros):
        with open(os.path.join(self.folder, path), encoding="utf-8") as file:
            return Reader(path, file.read(), macros)

    def add(self, reader):
        self.sources[reader.source.path] = reader.source
        for struct in reader.structs:
            self.structs[struct.name].append(struct)
        for function in reader.source.functions:
            self.functions[function.name].append(function)

    @staticmethod
    def nearest(candidates, path):
        """The one that a name means in this file: None where it means nothing of the tree's."""
        def distance(found):
            return (found.file != path, part_of(found.file) != part_of(path), found.file.endswith(".c"))
        visible = [c for c in candidates if c.file == path or not getattr(c, "is_local", c.file.endswith(".c"))
                   or c.file.endswith(".h")]
        return min(visible, key=distance, default=None)

    def struct(self, name, path):
        return self.nearest(self.structs.get(name, ()), path)

    def function(self, name, path):
        return self.nearest(self.functions.get(name, ()), path)

    def variables(self, path):
        """{name: type} of the file-level variables that a file may use."""
        return {**self.shown, **self.sources[path].globals}

    def included(self, path):
        """The tree's own headers that a file names."""
        for name in self.sources[path].includes:
            places = [os.path.dirname(path)] + list(SEARCHED)
            found = [os.path.normpath(os.path.join(place, name)) for place in places]
            yield from [place for place in found if place in self.sources][:1]
