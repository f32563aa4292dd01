# SPDX-License-Identifier: MIT
"""Who writes the fields of structs that modules share.

A write is: an assignment; ++ and --; a list macro of sys/queue.h that changes the field (of the head and of the entry); the
address of a scalar field, or an array field, given to a function that may write it. Setting a whole struct through a
pointer writes all of its fields. The field that counts is the innermost that the tree declares. Memory counts where a
pointer or a file-level variable leads to it; a function's own variables do not.

What this cannot see: writes through a pointer to a field that was kept in a variable or another field; what a function
outside the tree writes into a struct; the memory behind a pointer that is a field; fields reached through an expression
whose type the tree does not tell (these are counted, as `unknown`)."""
import collections
import itertools
import os
import re
from typing import NamedTuple

from source import QUEUES, Type, declared, part_of, stem_of
from tokens import closing, split

ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
KEYWORDS = {"if", "while", "for", "switch", "return", "sizeof", "case", "do", "else", "goto", "offsetof"}
QUEUE_WRITES = re.compile(r"(TAILQ|STAILQ|LIST|SLIST)_(INSERT|REMOVE|INIT|CONCAT|SWAP)")
SCALAR = re.compile(r"(u?int\w*_t|s?size_t|bool|char|float|double|int|(un)?signed.*|long.*|short.*|atomic_\w+|\w+id_t|enum .*)$")
# Functions of the C library that write into the array that they are given first, or second.
FILLS_FIRST = re.compile(r"(mem(cpy|set|move|pcpy)|v?s?nprintf|st[rp]n?(cpy|cat)|fgets|fread|getrandom)$")
FILLS_SECOND = re.compile(r"(read|recv|pread)$")


class Value(NamedTuple):
    """What an expression is: its type; the field that holds it, as (struct, name), where that is known; whether a pointer or a
    file-level variable led there."""
    type: Type
    field: tuple = None
    is_shared: bool = False


class Write(NamedTuple):
    struct: object
    field: str
    file: str
    line: int


def module_of(path, files):
    """X_y.c belongs to X where there is an X.h and no X_y.h."""
    folder, stem = os.path.dirname(path), stem_of(path)
    name = stem
    while os.path.join(folder, name + ".h") not in files and "_" in name:
        name = name.rsplit("_", 1)[0]
    return os.path.join(folder, name if os.path.join(folder, name + ".h") in files else stem)


def opening(tokens, i):
    """The index of the bracket that the one at i closes."""
    depth = 0
    for j in range(i, -1, -1):
        depth += tokens[j].text in (")", "]", "}")
        depth -= tokens[j].text in ("(", "[", "{")
        if depth == 0:
            return j
    return 0


def operand_before(tokens, end):
    """Where the operand that ends before `end` begins, stars included."""
    i = end
    while i > 0:
        i -= 1
        if tokens[i].text == "]":
            i = opening(tokens, i)
            continue
        if tokens[i].text == ")":
            i = opening(tokens, i)
            i -= i > 0 and tokens[i - 1].kind == "name" and tokens[i - 1].text not in KEYWORDS
        if i == 0 or tokens[i - 1].text not in (".", "->"):
            break
        i -= 1
    while i > 0 and tokens[i - 1].text == "*":
        i -= 1
    return i


def operand_after(tokens, i):
    """Where the operand that begins at i ends."""
    while i < len(tokens) and tokens[i].text in ("*", "&"):
        i += 1
    i += 1 if tokens[i].text != "(" else 0
    while i < len(tokens) and tokens[i].text in ("(", "[", ".", "->"):
        i = i + 2 if tokens[i].text in (".", "->") else closing(tokens, i) + 1
    return i


class Scanner:
    """Looks for writes in one function, from its first token to its last."""

    def __init__(self, tree, function, unknown):
        self.tree, self.path, self.tokens = tree, function.file, function.body
        self.writes, self.kept, self.unknown, self.declarators = [], set(), unknown, set()
        self.variables = {name: Value(type_, is_shared=True) for name, type_ in tree.variables(self.path).items()}
        self.variables.update((name, Value(type_)) for name, type_ in function.params)
        for i in range(len(self.tokens)):
            self.look(i)

    def look(self, i):
        token, tokens = self.tokens[i], self.tokens
        behind = tokens[i + 1].text if i + 1 < len(tokens) else ""
        if token.text in ("struct", "const") and tokens[i - 1].text in ("{", "}", ";", "(", "static"):
            self.declare(i)
        elif token.text in ASSIGNMENTS:
            self.assigned(operand_before(tokens, i), i)
        elif token.text in ("++", "--"):
            is_behind = tokens[i - 1].kind == "name" or tokens[i - 1].text in (")", "]")
            first = operand_before(tokens, i) if is_behind else i + 1
            self.assigned(first, i if is_behind else operand_after(tokens, i + 1))
        elif token.kind == "name" and behind == "(" and tokens[i - 1].text not in (".", "->"):
            self.called(token, split(tokens[i + 2:closing(tokens, i + 1)]))

    def declare(self, i):
        for name, type_ in declared(self.tokens[i:self.end_of_declaration(i)]):
            if name is not None and type_.base.startswith("struct "):
                self.variables[name.text] = Value(type_)
                self.declarators.add(id(name))

    def end_of_declaration(self, i):
        while i < len(self.tokens) and self.tokens[i].text not in (";", ")"):
            i = closing(self.tokens, i) + 1 if self.tokens[i].text in "([{" else i + 1
        return i

    def assigned(self, first, end):
        operand = self.tokens[first:end]
        if operand and id(operand[-1]) in self.declarators and all(token.text == "*" for token in operand[:-1]):
            return
        value = self.value(operand)
        if self.tokens[end].text == "=" and operand[-2:-1] and operand[-2].text in (".", "->"):
            self.keep(self.value(self.tokens[end + 1:operand_after(self.tokens, end + 1)]))
        if value is not None:
            self.write(value, operand[0].line)
        elif any(token.text == "->" for token in itertools.takewhile(lambda token: token.text != "[", operand)):
            self.unknown.append((self.path, operand[0].line, "".join(token.text for token in operand)))

    def keep(self, value):
        """A field gets this value: what it points to outlives the call."""
        if value is not None and value.type.stars > 0:
            self.kept.add(value.type.base)

    def write(self, value, line):
        struct = self.struct_of(value.type)
        if not value.is_shared:
            return
        if value.field is not None:
            self.writes.append(Write(*value.field, self.path, line))
        elif struct is not None and value.type.stars == 0:
            self.writes += [Write(struct, name, self.path, line) for name in struct.fields]

    def struct_of(self, type_):
        return self.tree.struct(type_.base, self.path) if type_.base.startswith("struct ") else None

    def value(self, tokens):
        """What an expression of names, members, indices, stars, & and brackets is; None where that is not known."""
        if not tokens:
            return None
        if tokens[0].text == "*":
            return self.pointed_to(self.value(tokens[1:]))
        if tokens[0].text == "&":
            value = self.value(tokens[1:])
            return value and Value(value.type._replace(stars=value.type.stars + 1, is_array=False))
        value, i = self.primary(tokens)
        while value is not None and i < len(tokens):
            if tokens[i].text == "[":
                value, i = self.pointed_to(value), closing(tokens, i) + 1
            elif tokens[i].text in (".", "->") and i + 1 < len(tokens):
                value, i = self.member(value, tokens[i].text, tokens[i + 1].text), i + 2
            else:
                return None
        return value

    def primary(self, tokens):
        if tokens[0].text == "(":
            end = closing(tokens, 0)
            if tokens[1].text in ("struct", "const") and end + 1 < len(tokens):
                return Value(declared(tokens[1:end])[0][1]), len(tokens)
            return self.value(tokens[1:end]), end + 1
        if len(tokens) > 1 and tokens[1].text == "(":
            function = self.tree.function(tokens[0].text, self.path)
            return function and Value(function.returns), closing(tokens, 1) + 1
        return self.variables.get(tokens[0].text), 1

    @staticmethod
    def pointed_to(value):
        if value is None:
            return None
        if value.type.is_array:
            return value._replace(type=value.type._replace(is_array=False))
        return Value(value.type._replace(stars=max(value.type.stars - 1, 0)), None, True)

    def member(self, value, mark, name):
        struct = self.struct_of(value.type)
        is_shared = value.is_shared or mark == "->" and not value.type.is_array
        if struct is None:  # of a type that the tree does not declare
            return value._replace(is_shared=is_shared, type=Type(""))
        return Value(struct.fields[name], (struct, name), is_shared) if name in struct.fields else None

    def called(self, name, arguments):
        if QUEUE_WRITES.match(name.text):
            self.queue_changed(arguments, name.line)
            return
        function = self.tree.function(name.text, self.path)
        for i, argument in enumerate(arguments):
            if function is not None:
                is_written = i < len(function.params) and self.may_write(function.params[i][1])
            else:
                is_written = self.is_filled(name.text, i, argument)
            if is_written:
                self.given(argument, name, function is None)

    @staticmethod
    def may_write(type_):
        return (type_.stars > 0 or type_.is_array) and (not type_.is_const or type_.stars > 1)

    @staticmethod
    def is_filled(name, i, argument):
        """Whether a function of another's writes into this argument; of those unknown, into any scalar it has the address of."""
        if name in KEYWORDS or name.startswith("atomic_load") or name.startswith(QUEUES):
            return False
        if name.startswith("atomic_") or FILLS_FIRST.match(name):
            return i == 0
        return bool(argument) and argument[0].text == "&" or bool(FILLS_SECOND.match(name)) and i == 1

    def given(self, argument, function, is_foreign):
        """A function got this argument and may write behind it."""
        is_address = bool(argument) and argument[0].text == "&"
        value = self.value(argument[is_address:])
        if value is None:
            return
        is_scalar = value.type.stars > 0 or bool(SCALAR.match(value.type.base))
        if value.field is not None and is_scalar and (is_address or value.type.is_array):
            self.write(value, function.line)
        elif is_foreign and FILLS_FIRST.match(function.text) and self.struct_of(value.type):
            self.write(value if is_address else self.pointed_to(value), function.line)

    def queue_changed(self, arguments, line):
        field = arguments[-1][0].text if arguments[-1] else ""
        for argument in arguments:
            value = self.value(argument[argument[:1] != [] and argument[0].text == "&":])
            struct = value and self.struct_of(value.type)
            if value and argument[0].text == "&" and value.field is not None:
                self.write(value, line)
            elif struct and value.type.stars == 1 and field in struct.fields:
                self.writes.append(Write(struct, field, self.path, line))


def kept_structs(tree):
    """The names of structs that outlive a call, as far as declarations tell: a field of another struct is one or points to
    one, or a list or a file-level variable holds them."""
    kept = {type_.base for structs in tree.structs.values() for struct in structs for type_ in struct.fields.values()}
    kept |= {type_.base for source in tree.sources.values() for type_ in source.globals.values()}
    for source in tree.sources.values():
        tokens = source.tokens
        for i, token in enumerate(tokens[:-4]):
            if token.text.startswith(QUEUES) and token.text.endswith("_HEAD"):
                kept.add("struct " + split(tokens[i + 2:closing(tokens, i + 1)])[-1][0].text)
    return kept


def shared_fields(tree, values, unknown):
    """{(file, struct, field): {module: [file:line]}} of the fields that more than one module writes; values: the names of
    structs that are left out."""
    scanners = [Scanner(tree, function, unknown) for source in tree.sources.values() for function in source.functions]
    kept = kept_structs(tree).union(*(scanner.kept for scanner in scanners)) - set(values)
    written = collections.defaultdict(lambda: collections.defaultdict(list))
    for write in (write for scanner in scanners for write in scanner.writes if write.struct.name in kept):
        place = f"{os.path.basename(write.file)}:{write.line}"
        written[write.struct.file, write.struct.name, write.field][module_of(write.file, tree.sources)].append(place)
    return {key: modules for key, modules in sorted(written.items()) if len(modules) > 1}
