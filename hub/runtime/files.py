"""The door to files: what `http` is for vendors. Nothing outside one directory is read or written.

Invariant: a file is seen whole and in one state, or not at all, and it is replaced whole and in one step. Between the
last look and the rename there is a gap that no operating system lets us close; whoever writes the file in exactly that
instant loses, which is why `write: in_place` is for files that the hub shares with people, not with other programs.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from hub.connector import FileSnapshot, TextFormat
from hub.errors import ConfigFault, Fault, PreconditionFailed, RetryLater
from hub.runtime.clock import Clock

LIMIT_BYTES = 256 * 1024 * 1024  # whole files are held in memory while their rows are read
DELIMITERS = (",", ";", "\t", "|")  # in order of preference

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Codecs whose own output begins with a mark, or that would hide one: named without it.
_PLAIN = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


class LocalFiles:
    """A `FileDoor` on one directory.

    Args:
        root: the project's directory; paths are relative to it and may not leave it, not by a link either.
        account: connection name, for messages.
        clock: the hub's clock.
        limit_bytes: larger files are refused.
    """

    def __init__(self, root: Path, account: str, clock: Clock, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.account = account
        self._root = root.resolve()
        self._clock = clock
        self._limit = limit_bytes

    def now(self) -> float:
        return self._clock.now()

    def read(self, path: str, *, encoding: str = "", delimiter: str = "") -> FileSnapshot:
        data, modified_at = self._contents(path)
        return self._snapshot(path, data, modified_at, detect_format(data, encoding, delimiter))

    def replace(self, read: FileSnapshot, data: bytes) -> FileSnapshot:
        target = self._place(read.path)
        try:
            modified_at = self._swap(target, read, data)
        except PermissionError as error:
            raise self._fault(
                read.path, "FILE-DENIED", "may not be written", "give the hub's user the right"
            ) from error
        except OSError as error:
            raise RetryLater(
                f"could not be written: {error.strerror}", code="FILE-WRITE", where=self._where(read.path)
            ) from error
        return self._snapshot(read.path, data, modified_at, read.format)

    # --- reading -------------------------------------------------------------------------------------------------

    def _contents(self, path: str) -> tuple[bytes, float]:
        place = self._place(path)
        try:
            self._check(path, place.stat())  # before opening: a pipe would keep us waiting
            with place.open("rb") as file:
                before = os.fstat(file.fileno())
                self._check(path, before)
                data = file.read(self._limit + 1)
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            raise self._fault(path, "FILE-NOT-THERE", "there is no such file", "check `file:` in hub.yaml") from None
        except PermissionError:
            raise self._fault(path, "FILE-DENIED", "may not be read", "give the hub's user the right") from None
        if _state(before) != _state(after) or len(data) != after.st_size:
            raise RetryLater("is being written at this moment", after_s=2, code="FILE-MOVING", where=self._where(path))
        return data, after.st_mtime

    def _check(self, path: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._fault(path, "FILE-KIND", "is no regular file", "name a file")
        if found.st_size > self._limit:
            size = f"has {found.st_size} bytes; the limit is {self._limit}"
            raise self._fault(path, "FILE-BIG", size, "split the file")

    def _snapshot(self, path: str, data: bytes, modified_at: float, written: TextFormat) -> FileSnapshot:
        now = self._clock.now()
        return FileSnapshot(
            path=path,
            data=data,
            digest=hashlib.sha256(data).hexdigest(),
            modified_at=min(modified_at, now),  # a stamp in the future would refuse every honest one after it
            read_at=now,
            format=written,
        )

    # --- writing -------------------------------------------------------------------------------------------------

    def _swap(self, target: Path, read: FileSnapshot, data: bytes) -> float:
        """Write beside the target, look once more, rename. Returns the new modification time."""
        mode = stat.S_IMODE(target.stat().st_mode)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
                modified_at = os.fstat(file.fileno()).st_mtime
            self._still(target, read)
            Path(name).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
        _sync_directory(target.parent)
        return modified_at

    def _still(self, target: Path, read: FileSnapshot) -> None:
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != read.digest:
            raise PreconditionFailed(
                "changed since it was read", code="FILE-MOVED", where=self._where(read.path), fix="read again"
            )

    # --- places --------------------------------------------------------------------------------------------------

    def _place(self, path: str) -> Path:
        """The file behind links. Raises ConfigFault if that is outside the project."""
        if not path or "\0" in path:
            raise self._fault(path, "FILE-PATH", "no file is named", "set `file:` in hub.yaml")
        try:
            place = (self._root / path).resolve()
        except (OSError, RuntimeError):  # a circle of links
            raise self._fault(path, "FILE-PATH", "leads nowhere", "check the links on the way") from None
        if not place.is_relative_to(self._root):
            raise self._fault(path, "FILE-PATH", "is outside the project", "keep the file below hub.yaml")
        return place

    def _where(self, path: str) -> str:
        return f"{self.account}: {path}"

    def _fault(self, path: str, code: str, message: str, fix: str) -> ConfigFault:
        return ConfigFault([Fault(code=code, where=self._where(path), message=message, fix=fix)])


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _sync_directory(directory: Path) -> None:
    """Make the rename itself survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- how a file is written ---------------------------------------------------------------------------------------


def detect_format(data: bytes, encoding: str = "", delimiter: str = "") -> TextFormat:
    """Tell how a table is written; what is declared is not guessed.

    A byte-order mark decides over a declared encoding. Without either it is UTF-8: code pages cannot be told apart,
    and a wrong guess would spoil names in silence, while UTF-8 that is none shows itself.

    Raises:
        LookupError: the declared encoding is unknown to Python.
    """
    name = _plain_name(encoding)
    mark = b""
    for bom, marked in _MARKS:
        if data.startswith(bom):
            mark, name = bom, marked
            break
    head = data[len(mark) : len(mark) + 65536].decode(name, errors="replace")
    between = delimiter or _delimiter(head)
    return TextFormat(
        encoding=name, bom=mark, line_end=_line_end(head), delimiter=between, quoting=_quoting(head, between)
    )


def _plain_name(encoding: str) -> str:
    name = codecs.lookup(encoding or "utf-8").name
    return _PLAIN.get(name, name)


def _outside_quotes(head: str) -> str:
    """The text with everything between quotes taken out."""
    return "".join(head.split('"')[::2])


def _line_end(head: str) -> str:
    """That of the first line; a bare \\r only if there is no \\n at all."""
    bare = _outside_quotes(head)
    if "\n" not in bare:
        return "\r" if "\r" in bare else "\n"
    return "\r\n" if bare[: bare.index("\n")].endswith("\r") else "\n"


def _header(head: str) -> str:
    """The first line that is not empty."""
    return next((line for line in head.splitlines() if line), "")


def _delimiter(head: str) -> str:
    bare = _outside_quotes(_header(head))
    return max(DELIMITERS, key=bare.count)  # of equals the first: a table of one column has commas


def _quoting(head: str, delimiter: str) -> str:
    header = _header(head)
    return "all" if header.startswith('"') and not _outside_quotes(header).strip(delimiter) else "minimal"
