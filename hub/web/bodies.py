"""Bodies of inbound calls: raw, whole, and never larger than they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from fastapi import Request

BODY_S = 30.0  # for a whole body: vendors send theirs within a second or two
Poke = Callable[[Iterable[str]], None]  # told the connections that just got hints


class TooBig(Exception):
    """A body beyond the limit."""


async def body_of(request: Request, limit_bytes: int) -> bytes:
    """The raw body, whole. A length that lies is found out while reading. Raises TooBig, TimeoutError."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit_bytes:
        raise TooBig
    chunks, size = [], 0
    async with asyncio.timeout(BODY_S):
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit_bytes:
                raise TooBig
            chunks.append(chunk)
    return b"".join(chunks)
