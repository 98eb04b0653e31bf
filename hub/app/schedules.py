"""When connections are read: as hub.yaml says it, in words, and changed by people."""

from __future__ import annotations

from collections.abc import Mapping

from hub.app.connection_setup import change_section
from hub.app.context import Connection, Hub
from hub.app.listings import Dict, duration_of, iso
from hub.app.runs import connection_of
from hub.app.transact import commit
from hub.core.schedule import rhythm_of
from hub.errors import ConfigFault, Fault, NotFound
from hub.runtime.cron import Cron, parse_cron
from hub.runtime.settings_schema import FIX_CRON, FIX_ZONE, ConnectionSettings, is_zone, seconds_of

LEAST: Mapping[str, float] = {"every": 5.0, "sweep": 3_600.0}  # seconds
KEYS = ("every", "cron", "timezone")
Said = Mapping[str, str]  # every, cron, timezone, as one writes them in hub.yaml


def schedule(hub: Hub, name: str) -> Dict:
    """How often a connection is read and compared, as one would write it in hub.yaml, and when next.

    "every" is empty where "cron" is not; "streams" has a line for each, and whether that is its own. Raises NotFound.
    """
    connection = connection_of(hub, name)
    settings = _settings(hub, name)
    if settings is not None:
        own = _said(settings.cron or settings.every_s)
    else:
        own = _said(min(connection.every_s.values(), default=300.0))
    rhythm = rhythm_of(name, connection.every_s, connection.crons)
    return {
        **own, "sweep": duration_of(connection.sweep_s), "next": iso(rhythm.following(hub.clock.now())),
        "hub_timezone": hub.projects.settings.hub.timezone if hub.projects is not None else "UTC",
        "streams": [_stream(connection, settings, stream) for stream in connection.in_order()],
    }  # fmt: skip


def _stream(connection: Connection, settings: ConnectionSettings | None, stream: str) -> Dict:
    own = settings is not None and (stream in settings.stream_every_s or stream in settings.stream_crons)
    found = connection.crons.get(stream) or connection.every_s.get(stream, 300.0)
    return {"stream": stream, "own": own, **_said(found)}


def _said(found: float | Cron) -> dict[str, str]:
    if isinstance(found, Cron):
        return {"every": "", "cron": found.text, "timezone": found.zone}
    return {"every": duration_of(found), "cron": "", "timezone": ""}


# Changing


def set_schedule(
    hub: Hub, name: str, *, every: str = "", cron: str = "", timezone: str = "", sweep: str = "",
    streams: Mapping[str, Said] | None = None, by: str,
) -> None:  # fmt: skip
    """Say in hub.yaml when a system is read and compared whole; takes effect when the project is taken in anew.

    Args:
        every, cron, timezone: of the connection; nothing: as it is. Of `every` and `cron` together the one counts that
            is not what there is already.
        streams: schedules of streams; one that says nothing goes by the connection's from then on.

    Raises:
        NotFound: no such connection or stream.
        ConfigFault: CFG-022, no duration or time zone; CFG-035, too short; CFG-036, no cron; CFG-037, two at once.
    """
    old = schedule(hub, name)
    changes: dict[str, str | None] = {}
    said = {"every": every.strip(), "cron": cron.strip(), "timezone": timezone.strip()}
    if any(said.values()):
        changes |= _changes(name, said, old)
    if sweep.strip() and sweep.strip() != old["sweep"]:
        changes["sweep"] = _duration(name, "sweep", sweep.strip())
    known = {each["stream"]: each for each in old["streams"]}
    for stream in streams or {}:
        if stream not in known:
            raise NotFound(f"{name} has no stream {stream[:80]}", where=name, fix=f"streams are: {', '.join(known)}")
    of_streams = {
        stream: changed
        for stream, each in (streams or {}).items()
        if (changed := _stream_changes(f"{name}.{stream}", each, known[stream]))
    }
    if changes or of_streams:
        change_section(hub, name, changes, of_streams)
        before = {key: old[key] for key in changes} | {stream: _plain(known[stream]) for stream in of_streams}
        after = {key: text or "" for key, text in changes.items()} | of_streams
        commit(hub, lambda tx: tx.audit(by, "schedule changed", name, before, after, hub.clock.now()))


def _plain(line: Dict) -> Dict:
    return {key: line[key] for key in KEYS if line["own"] and line[key]}


def _stream_changes(where: str, said: Said, old: Dict) -> dict[str, str | None]:
    given = {key: said.get(key, "").strip() for key in KEYS}
    if given["every"] or given["cron"]:
        return _changes(where, given, old) if old["own"] else _fresh(where, given)
    return dict.fromkeys(KEYS) if old["own"] else {}


def _fresh(where: str, said: Said) -> dict[str, str | None]:
    return _changes(where, said, {"every": "", "cron": "", "timezone": ""})


def _changes(where: str, said: Said, old: Dict) -> dict[str, str | None]:
    """What is to be set in a section, and taken out of it (None); nothing where it is said already."""
    every, cron, zone = said["every"], said["cron"], said["timezone"]
    if every and cron:  # a form that was there sends both; the other one was typed
        every, cron = ("", cron) if every == old["every"] else (every, "") if cron == old["cron"] else (every, cron)
    if every and cron:
        raise _fault("CFG-037", where, "every and cron at once", "say one of them")
    if every:
        return {} if every == old["every"] else {**_gone(old), "every": _duration(where, "every", every)}
    text, zone = cron or old["cron"], zone or old["timezone"]
    if not text:
        raise _fault("CFG-037", f"{where}: timezone", "a time zone without a cron", "write cron: beside it")
    if zone and not is_zone(zone):
        raise _fault("CFG-022", f"{where}: timezone", f"{zone[:40]} is no time zone", FIX_ZONE)
    try:
        parse_cron(text, zone or "UTC")
    except ValueError as error:
        raise _fault("CFG-036", f"{where}: cron", f"{text[:80]} is no schedule: {error}", FIX_CRON) from None
    if (text, zone) == (old["cron"], old["timezone"]):
        return {}
    found: dict[str, str | None] = {"cron": text}
    if zone:
        found["timezone"] = zone
    return found | ({"every": None} if old["every"] else {})


def _gone(old: Dict) -> dict[str, str | None]:
    return {"cron": None, "timezone": None} if old["cron"] else {}


def _duration(where: str, key: str, text: str) -> str:
    seconds, least = seconds_of(text), LEAST[key]
    if seconds is None:
        raise _fault("CFG-022", f"{where}: {key}", f"{text[:40]} is no duration", "such as 30s, 5m, 1h30m, 7d")
    if seconds < least:
        raise _fault("CFG-035", f"{where}: {key}", f"{text} is too short", f"{least:.0f}s at least")
    return text


def _settings(hub: Hub, name: str) -> ConnectionSettings | None:
    return hub.projects.settings.connections.get(name) if hub.projects is not None else None


def _fault(code: str, where: str, message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code=code, where=where, message=message, fix=fix)])
