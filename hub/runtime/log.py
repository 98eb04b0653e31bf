"""The log: one JSON line per event (text on a terminal), to the error stream. No secrets, no addresses of people."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

HIDDEN = "…"
_SECRET_KEY = re.compile(
    r"secret|token|password|passwd|authorization|credential|api_?key|cookie|signature", re.IGNORECASE
)
_MAIL = re.compile(r"[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
SHORTEST = 6  # a shorter secret would black out half of every line


class Redactor:
    """Takes secrets out of events: by the name of a key, by known values, and e-mail addresses by their shape."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """These texts appear in no line from now on."""
        fresh = {text for text in secrets if len(text) >= SHORTEST}
        self._secrets = sorted({*self._secrets, *fresh}, key=len, reverse=True)  # the longest first: it may hold others

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in list(event):
            event[key] = HIDDEN if _SECRET_KEY.search(key) else self._clean(event[key])
        return event

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, HIDDEN)
            return _MAIL.sub(HIDDEN, value)
        if isinstance(value, Mapping):
            return {key: HIDDEN if _SECRET_KEY.search(str(key)) else self._clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(each) for each in value]
        if isinstance(value, bool | int | float) or value is None:
            return value
        return self._clean(str(value))


# What would speak to a terminal: controls, and line ends that would forge a line of the log. JSON escapes its own.
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]")


def _seen(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Texts of an event as one line each; a traceback keeps its own lines."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return event


class _Forward(logging.Handler):
    """What libraries log comes out as our own lines, and redacted like them."""

    def emit(self, record: logging.LogRecord) -> None:
        given = {"exc_info": record.exc_info} if record.exc_info else {}
        logger(record.name).log(record.levelno, record.getMessage(), **given)


def configure(*, secrets: Iterable[str] = (), stream: TextIO | None = None, text: bool | None = None) -> Redactor:
    """Set the log up for this process; gives the redactor, so that secrets learnt later can be hidden, too.

    Args:
        secrets: texts that must never appear.
        stream: where lines go; the error stream unless given.
        text: for people; else JSON. Unless given: whether the stream is a terminal.
    """
    target = stream or sys.stderr
    redactor = Redactor(secrets)
    readable = target.isatty() if text is None else text
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if readable else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redactor,
            *([_seen] if readable else []),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(each, _Forward) for each in root.handlers):
        root.addHandler(_Forward(level=logging.WARNING))
    return redactor


def logger(name: str) -> Any:
    """A logger whose lines carry the part of the hub they come from."""
    return structlog.get_logger().bind(part=name)
