"""Every error code that the code can say, found by a walk over its syntax trees, with the words said beside it.

A code is a constant such as "NET-429": given to an error, a fault or a refusal, as a class's default, or at the head of
a sentence ("RWD-LIMIT: …"). Nothing is run, so a code that nothing has raised yet is found like any other. What is put
into a sentence while the hub runs shows as "…".
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIXES = (
    "CFG|MAP|RWD|CSV|FILE|NET|AUTH|SEC|SIG|HOOK|REC|PUSH|REF|IDN|PAGE|CUR|RUN|STORE|HS|SF|PLUM|PLAN|UNDO|REV|HUB|WHY"
    "|NOTE|DRAFT|API|ERASE|EXPORT|TRK|REST|TAP|PROG|DLV|MAIL|AUDIT|KPI|DRV|TRG|TRUST|LOG|POINTS|SHEET"
    "|ACTIVECAMPAIGN|BIGCOMMERCE|CALENDLY|CLICKFUNNELS|EVENTBRITE|FRESHSALES|JOTFORM|MINDBODY|QUICKBOOKS|SHOPIFY|STRIPE"
    "|TYPEFORM|UNBOUNCE|ZOHO"
)  # fmt: skip
CODE = re.compile(rf"(?:{PREFIXES})(?:-[A-Z0-9]+)+")
HEAD = re.compile(rf"({CODE.pattern}): (.+)", re.DOTALL)

Names = Mapping[str, list[str]]  # variable -> the texts that it may hold


@dataclass(slots=True)
class Said:
    """What is said with one code."""

    messages: list[str] = field(default_factory=list)
    fixes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def add(self, file: str, messages: Iterable[str] = (), fixes: Iterable[str] = ()) -> None:
        for known, news in ((self.messages, messages), (self.fixes, fixes), (self.files, (file,))):
            known += [each for each in dict.fromkeys(news) if each not in known]


def codes_said(sources: Mapping[str, str]) -> dict[str, Said]:
    """Code -> what is said with it.

    Args:
        sources: file name, as it shall be shown -> Python source.
    """
    found: dict[str, Said] = defaultdict(Said)
    for file, text in sources.items():
        tree = ast.parse(text, filename=file)
        for scope, names in _scopes(tree):
            for node in _within(scope):
                for code, messages, fixes in _says(node, names):
                    found[code].add(file, messages, fixes)
    return dict(sorted(found.items()))


def read_sources(root: Path, *rooms: str, leave: Iterable[str] = ()) -> dict[str, str]:
    """Python files below the rooms of a folder, by their path there; `leave` names beginnings of paths to leave out."""
    paths = (path for room in rooms for path in sorted((root / room).rglob("*.py")))
    named = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path.read_text("utf-8") for name, path in named.items() if not name.startswith(tuple(leave))}


# Scopes

Scope = ast.Module | ast.FunctionDef


def _scopes(tree: ast.Module) -> Iterator[tuple[Scope, Names]]:
    """The module, then each function, with the texts that names can stand for there."""
    top = _assigned(_within(tree))
    yield tree, top
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node, {**top, **_assigned(ast.walk(node))}


def _within(scope: Scope) -> Iterator[ast.AST]:
    """Nodes of a scope, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _within(child)  # type: ignore[arg-type]


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node):
                if isinstance(target, ast.Name):
                    found[target.id] += _texts(value, {})
    return found


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target with its value; ``a, b = x, y`` is two."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


# Texts


def _texts(node: ast.expr | None, names: Names) -> list[str]:
    """The texts that an expression may be, as far as they stand in the source."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)]
        case ast.IfExp(body=one, orelse=other):
            return _texts(one, names) + _texts(other, names)
        case ast.BoolOp(values=parts):
            return [text for part in parts for text in _texts(part, names)]
        case ast.BinOp(left=left, right=right):
            sides = [_texts(side, names) for side in (left, right)]
            return ["".join(side[0] if side else "…" for side in sides)] if any(sides) else []
        case ast.Name(id=name):
            return list(names.get(name, ()))
    return []


def _codes(node: ast.expr | None, names: Names) -> list[str]:
    return [text for text in _texts(node, names) if CODE.fullmatch(text)]


# What a node says

Found = tuple[str, list[str], list[str]]  # code, messages, fixes


def _says(node: ast.AST, names: Names) -> list[Found]:
    match node:
        case ast.Call():
            return _call(node, names)
        case ast.ClassDef():
            return _default(node, names)
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            parts: dict[object, ast.expr] = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
            return _named(parts, names) + _told(parts, names)
        case ast.Constant() | ast.JoinedStr():
            heads = [HEAD.fullmatch(text) for text in _texts(node, names)]
            return [(head[1], [head[2]], []) for head in heads if head]
    return []


def _named(parts: Mapping[object, ast.expr], names: Names) -> list[Found]:
    message = _texts(parts.get("message") or parts.get("text"), names)
    return [(code, message, _texts(parts.get("fix"), names)) for code in _codes(parts.get("code"), names)]


def _told(parts: Mapping[object, ast.expr], names: Names) -> list[Found]:
    """A table of codes and what is said of each."""
    codes = [key for key in parts if isinstance(key, str) and CODE.fullmatch(key)]
    return [(code, said, []) for code in codes if (said := _texts(parts[code], names))]


def _call(call: ast.Call, names: Names) -> list[Found]:
    """``Error(message, code=…, fix=…)``, ``Fault(code=…, message=…, fix=…)``, or ``fault(…, code, message, fix)``."""
    parts: dict[object, ast.expr] = {each.arg: each.value for each in call.keywords}
    if _codes(parts.get("code"), names):
        if not {"message", "text"} & parts.keys() and call.args:
            parts["message"] = call.args[0]
        return _named(parts, names)
    for place, argument in enumerate(call.args):
        codes = _codes(argument, names)
        if codes:
            after = [texts for texts in (_texts(each, names) for each in call.args[place + 1 :]) if texts]
            before = [texts for texts in (_texts(each, names) for each in call.args[:place]) if texts]
            message, fix = _last_two(after or before[-1:])
            return [(code, message, _texts(parts.get("fix"), names) or fix) for code in codes]
    return []


def _last_two(found: list[list[str]]) -> tuple[list[str], list[str]]:
    """Message and fix stand last, in this order; what is before them says where."""
    told = found[-2:] if len(found) > 2 else found
    return (told[0] if told else []), (told[1] if len(told) > 1 else [])


def _default(node: ast.ClassDef, names: Names) -> list[Found]:
    """A class of errors: its default code, and the first paragraph of its docstring."""
    meaning = (ast.get_docstring(node) or "").partition("\n\n")[0]
    defaults = [
        value
        for each in node.body
        if isinstance(each, ast.Assign)
        for target, value in _pairs(each)
        if isinstance(target, ast.Name) and target.id == "default_code"
    ]
    return [(code, [meaning], []) for value in defaults for code in _codes(value, names)]
