"""What hub.yaml says of an interface: checked in full, every fault with its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit

from hub.connector import Auth, Connector, Idempotency, RateLimit, Settings, Stream
from hub.errors import ConfigFault, Fault
from hub.model import Json

PAGES = ("none", "number", "offset", "cursor", "next", "link")
TIMES = ("iso", "iso_seconds", "epoch_s", "epoch_ms", "date")
METHODS = ("POST", "PUT", "PATCH", "DELETE")
HUBS_OWN = ("every", "cron", "timezone", "fields", "associations")  # keys of a stream that are not ours
LOOKBACK_S, SIZE = 300.0, 100
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """How a list goes on."""

    kind: str = "none"
    param: str = ""  # query parameter of the page's number, offset or token
    size_param: str = ""
    size: int = SIZE
    first: int = 1  # number of the first page
    next: str = ""  # path of the token, or of the next address, in the answer
    more: str = ""  # path of "there is more", where the answer says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One kind of write."""

    method: str
    path: str
    under: str = ""  # key that the record stands under in the body


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One stream, checked."""

    name: str
    path: str
    params: Mapping[str, Json] = field(default_factory=dict)
    records: str = ""  # path of the list in the answer; "": the answer is the list
    record: str = ""  # path of the record in an answer about one
    id: str = "id"
    modified: str = ""
    modified_as: str = "iso"
    since: str = ""  # query parameter of "changed since"
    since_as: str = "iso"
    lookback_s: float = LOOKBACK_S
    pages: Pages = Pages()
    complete: bool = False  # a list tells all there is: what is missing is gone
    deleted: str = ""  # path of the flag
    deleted_is: tuple[Json, ...] = ()  # its values that mean deleted; (): any but false, 0 and blank
    fetch: str = ""
    find: Mapping[str, str] = field(default_factory=dict)  # remote field -> query parameter of the list
    marker: str = ""  # field that carries the hub's id
    writes: Mapping[str, Write] = field(default_factory=dict)  # create, update, delete
    key_header: str = ""  # header of an idempotency key
    key_life_s: float = 0.0


class Place:
    """A place in the settings; faults are collected."""

    def __init__(self, where: str, value: Json, faults: list[Fault]) -> None:
        self.where, self.value, self.faults = where, value, faults

    def wrong(self, message: str, fix: str, key: str = "") -> None:
        where = f"{self.where}.{key}" if key else self.where
        self.faults.append(Fault(code="REST-SPEC", where=where, message=message, fix=fix))

    def closed(self, known: Collection[str], required: Sequence[str] = ()) -> bool:
        """Whether this is a mapping; other keys, and missing ones, are faults."""
        if not isinstance(self.value, Mapping):
            self.wrong("should be a mapping (key: value)", f"its keys: {', '.join(known)}")
            return False
        for key in self.value:
            if key not in known:
                near = get_close_matches(str(key), list(known), 1, 0.6)
                self.wrong(
                    f"`{key}` means nothing", f"`{near[0]}`?" if near else f"known: {', '.join(known)}", str(key)
                )
        for key in required:
            if key not in self.value:
                self.wrong(f"`{key}` is missing", f"add {key}:", key)
        return True

    def text(self, key: str, default: str = "") -> str:
        value = self.value.get(key)
        if value is None or isinstance(value, str):
            return default if value is None else value
        self.wrong(f"`{key}` is no text", "write it in quotes", key)
        return default

    def name(self, key: str) -> str:
        found = self.text(key)
        if found and not _NAME.fullmatch(found):
            self.wrong(f"`{key}` is no name of a parameter", "letters, digits, - . and _", key)
        return found

    def path(self, key: str, *, of_one: bool = False) -> str:
        """A path below the address; with `of_one`, `{id}` stands for the record."""
        found = self.text(key)
        if found and (not found.startswith("/") or re.search(r"[\s\\#]|//|\.\.", found)):
            self.wrong(f"`{key}` is no path", "begin with /, relative to url", key)
        if found and ("{id}" in found) != of_one:
            self.wrong(f"`{key}` {'needs' if of_one else 'must not have'} {{id}}", "such as /contacts/{id}", key)
        return found

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        found = self.text(key, default)
        if found not in known:
            self.wrong(f"`{key}` is none of {', '.join(known)}", f"default: {default}", key)
            return default
        return found

    def number(self, key: str, default: float, *, least: float = 0, whole: bool = False) -> float:
        """A number, also as text, since commands give texts."""
        value = self.value.get(key)
        if value is None:
            return default
        try:
            found = float(value) if not isinstance(value, bool) else -1.0
        except (TypeError, ValueError):
            found = -1.0
        if found < least or found > 1e9 or (whole and found != int(found)):
            self.wrong(f"`{key}` is no {'whole ' if whole else ''}number of at least {least:g}", "such as 100", key)
            return default
        return found

    def at(self, key: str) -> Place:
        return Place(f"{self.where}.{key}", self.value.get(key), self.faults)

    def has(self, key: str) -> bool:
        return self.value.get(key) is not None


# --- a stream ----------------------------------------------------------------------------------------------------

KEYS = (
    "path", "params", "records", "record", "id", "modified", "modified_as", "since", "since_as", "lookback_s", "page",
    "listing", "deleted", "fetch", "find", "marker", "create", "update", "delete", "idempotency", "key_life_s",
    *HUBS_OWN,
)  # fmt: skip


def spec_of(name: str, given: Json, faults: list[Fault]) -> Spec:
    """One stream; what is wrong is noted in `faults`."""
    place = Place(f"streams.{name}", given, faults)
    if not place.closed(KEYS, required=("path",)):
        return Spec(name=name, path="/")
    flag, values = _deleted(place)
    modified_as = place.choice("modified_as", TIMES, "iso")
    spec = Spec(
        name=name,
        path=place.path("path"),
        params=_params(place),
        records=place.text("records"),
        record=place.text("record"),
        id=place.text("id", "id") or "id",
        modified=place.text("modified"),
        modified_as=modified_as,
        since=place.name("since"),
        since_as=place.choice("since_as", TIMES, modified_as),
        lookback_s=place.number("lookback_s", LOOKBACK_S),
        pages=_pages(place.at("page")) if place.has("page") else Pages(),
        complete=place.choice("listing", ("partial", "complete"), "partial") == "complete",
        deleted=flag,
        deleted_is=values,
        fetch=place.path("fetch", of_one=True),
        find=_find(place),
        marker=place.text("marker"),
        writes=_writes(place),
        key_header=place.name("idempotency"),
        key_life_s=place.number("key_life_s", 86_400.0, least=60),
    )
    _check_whole(place, spec)
    return spec


def _check_whole(place: Place, spec: Spec) -> None:
    """What must go together."""
    if spec.since and not spec.modified:
        place.wrong("`since` without `modified`", "say where a record's time of change stands", "since")
    if spec.since and spec.complete:
        place.wrong("a list of changes is not complete", "leave out since, or listing: complete", "listing")
    if spec.writes and not spec.fetch:
        place.wrong(
            "writes need `fetch`", "a record is read by its id before it is written: fetch: /contacts/{id}", "fetch"
        )
    if "create" in spec.writes and not spec.marker and not spec.key_header:
        fix = "name a field that carries the hub's id (marker:), or an idempotency header"
        place.wrong("after a lost answer nobody could tell whether a create was done", fix, "create")
    if spec.marker and spec.find and spec.marker not in spec.find:
        place.wrong("`find` has no parameter for the marker", f"add {spec.marker}: <parameter>", "find")


def _params(place: Place) -> dict[str, Json]:
    if not place.has("params"):
        return {}
    inner = place.at("params")
    plain = (str, int, float, bool)
    if not isinstance(inner.value, Mapping) or not all(isinstance(value, plain) for value in inner.value.values()):
        inner.wrong("should be a mapping of texts and numbers", "such as {sort: updated_at}")
        return {}
    return {str(name): str(value).lower() if isinstance(value, bool) else value for name, value in inner.value.items()}


def _deleted(place: Place) -> tuple[str, tuple[Json, ...]]:
    if isinstance(place.value.get("deleted"), str) or not place.has("deleted"):
        return place.text("deleted"), ()
    inner = place.at("deleted")
    if not inner.closed(("path", "is"), required=("path", "is")):
        return "", ()
    said = inner.value.get("is")
    return inner.text("path"), tuple(said) if isinstance(said, list) else (said,)


def _find(place: Place) -> dict[str, str]:
    if not place.has("find"):
        return {}
    inner = place.at("find")
    if not isinstance(inner.value, Mapping) or not all(isinstance(each, str) for each in inner.value.values()):
        inner.wrong("should be a mapping: field to query parameter", "such as {email: email}")
        return {}
    return {str(name): inner.name(str(name)) for name in inner.value}


def _pages(place: Place) -> Pages:
    if not place.closed(("kind", "param", "size_param", "size", "first", "next", "more"), required=("kind",)):
        return Pages()
    kind = place.choice("kind", PAGES, "none")
    found = Pages(
        kind=kind,
        param=place.name("param"),
        size_param=place.name("size_param"),
        size=int(place.number("size", SIZE, least=1, whole=True)),
        first=int(place.number("first", 1, whole=True)),
        next=place.text("next"),
        more=place.text("more"),
    )
    if kind in ("number", "offset", "cursor") and not found.param:
        place.wrong(f"pages by {kind} need `param`", "the query parameter that asks for the next page", "param")
    if kind in ("cursor", "next") and not found.next:
        place.wrong(f"pages by {kind} need `next`", "where the answer says how to go on", "next")
    return found


def _writes(place: Place) -> dict[str, Write]:
    found = {}
    for op, method in (("create", "POST"), ("update", "PATCH"), ("delete", "DELETE")):
        if not place.has(op):
            continue
        inner = place.at(op)
        if isinstance(inner.value, str):
            inner = Place(inner.where, {"path": inner.value}, inner.faults)
        if inner.closed(("method", "path", "under"), required=("path",)):
            found[op] = Write(
                method=inner.choice("method", METHODS, method), path=inner.path("path", of_one=op != "create"),
                under=inner.text("under"),
            )  # fmt: skip
    return found


# --- the whole connection ----------------------------------------------------------------------------------------


def tailored(connector: Connector, settings: Settings) -> Connector:
    """The connector of one connection. Raises ConfigFault with all that is wrong."""
    faults: list[Fault] = []
    place = Place("settings", settings.values, faults)
    specs = [spec_of(name, given, faults) for name, given in settings.streams.items()]
    url, hosts = _address(place, local=settings.local)
    found = Connector(
        name=connector.name,
        title=connector.title,
        base_url=url,
        hosts=hosts,
        auth=_auth(place),
        limits=(_limit(place),),
        streams=[stream_of(spec) for spec in specs],
        settings=connector.settings,
        connect=connector.connect,
        check=connector.check,
        discover=connector.discover,
        pull=connector.pull,
        fetch=connector.fetch if any(spec.fetch for spec in specs) else None,
        find=connector.find if any(spec.find for spec in specs) else None,
        push=connector.push if any(spec.writes for spec in specs) else None,
        docs=connector.docs,
    )
    if faults:
        raise ConfigFault(faults)
    return found


def _address(place: Place, *, local: bool) -> tuple[str, tuple[str, ...]]:
    url = place.text("url").rstrip("/")
    parts = urlsplit(url)
    if not local and (parts.scheme != "https" or not _HOST.fullmatch(parts.netloc) or parts.query or parts.fragment):
        place.wrong("`url` is no address of an interface", "such as https://api.example.com/v2", "url")
    others = place.value.get("hosts") or ()
    named = others.split(",") if isinstance(others, str) else others
    for host in named:
        if not isinstance(host, str) or not _HOST.fullmatch(host.strip()):
            place.wrong("`hosts` names no host", "such as login.example.com", "hosts")
    return url, tuple(dict.fromkeys([parts.netloc, *(str(host).strip() for host in named)]))


def _auth(place: Place) -> tuple[Auth, ...]:
    """One of each kind; which it is, `auth:` of the connection says."""
    header, query = place.name("header"), place.name("query")
    if header and query:
        place.wrong("`header` and `query` do not go together", "leave one out", "query")
    scheme = place.text("scheme", "" if header else "Bearer")
    return (
        Auth(kind="token", header=header or "Authorization", scheme=scheme, query=query),
        Auth(kind="basic"),
        Auth(
            kind="client_credentials",
            token_url=place.text("token_url"),
            token_body=place.choice("token_body", ("form", "json"), "form"),
            token_client=place.choice("token_client", ("body", "basic"), "body"),
            scope=place.text("scope"),
        ),
        Auth(kind="none"),
    )


def _limit(place: Place) -> RateLimit:
    calls = place.number("calls", 5, least=1, whole=True)
    return RateLimit(name="calls", calls=int(calls), per_s=place.number("per_s", 1.0, least=0.001))


def stream_of(spec: Spec) -> Stream:
    """The facts of a stream that the engine must know."""
    kinds = {"number": "offset", "offset": "offset"}
    cursor = kinds.get(spec.pages.kind, "token") if spec.since else "snapshot"
    if spec.key_header:
        idempotency = Idempotency.KEY_WITH_LIFE
    else:
        idempotency = Idempotency.SEARCHABLE_REFERENCE if spec.marker in spec.find else Idempotency.NONE
    size = spec.pages.size if spec.pages.kind != "none" else 1000
    return Stream(
        name=spec.name,
        id_path=spec.id,
        modified_path=spec.modified or None,
        cursor=cursor,
        lookback_s=spec.lookback_s if spec.since else 0.0,
        sorted=False,
        deletes="archived" if spec.deleted else "listing" if spec.complete else "absent",
        writes=frozenset(spec.writes),
        stamp_tick_s=1.0 if spec.modified_as != "epoch_ms" else 0.001,
        idempotency=idempotency,
        key_life_s=spec.key_life_s if spec.key_header else 0.0,
        marker=spec.marker or None,
        answers_with_record=False,
        page_size=size,
        minimum={"read": size, "write": 1, "fetch": 1},
    )
