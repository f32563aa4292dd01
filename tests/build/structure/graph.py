# SPDX-License-Identifier: MIT
"""Which file calls which, by what the linker sees and by what the source says."""
import collections
import os
import subprocess

from source import part_of, stem_of


def object_of(build, path):
    """The newest object of a .c file: libtool's or a program's, with automake's prefix or without; None: there is none."""
    folder, stem = os.path.join(build, os.path.dirname(path)), stem_of(path)
    found = []
    for place in (folder, os.path.join(folder, ".libs")):
        for name in os.listdir(place) if os.path.isdir(place) else ():
            if name == stem + ".o" or name.endswith("-" + stem + ".o"):
                found.append(os.path.join(place, name))
    return max(found, key=os.path.getmtime, default=None)


def symbols(objects):
    """{path: (defined, undefined)} of the global symbols of {path: object}."""
    result = {path: (set(), set()) for path in objects}
    paths = {place: path for path, place in objects.items()}
    listing = subprocess.run(["nm", "-A", "-P", "-g", *objects.values()], check=True, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        place, _, rest = line.partition(": ")
        name, kind = rest.split()[:2]
        result[paths[place]][kind in "Uwv"].add(name)
    return result


def calls(tree, build):
    """({file: {file: symbols}} of the .c files that have an object, the files that have none). Of several definitions, one in
    the caller's own part of the tree is meant."""
    sources = [path for path in tree.sources if path.endswith(".c")]
    objects = {path: place for path in sources for place in [object_of(build, path)] if place is not None}
    found = symbols(objects) if objects else {}
    definitions = collections.defaultdict(list)
    for path, (defined, _) in found.items():
        for name in defined:
            definitions[name].append(path)
    edges = {path: collections.defaultdict(set) for path in found}
    for path, (_, undefined) in found.items():
        for name in undefined & definitions.keys():
            target = min(definitions[name], key=lambda other: (part_of(other) != part_of(path), other))
            edges[path][target].add(name)
    return edges, [path for path in sources if path not in objects]


def includes(tree, ending):
    """{file: {header: "include"}} of the files with this ending."""
    return {path: {header: {"#include"} for header in tree.included(path)} for path in tree.sources
            if path.endswith(ending)}


def reached(edges, start):
    """What can be reached from `start`, which is not among it unless a circle leads back."""
    seen, waiting = set(), [start]
    while waiting:
        for target in edges.get(waiting.pop(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def circles(edges):
    """The sets of more than one file of which each reaches each."""
    reach = {path: reached(edges, path) for path in edges}
    found = {frozenset(other for other in reach[path] if path in reach.get(other, ())) for path in edges if
             path in reach[path]}
    return sorted((circle for circle in found if len(circle) > 1), key=sorted)


def named_calls(function):
    """(name, whether it is a member's or a parameter's) of each call in a body."""
    parameters, body = {name for name, _ in function.params}, function.body
    for i in range(1, len(body) - 1):
        if body[i].kind == "name" and body[i + 1].text == "(":
            yield body[i].text, body[i - 1].text in (".", "->") or body[i].text in parameters


def callees(tree, callbacks, function):
    """The tree's functions that a function calls. Through a field it calls what was set there; a function that calls a member or
    a parameter calls what was given to any function of its file."""
    for name, is_indirect in named_calls(function):
        target = tree.function(name, function.file) if not is_indirect else None
        if target is not None:
            yield target
        if is_indirect:
            yield from (callback.function for callback in callbacks
                        if callback.receiver == function.file and callback.field in (None, name))


def entered(tree, start, callbacks):
    """{(file, function): the one by which it is entered first, None for the start} of all that run below a function."""
    waiting = list(tree.functions.get(start, ()))
    came_from = {(function.file, function.name): None for function in waiting}
    while waiting:
        function = waiting.pop(0)
        for target in callees(tree, callbacks, function):
            if (target.file, target.name) not in came_from:
                came_from[target.file, target.name] = function.file, function.name
                waiting.append(target)
    return came_from


def way_to(came_from, path):
    """The names of the functions by which a file is entered first."""
    step = next(step for step in came_from if step[0] == path)
    names = []
    while step is not None:
        names.append(step[1])
        step = came_from[step]
    return names[::-1]
