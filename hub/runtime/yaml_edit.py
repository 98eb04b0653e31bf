"""Changes to a YAML file that somebody wrote: what is changed is written anew, every other line stays as it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from difflib import SequenceMatcher

from ruamel.yaml import YAML

from hub.model import Json


def edit_yaml(text: str, change: Callable[[Json], None]) -> str:
    """The text after `change` was done to its data. Raises what ruamel and `change` raise."""
    rewritten, changed = _dumped(text, lambda data: None), _dumped(text, change)
    merged = "".join(_merged(*(each.splitlines(keepends=True) for each in (text, rewritten, changed))))
    return merged if _data(merged) == _data(changed) else changed


def yaml_editor() -> YAML:
    """Reads and writes YAML and keeps what people wrote beside the data; lines it lays out in its own way."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 4096
    return editor


def _dumped(text: str, change: Callable[[Json], None]) -> str:
    editor, written = yaml_editor(), io.StringIO()
    data = editor.load(text)
    if data is None:
        data = {}
    change(data)
    editor.dump(data, written)
    return written.getvalue()


def _data(text: str) -> Json:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except Exception:  # noqa: BLE001 - what is no YAML is not what was meant
        return None


def _merged(text: list[str], rewritten: list[str], changed: list[str]) -> list[str]:
    """Three-way merge by lines: to what stands as `text`, what makes `rewritten` into `changed`.

    Where both the layout and the change touch the same lines, the change's are taken.
    """
    layout = _layout(rewritten, text)
    edits: list[tuple[int, int, list[str]]] = []  # lines of `rewritten` from, to -> what stands there
    for begin, end, new in _differences(rewritten, changed):
        first, last = begin, end
        for start, stop, _ in layout:
            if (start < end and begin < stop) or start < begin == end < stop:
                first, last = min(first, start), max(last, stop)
        lines = [*rewritten[first:begin], *new, *rewritten[end:last]]
        if edits and first < edits[-1][1]:  # both reach into one piece of layout
            before = edits.pop()
            lines = [*before[2][: len(before[2]) - (before[1] - begin)], *new, *rewritten[end:last]]
            first = before[0]
        edits.append((first, last, lines))
    return _applied(rewritten, edits, layout)


def _differences(old: list[str], new: list[str]) -> list[tuple[int, int, list[str]]]:
    found = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(first, last, new[start:stop]) for kind, first, last, start, stop in found if kind != "equal"]


def _layout(rewritten: list[str], text: list[str]) -> list[tuple[int, int, list[str]]]:
    """How lines differ that say the same: line by line where only spaces do."""
    old, new = (["".join(line.split()) for line in lines] for lines in (rewritten, text))
    found: list[tuple[int, int, list[str]]] = []
    for kind, first, last, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            found.append((first, last, text[start:stop]))
            continue
        for line, other in zip(range(first, last), text[start:stop], strict=True):
            if rewritten[line] != other:
                found.append((line, line + 1, [other]))
    return found


def _applied(
    lines: list[str], edits: list[tuple[int, int, list[str]]], layout: list[tuple[int, int, list[str]]]
) -> list[str]:
    """The edits, and of the layout what no edit covers."""
    free = [each for each in layout if not any(first <= each[0] and each[1] <= last for first, last, _ in edits)]
    found, place = [], 0
    for first, last, new in sorted([*edits, *free], key=lambda each: each[:2]):
        found += [*lines[place:first], *new]
        place = last
    return [*found, *lines[place:]]
