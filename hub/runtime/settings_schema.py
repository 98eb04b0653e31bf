"""`hub.yaml` as typed settings. Secrets stay references (`env:NAME`, `secret:NAME`) until a connection is opened.

A literal where a secret belongs, or a text anywhere in the file that looks like a vendor's key, is a fault: the file
is meant to be read, sent and committed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.core.document import Sheet
from hub.core.formats import MappingFault, is_region
from hub.core.guards import DEFAULTS as GUARDS
from hub.core.guards import Bound
from hub.core.values import currency_exponent
from hub.errors import Fault
from hub.model import Json
from hub.runtime.cron import Cron, parse_cron

MODES = ("observe", "propose", "canary", "live")
NOT_SECRET = ("kind", "client_id", "username", "scope", "token_url", "account")  # of auth: and webhooks:

_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|secret:[A-Za-z0-9_.-]+")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
# How vendors' keys begin (fact sheets, "Auth"): Stripe, HubSpot, Shopify, Typeform, tokens of Git hosts, JWTs.
_LOOKS_SECRET = re.compile(
    r"(sk|rk)_(live|test)_\w{8,}|whsec_\w{8,}|pat-\w+-[\w-]{16,}|shp(at|rt|ss|ca)_\w{8,}|tfp_\w{8,}|gh[pousr]_\w{16,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_FIX_SECRET = "write env:NAME or secret:NAME, and put the secret there"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The hub itself."""

    name: str = "hub"
    currency: str = "EUR"
    country: str | None = None
    timezone: str = "UTC"
    public_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """One configured account of a system, as the file has it."""

    name: str
    connector: str
    mapping: str  # file below mappings/
    mode: str  # of MODES
    every_s: float
    sweep_s: float
    reserve: float  # share of each quota left to people
    canary: int = 10  # mode canary: records that a sync may write before it asks
    local: bool = False
    base_url: str = ""
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets as references
    webhooks: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Json] = field(default_factory=dict)
    streams: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # options per stream, as written
    stream_every_s: Mapping[str, float] = field(default_factory=dict)
    cron: Cron | None = None  # by the calendar, instead of every_s
    stream_crons: Mapping[str, Cron] = field(default_factory=dict)
    where: str = ""

    def schedule_of(self, stream: str) -> float | Cron:
        """When a stream is read: its own interval (seconds) or calendar, else the connection's."""
        own = self.stream_crons.get(stream) or self.stream_every_s.get(stream)
        return own or self.cron or self.every_s


QUARTER_S = 91 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """Who is told when something waits for a person."""

    to: Mapping[str, str] = field(repr=False)  # name -> reference to an apprise address
    every_s: float = 3600.0  # not more often than this
    figures: str = ""  # week or month: they get the key figures after each


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """All of hub.yaml."""

    hub: HubSettings
    store_url: str  # reference or SQLite URL; "" for the default
    connections: Mapping[str, ConnectionSettings]
    guards: Mapping[str, Bound]
    faults: Mapping[str, list[Fault]] = field(default_factory=dict)  # connection -> what is wrong in its section
    notices: NoticeSettings | None = None  # None: nobody is told
    audits_s: float = QUARTER_S  # how often the data is audited


def read_settings(sheet: Sheet) -> ProjectSettings:
    """Typed settings. Faults of a connection's section are kept apart, all others are noted in the sheet."""
    sheet.closed(("hub", "store", "defaults", "connections", "guards", "notices", "audits", "language"))
    for key, place in sheet.entries():
        if key != "connections":
            find_secrets(place)
    defaults = sheet.at("defaults")
    if sheet.has("defaults"):
        defaults.closed(("mode", "every", "sweep", "reserve", "canary"))
    own, connections, faults = _hub(sheet), {}, {}
    for name, shared in sheet.at("connections").entries():
        place = Sheet(sheet.document, shared.path)
        faults[name] = place.faults
        find_secrets(place)
        if not _NAME.fullmatch(name):
            place.fault("CFG-015", f"{name} is no name for a connection", "use small letters, digits, - and _")
        read = _connection(place, name, defaults, own.timezone)
        if read is not None:
            connections[name] = read
    return ProjectSettings(
        hub=own,
        store_url=_store_url(sheet),
        connections=connections,
        guards=_guards(sheet.at("guards")),
        faults=faults,
        notices=_notices(sheet.at("notices")) if sheet.has("notices") else None,
        audits_s=read_duration(sheet, "audits", QUARTER_S),
    )


def _hub(sheet: Sheet) -> HubSettings:
    place = sheet.at("hub")
    if sheet.has("hub"):
        place.closed(("name", "currency", "country", "timezone", "public_url"))
    currency, country, zone = place.text("currency", "EUR"), place.text("country"), place.text("timezone", "UTC")
    try:
        currency_exponent(currency)
    except MappingFault as fault:
        place.at("currency").fault("CFG-022", f"{currency} is {fault.message}", fault.fix)
        currency = "EUR"
    if country and not is_region(country):
        place.at("country").fault("CFG-022", f"{country} is no country code", "give two capital letters, such as DE")
        country = ""
    if not is_zone(zone):
        place.at("timezone").fault("CFG-022", f"{zone} is no time zone", FIX_ZONE)
        zone = "UTC"
    public_url = place.text("public_url").rstrip("/")
    if public_url and not re.match(r"https?://[^/@\s]+", public_url):
        place.at("public_url").fault("CFG-022", "public_url is no web address", "such as https://hub.example.com")
    return HubSettings(
        name=place.text("name", "hub"), currency=currency, country=country or None, timezone=zone, public_url=public_url
    )


def _notices(place: Sheet) -> NoticeSettings | None:
    if not place.closed(("to", "every", "figures"), required=("to",)):
        return None
    return NoticeSettings(
        to=_secrets(place.at("to")), every_s=read_duration(place, "every", 3600.0),
        figures=place.choice("figures", ("week", "month"), ""),
    )  # fmt: skip


def _store_url(sheet: Sheet) -> str:
    place = sheet.at("store")
    if sheet.has("store"):
        place.closed(("url",))
    url = place.text("url")
    if url and not _REFERENCE.fullmatch(url) and not url.startswith("sqlite:///"):
        place.at("url").fault("CFG-020", "the store's address may hold a password", "write env:HUB_DATABASE_URL")
    return url


def _guards(place: Sheet) -> Mapping[str, Bound]:
    bounds = dict(GUARDS)
    for name, at in place.entries():
        if name not in GUARDS:
            place.closed(tuple(GUARDS))
            continue
        at.closed(("over", "share"))
        known = GUARDS[name]
        over = at.integer("over", known.over, least=0)
        share = at.number("share", known.share, most=1.0)
        bounds[name] = Bound(over=known.over if over is None else over, share=share)
    return bounds


# Connections

_CONNECTION_KEYS = (
    "connector",
    "mapping",
    "mode",
    "every",
    "cron",
    "timezone",
    "sweep",
    "reserve",
    "canary",
    "auth",
    "webhooks",
    "settings",
    "streams",
    "local",
    "base_url",
)


def _connection(place: Sheet, name: str, defaults: Sheet, zone: str) -> ConnectionSettings | None:
    if not place.closed(_CONNECTION_KEYS, required=("connector",)):
        return None
    connector = place.text("connector")
    mapping = place.text("mapping", f"{connector}.yaml")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}\.yaml", mapping):
        place.at("mapping").fault("CFG-031", "no file name of a mapping", "name a .yaml file in the folder mappings")
    streams = {stream: at for stream, at in place.at("streams").entries() if _is_mapping(at)}
    every = {stream: read_duration(at, "every", 0.0) for stream, at in streams.items() if at.has("every")}
    crons = {stream: cron for stream, at in streams.items() if (cron := _cron(at, zone)) is not None}
    return ConnectionSettings(
        name=name,
        connector=connector,
        mapping=mapping,
        mode=place.choice("mode", MODES, defaults.choice("mode", MODES, "observe")),
        every_s=read_duration(place, "every", read_duration(defaults, "every", 300.0)),
        sweep_s=read_duration(place, "sweep", read_duration(defaults, "sweep", 604_800.0)),
        reserve=place.number("reserve", defaults.number("reserve", 0.2, most=0.95), most=0.95),
        canary=place.integer("canary", defaults.integer("canary", 10, least=0), least=0) or 0,
        local=place.boolean("local"),
        base_url=place.text("base_url"),
        auth=_secrets(place.at("auth")),
        webhooks=_secrets(place.at("webhooks")),
        settings={key: at.value for key, at in place.at("settings").entries()},
        streams={stream: dict(at.value) for stream, at in streams.items()},
        stream_every_s=every,
        cron=_cron(place, zone),
        stream_crons=crons,
        where=place.where,
    )


FIX_ZONE = "give a name such as Europe/Berlin"
FIX_CRON = 'five fields: minute, hour, day, month, weekday; such as "0 6 * * 1-5"'


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _cron(place: Sheet, zone: str) -> Cron | None:
    """A schedule by the calendar, of a connection or a stream; in the hub's time zone unless it names its own."""
    text, own = place.text("cron"), place.text("timezone")
    if not text:
        if own:
            place.at("timezone").fault("CFG-037", "a time zone without a cron", "write cron: beside it")
        return None
    if place.has("every"):
        place.at("cron").fault("CFG-037", "every and cron at once", "say one of them")
    if own and not is_zone(own):
        place.at("timezone").fault("CFG-022", f"{own} is no time zone", FIX_ZONE)
        return None
    try:
        return parse_cron(text, own or zone)
    except ValueError as error:
        place.at("cron").fault("CFG-036", f"{text} is no schedule: {error}", FIX_CRON)
        return None


def _is_mapping(at: Sheet) -> bool:
    if isinstance(at.value, Mapping):
        return True
    at.fault("CFG-011", f"{at.name} should be a mapping (key: value)", "such as {every: 5m}")
    return False


def _secrets(place: Sheet) -> Mapping[str, str]:
    found = {}
    for key, at in place.entries():
        value = at.value
        if not isinstance(value, str):
            at.fault("CFG-011", f"{key} should be text", "write it in quotes")
            continue
        if key not in NOT_SECRET and not _REFERENCE.fullmatch(value):
            code = "CFG-021" if value.startswith(("env:", "secret:")) else "CFG-020"
            what = "no reference to a secret" if code == "CFG-021" else f"{key} stands in the file as it is"
            at.fault(code, what, _FIX_SECRET)
            continue
        found[key] = value
    return found


def find_secrets(sheet: Sheet) -> None:
    """Texts anywhere in a file that look like a vendor's key (CFG-020). The value is not repeated."""

    def walk(place: Sheet, value: Json) -> None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                walk(place.at(key), each)
        elif isinstance(value, list):
            for position, each in enumerate(value):
                walk(place.at(position), each)
        elif isinstance(value, str) and _LOOKS_SECRET.search(value):
            place.fault("CFG-020", f"{place.name} looks like a secret", _FIX_SECRET)

    walk(sheet, sheet.value)


def read_duration(place: Sheet, key: str, default: float) -> float:
    """Seconds of a duration such as 30s, 5m, 1h30m or 7d."""
    text = place.text(key)
    if not text:
        return default
    seconds = seconds_of(text)
    if seconds is None:
        place.at(key).fault("CFG-022", f"{text} is no duration", "such as 30s, 5m, 1h30m, 7d")
        return default
    return seconds


def seconds_of(text: str) -> float | None:
    """Seconds of a duration such as 30s, 5m, 1h30m or 7d; None if it is none."""
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(days * 86_400 + hours * 3_600 + minutes * 60 + rest)
