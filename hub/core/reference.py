"""The parts of docs/mapping.md that are made of the code: keys, transforms, codes. A test holds the page to them."""

from __future__ import annotations

import re

from hub.core.canonical_file import CHANNELS, TYPES
from hub.core.codes import CODES
from hub.core.mapping_file import CASE_KEYS, FILE_KEYS, STREAM_KEYS
from hub.core.mapping_rules import RULE_KEYS
from hub.core.transforms import Transform, table


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def transforms_table(*, wire: bool) -> str:
    """Markdown: name, types, what it does with its options, what it loses."""
    head = [_row("name", "for", "what it does", "loses"), _row("---", "---", "---", "---")]
    return "\n".join([*head, *(_entry(each) for each in table().values() if each.wire == wire)])


def _entry(entry: Transform) -> str:
    options = []
    for name, option in entry.options.items():
        marks = [mark for mark, holds in (("required", option.required), ("alone", name == entry.alone)) if holds]
        choices = f": {', '.join(option.choices)}" if option.choices else ""
        remark = f" ({', '.join(marks)})" if marks else ""
        options.append(f"`{name}` {option.text}{choices}{remark}")
    text = entry.text + (f" Options: {'; '.join(options)}." if options else "")
    return _row(f"`{entry.name}`", ", ".join(entry.types), text, entry.loses or "")


def codes_table() -> str:
    """Markdown: code, meaning; advice is marked."""
    head = [_row("code", "meaning"), _row("---", "---")]
    rows = [_row(f"`{name}`", code.text + ("" if code.stops else " *Advice.*")) for name, code in CODES.items()]
    return "\n".join([*head, *rows])


def keys_list() -> str:
    """Markdown: the keys that each level knows, the types and the channels."""
    levels = {
        "file": FILE_KEYS,
        "stream": STREAM_KEYS,
        "field": RULE_KEYS,
        "computed field": CASE_KEYS,
        "canonical types": TYPES,
        "consent channels": CHANNELS,
    }
    return "\n".join(f"- {level}: `{'`, `'.join(keys)}`" for level, keys in levels.items())


BLOCKS = {
    "keys": keys_list,
    "wires": lambda: transforms_table(wire=True),
    "transforms": lambda: transforms_table(wire=False),
    "codes": codes_table,
}


def fill(page: str) -> str:
    """The page with every `<!-- name -->` … `<!-- /name -->` block as the code has it."""
    for name, make in BLOCKS.items():
        block = re.compile(f"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        text = f"<!-- {name} -->\n{make()}\n<!-- /{name} -->"
        page = block.sub(lambda found, text=text: text, page)  # type: ignore[misc]
    return page
