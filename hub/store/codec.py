"""JSON and text on their way into and out of the database.

Hostile text is refused here, the same way whichever database lies below: PostgreSQL cannot hold NUL characters, and
neither can hold halves of surrogate pairs. What arrives from outside was cleaned before it came here; this is the
fence behind that door.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import orjson

from hub.errors import RecordRejected
from hub.model import Json

decode: Callable[[str], Json] = orjson.loads
LONGEST_KEY_BYTES = 1024  # PostgreSQL indexes no row above about 2,700 bytes ("Limits" of its B-tree chapter)


def encode(value: Json) -> str:
    """JSON text. Raises RecordRejected STORE-TEXT for text that no database could give back."""
    try:
        written = orjson.dumps(value)
    except TypeError as error:
        if "surrogate" in str(error):
            raise unstorable() from None
        if "64-bit" in str(error):
            raise RecordRejected("a number has more than 64 bits", code="STORE-NUMBER", fix="map it as text") from None
        raise
    if b"\\u0000" in written and holds_nul(value):
        raise unstorable()
    return written.decode()


def holds_nul(value: Json) -> bool:
    """True if any text in the document holds a NUL; slow, asked only when the encoded form looks like it."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(holds_nul(key) or holds_nul(each) for key, each in value.items())
    return isinstance(value, list | tuple) and any(map(holds_nul, value))


def legible(value: Json) -> Json:
    """The value with what no database could hold replaced, to be shown to the person who must mend it."""
    if isinstance(value, str):
        clean = value.replace("\0", "\ufffd")
        return clean if clean.isascii() else clean.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {legible(key): legible(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [legible(each) for each in value]
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def unstorable() -> RecordRejected:
    return RecordRejected(
        "text holds a NUL character or half of a surrogate pair",
        code="STORE-TEXT",
        fix="remove the broken characters at the system the record comes from",
    )


def checked(text: str) -> str:
    """The text, if both databases can hold it. Raises RecordRejected STORE-TEXT."""
    if "\0" in text:
        raise unstorable()
    return text


def checked_id(text: str) -> str:
    """A vendor's id, if both databases can hold and index it. Raises RecordRejected STORE-TEXT, STORE-LONG."""
    if "\0" in text:
        raise unstorable()
    if len(text) > LONGEST_KEY_BYTES // 4 and len(text.encode("utf-8", "surrogatepass")) > LONGEST_KEY_BYTES:
        message = f"an id has more than {LONGEST_KEY_BYTES} bytes"
        raise RecordRejected(message, code="STORE-LONG", fix="choose a shorter id or key column for the stream")
    return text


def shortened(text: str) -> str:
    """Text of any length and content as one that can be indexed and read: the end of a long one becomes a digest."""
    clean = str(legible(text))
    if len(clean) <= LONGEST_KEY_BYTES // 4:
        return clean
    return f"{clean[:100]}… sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def index_key(text: str) -> str:
    """The text as an index holds it: itself, or a digest of it where it is too long for one.

    Raises RecordRejected STORE-TEXT for text that no database could give back.
    """
    if "\0" in text:
        raise unstorable()
    if len(text) <= LONGEST_KEY_BYTES // 4:
        return text
    written = text.encode("utf-8", "surrogatepass")
    if len(written) <= LONGEST_KEY_BYTES:
        return text
    return f"sha256:{hashlib.sha256(written).hexdigest()}"
