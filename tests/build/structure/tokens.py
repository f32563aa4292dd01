# SPDX-License-Identifier: MIT
"""C as tokens: comments gone, the tree's own macros expanded, macros of other headers left as they are.

Both sides of an #if are kept, but for what only C++ sees. A macro that is defined differently in two headers of the tree
has the meaning of the later one."""
import re
from typing import NamedTuple

TOKEN = re.compile(r"""(?P<gap>(?:[ \t\f\r]|\\\n|//[^\n]*|/\*.*?\*/)+) | (?P<line>\n)
    | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*') | (?P<name>[A-Za-z_]\w*) | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
    | (?P<mark>\.\.\.|->|\+\+|--|<<=|>>=|[-+*/%&|^!=<>]=|&&|\|\||<<|>>|\#\#|.)""", re.S | re.X)
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    text: str
    line: int
    kind: str
    is_glued: bool = True  # to the token before


class Macro(NamedTuple):
    params: list  # None: a macro without parentheses
    body: list


def lines_of(text):
    """The tokens of each line of the preprocessor's; a line without tokens is left out."""
    line, tokens, is_glued = 1, [], False
    for match in TOKEN.finditer(text):
        if match.lastgroup == "line":
            if tokens:
                yield tokens
            tokens = []
        elif match.lastgroup != "gap":
            tokens.append(Token(match.group(), line, match.lastgroup, is_glued))
        is_glued = match.lastgroup != "gap"
        line += match.group().count("\n")
    if tokens:
        yield tokens


def closing(tokens, i):
    """The index of the bracket that closes the one at i; the last token's where none does."""
    depth = 0
    for j in range(i, len(tokens)):
        text = tokens[j].text
        depth += text in CLOSING
        depth -= text in (")", "]", "}")
        if depth == 0:
            return j
    return len(tokens) - 1


def split(tokens, mark=","):
    """The parts of tokens between marks that stand in no bracket."""
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token.text in CLOSING) - (token.text in (")", "]", "}"))
        if token.text == mark and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts if parts != [[]] else []


def define(tokens):
    """The macro of the tokens behind #define."""
    if len(tokens) < 2 or tokens[1].text != "(" or not tokens[1].is_glued:
        return Macro(None, tokens[1:])
    end = closing(tokens, 1)
    return Macro([part[0].text for part in split(tokens[2:end])], tokens[end + 1:])


def bind(macro, given):
    """What each parameter stands for; the rest of the arguments is __VA_ARGS__."""
    named = [name for name in macro.params if name != "..."]
    bound = dict(zip(named, given))
    rest = given[len(named):]
    bound["__VA_ARGS__"] = [token for part in rest for token in [Token(",", 0, "mark")] + part][1:]
    return bound


def substitute(macro, given):
    """The macro's body with its arguments, # and ## carried out."""
    bound, result, body = bind(macro, given), [], macro.body
    for i, token in enumerate(body):
        before = body[i - 1].text if i > 0 else ""
        if token.text == "#" and i + 1 < len(body) and body[i + 1].text in bound or token.text == "##":
            continue
        part = bound.get(token.text, [token])
        if before == "#" and token.text in bound:
            part = [Token('"' + "".join(t.text for t in part) + '"', token.line, "text")]
        elif before == "##" and result and part:
            part = [Token(result.pop().text + part[0].text, token.line, "name")] + part[1:]
        result += part
    return result


def expand(tokens, macros, hidden=frozenset()):
    """The tokens with the macros among them expanded; they bear the line on which the outermost name stands."""
    result, i = [], 0
    while i < len(tokens):
        token, macro = tokens[i], macros.get(tokens[i].text)
        has_arguments = i + 1 < len(tokens) and tokens[i + 1].text == "("
        if macro is None or token.text in hidden or (macro.params is not None and not has_arguments):
            result.append(token)
            i += 1
            continue
        end, body = i, macro.body
        if macro.params is not None:
            end = closing(tokens, i + 1)
            body = substitute(macro, split(tokens[i + 2:end]))
        body = [part._replace(line=token.line) for part in body]
        result += expand(body, macros, hidden | {token.text})
        i = end + 1
    return result


def preprocess(text, macros, includes):
    """All tokens of a file. macros: those of the tree's headers; it gains and loses what the file defines and undefines.
    includes: gains the names that stand in quotes or angles behind #include."""
    result, waiting, skipped = [], [], 0
    for tokens in lines_of(text):
        if tokens[0].text != "#":
            waiting += [] if skipped else tokens
            continue
        word = tokens[1].text if len(tokens) > 1 else ""
        if skipped or (word in ("ifdef", "if") and any(t.text == "__cplusplus" for t in tokens)):
            skipped += word.startswith("if")
            skipped -= word == "endif"
            continue
        result, waiting = result + expand(waiting, macros), []
        directive(word, tokens[2:], macros, includes)
    return result + expand(waiting, macros)


def directive(word, tokens, macros, includes):
    if word == "define":
        macros[tokens[0].text] = define(tokens)
    elif word == "undef":
        macros.pop(tokens[0].text, None)
    elif word == "include":
        includes.append("".join(t.text for t in tokens).strip('"<>'))
