"""Closed YAML 1.2 reading: plain data with a line for every place, and nothing that could surprise or be abused.

Built on ruamel's events, so nothing is ever constructed: no tag, anchor, alias, merge key, directive or second
document; keys are texts, each once. Scalars: true/false, null, whole numbers and fractions that survive as numbers;
everything else is text (`NO`, `12:30:00`, `010`, `1.10`, dates), to be typed by whoever reads it.

Limits (reliability.md, attack 26): 1 MB, 20 levels, 20,000 nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path as FilePath

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from hub.core.document import Document, Path
from hub.errors import ConfigFault, Fault
from hub.model import Json

LIMIT_BYTES = 1_000_000
LIMIT_DEPTH = 20
LIMIT_NODES = 20_000

KEPT = 64  # documents that are not parsed again while their text is the same

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+", re.ASCII)


def load_yaml(path: FilePath, *, shown_as: str = "") -> Document:
    """Read a file.

    Raises:
        ConfigFault: CFG-005 not there or unreadable, CFG-001 no YAML, CFG-002 duplicate key, CFG-003 not allowed,
            CFG-004 too large.
    """
    name = shown_as or path.name
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise _fault(name, 1, "CFG-004", "a file of more than 1 MB", "split it")
        raw = path.read_bytes()
    except OSError as reason:
        raise _fault(name, 1, "CFG-005", f"cannot be read: {reason.strerror}", "check its name and rights") from None
    return _parsed(raw, name)


@lru_cache(maxsize=KEPT)
def _parsed(raw: bytes, file: str) -> Document:
    """Of a project's thirty files a console checks again and again one has changed; nobody changes a document."""
    return parse_yaml(raw, file)


def parse_yaml(text: bytes | str, file: str) -> Document:
    """Parse a text; `file` is what messages call it. Raises as `load_yaml`."""
    if len(text) > LIMIT_BYTES:
        raise _fault(file, 1, "CFG-004", "a file of more than 1 MB", "split it")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise _fault(file, 1, "CFG-001", "the file is not UTF-8", "save it as UTF-8") from None
    try:
        events = _guarded(YAML(typ="safe", pure=True).parse(decoded), file)
        lines: dict[Path, int] = {}
        data = _build_file(events, file, lines)
    except YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(fault, "problem", None) or "it does not parse"
        raise _fault(file, line, "CFG-001", f"no YAML: {what}", "check the indentation and the colons") from None
    return Document(file=file, data=data, lines=lines)


def _fault(file: str, line: int, code: str, message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code=code, where=f"{file}:{line}", message=message, fix=fix)])


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _guarded(events: Iterator[Event], file: str) -> Iterator[Event]:
    """The events, with everything refused that plain data does not need."""
    depth = nodes = documents = 0
    for event in events:
        line = _line(event)
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _fault(file, line, "CFG-003", "a second document in the file", "make it a file of its own")
            if event.version or event.tags:
                raise _fault(file, line, "CFG-003", "a YAML directive", "leave out lines that start with %")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise _fault(file, line, "CFG-003", "an anchor or alias (& or *)", "write the value out, or quote it")
        if getattr(event, "tag", None):
            raise _fault(file, line, "CFG-003", "a tag (!)", "write the plain value, or quote it")
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1
        nodes += isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent)
        if depth > LIMIT_DEPTH or nodes > LIMIT_NODES:
            raise _fault(file, line, "CFG-004", "too many levels or entries", "split the file")
        yield event


def _build_file(events: Iterator[Event], file: str, lines: dict[Path, int]) -> Json:
    for event in events:
        if isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent):
            lines[()] = _line(event)
            data = _build(event, events, file, (), lines)
            for _ in events:  # to its end, so that what follows is refused as well
                pass
            return data
    return None


def _build(event: Event, events: Iterator[Event], file: str, path: Path, lines: dict[Path, int]) -> Json:
    if isinstance(event, ScalarEvent):
        return _scalar(event)
    if isinstance(event, SequenceStartEvent):
        items: list[Json] = []
        while not isinstance(each := next(events), SequenceEndEvent):
            lines[*path, len(items)] = _line(each)
            items.append(_build(each, events, file, (*path, len(items)), lines))
        return items
    entries: dict[str, Json] = {}
    while not isinstance(each := next(events), MappingEndEvent):
        key = _key(each, file, path, lines, entries)
        lines[*path, key] = _line(each)
        entries[key] = _build(next(events), events, file, (*path, key), lines)
    return entries


def _key(event: Event, file: str, path: Path, lines: dict[Path, int], known: dict[str, Json]) -> str:
    line = _line(event)
    if not isinstance(event, ScalarEvent):
        raise _fault(file, line, "CFG-003", "a key that is no text", "use a plain word as key")
    key = str(event.value)
    if key == "<<" and event.style is None:
        raise _fault(file, line, "CFG-003", "a merge key (<<)", "write the entries out")
    if key in known:
        first = lines[*path, key]
        raise _fault(file, line, "CFG-002", f"key {key} stands here and in line {first}", "keep one of the two")
    return key


def _scalar(event: ScalarEvent) -> Json:
    """A quoted scalar is text. A plain one is what its whole text says, if nothing of it gets lost."""
    text = str(event.value)
    if event.style not in (None, ""):
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    if _FRACTION.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return text
