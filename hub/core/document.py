"""A configuration file as data with places, and the closed-schema reading of it that collects every fault.

The loader (hub.runtime.yaml) makes `Document`s; everything that reads one goes through a `Sheet`, so that an unknown
key, a wrong type or a misspelt word is a Fault with file and line, and reading goes on to find the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from hub.errors import Fault
from hub.model import Json

Path = tuple[str | int, ...]  # keys and list positions from the top


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file, decoded. Mappings have text keys; numbers that would not survive as numbers (010, 1.10) are text."""

    file: str
    data: Json
    lines: Mapping[Path, int] = field(default_factory=dict)  # place -> line, from 1

    def where(self, path: Path = ()) -> str:
        """`file:line` of a place, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return f"{self.file}:{self.lines[path[:length]]}"
        return f"{self.file}:1"


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint with the nearest known name, else the list of them."""
    names = sorted(set(known))
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return otherwise or (f"known are {', '.join(names)}" if len(names) <= 20 else "see docs/mapping.md")


class Sheet:
    """A place in a document, with the faults found so far. Methods never raise; they note and return None or empty."""

    def __init__(self, document: Document, path: Path = (), faults: list[Fault] | None = None) -> None:
        self.document = document
        self.path = path
        self.faults: list[Fault] = [] if faults is None else faults

    # Places

    @property
    def where(self) -> str:
        return self.document.where(self.path)

    @property
    def value(self) -> Json:
        value = self.document.data
        for key in self.path:
            if isinstance(value, Mapping):
                value = value.get(str(key))
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def at(self, *path: str | int) -> Sheet:
        """A place below this one."""
        return Sheet(self.document, self.path + path, self.faults)

    def has(self, key: str) -> bool:
        value = self.value
        return isinstance(value, Mapping) and key in value

    def fault(self, code: str, message: str, fix: str = "") -> None:
        """Note a fault at this place."""
        self.faults.append(Fault(code=code, where=self.where, message=message, fix=fix))

    # Shapes

    def entries(self) -> list[tuple[str, Sheet]]:
        """Key and place of each entry of a mapping with free keys; a fault if it is none."""
        value = self.value
        if value is None:
            return []
        if not isinstance(value, Mapping):
            self.fault("CFG-011", f"{self.name} should be a mapping (key: value)", "indent its entries below it")
            return []
        return [(key, self.at(key)) for key in value]

    def items(self) -> list[Sheet]:
        """The places of a list; a fault if it is none."""
        value = self.value
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault("CFG-011", f"{self.name} should be a list", "write [a, b] or one line with - for each")
            return []
        return [self.at(position) for position in range(len(value))]

    def closed(self, known: Collection[str], required: Sequence[str] = ()) -> bool:
        """Check that this is a mapping with no other keys; False if it is none."""
        value = self.value
        if not isinstance(value, Mapping):
            self.fault("CFG-011", f"{self.name} should be a mapping (key: value)", f"its keys: {', '.join(known)}")
            return False
        for key in value:
            if key not in known:
                self.at(key).fault("CFG-010", f"unknown key {key} in {self.name}", nearest(key, known))
        for key in required:
            if key not in value:
                self.fault("CFG-013", f"{self.name} lacks {key}", f"add {key}:")
        return True

    @property
    def name(self) -> str:
        """What a person calls this place."""
        return ".".join(str(key) for key in self.path) or "the file"

    # Values

    def text(self, key: str, default: str = "") -> str:
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self._wrong(key, "text")
            return default
        return str(value)

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        value = self._get(key)
        if value is None:
            return default
        if value not in known:
            self.at(key).fault("CFG-012", f"{key} is none of {', '.join(known)}", nearest(str(value), known))
            return default
        return str(value)

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self._get(key)
        if value is not None and not isinstance(value, bool):
            self._wrong(key, "true or false")
            return default
        return default if value is None else value

    def integer(self, key: str, default: int | None = None, *, least: int | None = None) -> int | None:
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
            self._wrong(key, "a whole number" + (f" of at least {least}" if least is not None else ""))
            return default
        return value

    def number(self, key: str, default: float, *, least: float = 0.0, most: float | None = None) -> float:
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            self._wrong(key, f"a number of at least {least:g}")
            return default
        if most is not None and value > most:
            self._wrong(key, f"a number of at most {most:g}")
            return default
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text counts as a list of one."""
        value = self._get(key)
        if value is None:
            return ()
        each = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in each):
            self._wrong(key, "a list of texts")
            return ()
        return tuple(each)

    def _get(self, key: str) -> Json:
        value = self.value
        return value.get(key) if isinstance(value, Mapping) else None

    def _wrong(self, key: str, expected: str) -> None:
        self.at(key).fault("CFG-011", f"{key} should be {expected}", f"change its value to {expected}")
