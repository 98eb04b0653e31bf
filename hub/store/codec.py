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


def unstorable() -> RecordRejected:
    return RecordRejected(
        "text holds a NUL character or half of a surrogate pair",
        code="STORE-TEXT",
        fix="remove the broken characters at the system the record comes from",
    )


def index_key(text: str) -> str:
    """The text as an index holds it: itself, or a digest of it where it is too long for one."""
    if len(text) <= LONGEST_KEY_BYTES // 4:
        return text
    written = text.encode("utf-8", "surrogatepass")
    if len(written) <= LONGEST_KEY_BYTES:
        return text
    return f"sha256:{hashlib.sha256(written).hexdigest()}"
