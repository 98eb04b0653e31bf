"""Any Singer tap as a system that is read: a program of somebody else's, run as a child of the hub.

Docs: Singer specification 0.3.0 ("Output", "Discovery mode", "Sync mode"); Meltano SDK, "Singer spec".

    connections:
      github:
        connector: singer
        mapping: github.yaml
        auth: {kind: program, auth_token: env:GITHUB_TOKEN}      # goes into the tap's config; never into its arguments
        settings: {command: [taps/bin/tap-github], config: {repositories: [acme/shop], start_date: "2026-01-01"}}
        streams: {people: {stream: stargazers, modified: starred_at}, teams: {listing: complete}}

A read runs the tap for one stream, with the state that was last committed. Its records are taken in up to a STATE
message, and that state is committed with them: a tap that dies on the way, or a hub that does, goes on from there, and
what comes twice changes nothing. A line that cannot be read is a fault with its number; the others go on.

With `listing: complete` each read starts without a state and what it lacks is gone; it counts only if the tap ended
well, every line was read, and no version but the one that it activated was seen. `_sdc_deleted_at` tells a delete.
Taps are other people's programs: they run with the rights of the hub's user, in the project's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import orjson

from hub.connector import Auth, Connector, Field, Page, Program, ProgramDoor, Setting, Settings, Stream
from hub.errors import ConfigFault, Fault, HubError, RetryLater
from hub.kit.reading import parse_time
from hub.kit.tables import join_key
from hub.model import ANY_NAME, Json, SourceRecord

PAGE_ROWS = 500  # a page ends at the first STATE after so many
MOST_ROWS = 5000  # … or here, if the tap sends none
PATIENCE_S = 300.0
LONGEST_ID = 500
DELETED = "_sdc_deleted_at"  # of taps that read a database's log (Meltano SDK, "Log-based replication")
SPEC_KEYS = ("stream", "key", "modified", "listing")
_TYPES = {"integer": "integer", "number": "decimal", "boolean": "boolean", "array": "set", "object": "object"}


# --- what hub.yaml says ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One stream, checked."""

    name: str
    tap_stream: str  # as the tap calls it
    key: tuple[str, ...] = ()  # (): as the tap's schema says
    modified: str = ""
    complete: bool = False


def specs_of(settings: Settings) -> Mapping[str, Spec]:
    """Every stream that a connection declares. Raises ConfigFault with all that is wrong."""
    faults: list[Fault] = []
    specs = {name: _spec(name, given, faults) for name, given in settings.streams.items()}
    if not specs:
        fix = "add `streams: {people: {stream: users}}`; hub discover names the tap's streams"
        faults.append(Fault(code="TAP-NO-STREAM", where="streams", message="no stream is named", fix=fix))
    if faults:
        raise ConfigFault(faults)
    return specs


def _spec(name: str, given: Mapping[str, Json], faults: list[Fault]) -> Spec:
    def wrong(message: str, fix: str) -> None:
        faults.append(Fault(code="TAP-STREAM", where=f"streams.{name}", message=message, fix=fix))

    texts = {option: given.get(option) or "" for option in ("stream", "modified")}
    for option, value in texts.items():
        if not isinstance(value, str):
            wrong(f"`{option}` is no text", "write it in quotes")
    key = given.get("key") or ()
    names = (key,) if isinstance(key, str) else key
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) and each for each in names):
        wrong("`key` names no property", "name the property, or properties, that tell records apart: `key: [id]`")
        names = ()
    if given.get("listing", "partial") not in ("partial", "complete"):
        wrong("`listing` is neither partial nor complete", "default: partial")
    for word in set(given) - set(SPEC_KEYS):  # others are the hub's own (every, fields …)
        if near := get_close_matches(word, SPEC_KEYS, 1, 0.75):
            wrong(f"`{word}` means nothing", f"`{near[0]}`?")
    return Spec(
        name=name, tap_stream=str(texts["stream"]) or name, key=tuple(names), modified=str(texts["modified"]),
        complete=given.get("listing") == "complete",
    )  # fmt: skip


def streams_for(settings: Settings) -> Sequence[Stream]:
    """The streams of one connection."""
    return [_stream(spec) for spec in specs_of(settings).values()]


def _stream(spec: Spec) -> Stream:
    return Stream(
        name=spec.name,
        id_path=spec.key[0] if spec.key else "id",
        modified_path=spec.modified or None,
        cursor="snapshot" if spec.complete else "token",
        sorted=False,
        deletes="listing" if spec.complete else "absent",
        page_size=PAGE_ROWS,
        minimum={"read": PAGE_ROWS},
    )


# --- a tap at work -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Read:
    """One run of a tap for one stream, and what has been taken from it."""

    program: Program
    position: Json  # cursor after the last page: whoever goes on from elsewhere starts another run
    line: int = 0
    key: tuple[str, ...] = ()
    version: Json = None  # of the records so far
    versions: int = 0  # how many different ones
    activated: Json = None
    whole: bool = True  # nothing of it was unreadable
    failed: HubError | None = None


@dataclass(slots=True)
class Api:
    """What `connect` hands out."""

    door: ProgramDoor
    specs: Mapping[str, Spec]
    command: tuple[str, ...]
    config: Mapping[str, Json]
    catalog_flag: str  # "--catalog", of old taps "--properties"; "": the tap knows no discovery
    patience_s: float
    reads: dict[str, Read] = field(default_factory=dict)
    found: Json = None  # the tap's catalog, once asked for

    def start(self, *arguments: str, **files: Json) -> Program:
        """The tap with its config and more arguments; `files` as JSON, "{name}" their places."""
        data = {name: orjson.dumps(each) for name, each in {"config": self.config, **files}.items()}
        return self.door.start([*self.command, "--config", "{config}", *arguments], files=data)


def connect(door: ProgramDoor, settings: Settings) -> Api:
    """Raises ConfigFault."""
    faults: list[Fault] = []

    def wrong(name: str, message: str, fix: str) -> None:
        faults.append(Fault(code="TAP-SETTING", where=f"settings.{name}", message=message, fix=fix))

    values = settings.values
    command = values.get("command")
    parts = command.split() if isinstance(command, str) else command
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(each, str) and each for each in parts):
        wrong("command", "names no program", "such as [taps/bin/tap-github]")
        parts = ()
    config = values.get("config") or {}
    if not isinstance(config, Mapping):
        wrong("config", "is no mapping", "write the tap's config as key: value")
        config = {}
    flag = values.get("catalog", "catalog")
    if flag not in ("catalog", "properties", "none"):
        wrong("catalog", "is none of catalog, properties, none", "how the tap takes its catalog; default: catalog")
    try:
        patience = float(values.get("patience_s") or PATIENCE_S)
    except (TypeError, ValueError):
        patience = 0.0
    if not patience > 0:
        wrong("patience_s", "is no number of seconds", "default: 300")
    if faults:
        raise ConfigFault(faults)
    secret = {name: value for name, value in settings.auth.items() if name != "kind"}
    flag = "" if flag == "none" else f"--{flag}"
    return Api(door, specs_of(settings), tuple(parts), {**config, **secret}, flag, patience)


def check(api: Api) -> dict[str, Json]:
    """The tap is asked what it can read; a stream that it does not know is a warning."""
    known = [] if not api.catalog_flag else [str(each.get("stream")) for each in catalog(api)]
    unknown = [each.tap_stream for each in api.specs.values() if known and each.tap_stream not in known]
    warnings = [f"the tap has no stream {name}; it has {', '.join(sorted(known))}" for name in unknown]
    return {"account": "", "name": api.command[0].rpartition("/")[2], "warnings": warnings}


def catalog(api: Api) -> list[dict[str, Json]]:
    """The tap's streams, by its discovery. Raises RetryLater TAP-DIED, TAP-CATALOG."""
    if api.found is None:
        program = api.start("--discover")
        said = bytearray()
        while (line := program.line(patience_s=api.patience_s)) is not None:
            said += line + b"\n"
        _require_success(api, program)
        try:
            streams = orjson.loads(bytes(said))["streams"]
            api.found = [each for each in streams if isinstance(each, dict) and each.get("stream")]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise RetryLater("the tap's discovery is no catalog", code="TAP-CATALOG", where=api.door.account) from None
    found: list[dict[str, Json]] = api.found
    return found


def _selected(api: Api, tap_stream: str) -> Json:
    """The catalog with one stream chosen, in both ways that taps understand."""
    return {"streams": [_chosen(each, each.get("stream") == tap_stream) for each in catalog(api)]}


def _chosen(entry: Mapping[str, Json], chosen: bool) -> dict[str, Json]:
    metadata = [dict(each) for each in entry.get("metadata") or () if isinstance(each, dict)]
    if not any(each.get("breadcrumb") == [] for each in metadata):
        metadata.append({"breadcrumb": [], "metadata": {}})
    for each in metadata:
        if each.get("breadcrumb") == [] or chosen:
            each["metadata"] = {**(each.get("metadata") or {}), "selected": chosen}
    schema = {**(entry.get("schema") or {}), "selected": chosen}
    return {**entry, "schema": schema, "metadata": metadata, "selected": chosen}


def _require_success(api: Api, program: Program) -> None:
    code = program.end()
    if code:
        raise _died(api, code, program)


def _died(api: Api, code: int, program: Program) -> RetryLater:
    said = program.complaint()[:300]
    return RetryLater(
        f"the tap ended with code {code}{f': {said}' if said else ''}", code="TAP-DIED", where=api.door.account,
        fix="what it says stands in the log; the next run goes on from the last state",
    )  # fmt: skip


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: Api, stream: str, cursor: Json) -> Page:
    """One page. Cursor: {"state": the tap's last STATE}; within a read also {"after": lines since it began, "from"}."""
    spec = api.specs[stream]
    read = api.reads.get(stream)
    if read is None or read.position != cursor or cursor is None or "after" not in cursor:
        read = _begin(api, spec, cursor, read)
        api.reads[stream] = read
    started = (cursor or {}).get("from") or api.door.now()
    if read.failed is not None:
        del api.reads[stream]
        raise read.failed
    records: list[SourceRecord] = []
    faults: list[dict[str, Json]] = []
    state, stable = (cursor or {}).get("state"), (0, 0)  # records and faults up to the last STATE
    try:
        while (line := read.program.line(patience_s=api.patience_s)) is not None:
            read.line += 1
            told = _take(read, spec, line, records, faults)
            if told is not None:
                state, stable = told, (len(records), len(faults))
            taken = len(records) + len(faults)
            if taken and (taken >= MOST_ROWS or (taken >= PAGE_ROWS and stable == (len(records), len(faults)))):
                return _step(api, stream, read, state, started, records, faults)
        _require_success(api, read.program)
    except HubError as error:
        if not any(stable):
            api.reads.pop(stream, None)
            raise
        read.failed = error  # what a state vouches for is taken in first
        return _step(api, stream, read, state, started, records[: stable[0]], faults[: stable[1]])
    api.reads.pop(stream, None)
    whole = read.whole and not (cursor or {}).get("broken")
    one_version = read.versions == 0 or (read.versions == 1 and read.activated in (None, read.version))
    return Page(
        records=records, faults=faults, next_cursor={"state": None if spec.complete else state}, complete=True,
        read_at=started, listing_complete=spec.complete and whole and one_version,
    )  # fmt: skip


def _begin(api: Api, spec: Spec, cursor: Json, old: Read | None) -> Read:
    """A new run from the last state. In the middle of a read it is another run than the one that began it."""
    if old is not None:
        old.program.stop()
    arguments, files = [], {}
    if api.catalog_flag:
        arguments, files = [api.catalog_flag, "{catalog}"], {"catalog": _selected(api, spec.tap_stream)}
    state = (cursor or {}).get("state")
    if state is not None:
        arguments, files = [*arguments, "--state", "{state}"], {**files, "state": state}
    return Read(api.start(*arguments, **files), cursor, key=spec.key, whole=not (spec.complete and state is not None))


def _step(
    api: Api, stream: str, read: Read, state: Json, started: float, records: list[SourceRecord],
    faults: list[dict[str, Json]],
) -> Page:  # fmt: skip
    read.position = {"state": state, "after": read.line, "from": started, **({} if read.whole else {"broken": True})}
    return Page(records=records, faults=faults, next_cursor=read.position, complete=False, read_at=started)


def _take(
    read: Read, spec: Spec, line: bytes, records: list[SourceRecord], faults: list[dict[str, Json]]
) -> Json:  # fmt: skip
    """Take one line in; gives the state of a STATE message."""
    if not line.strip():
        return None
    try:
        message = orjson.loads(line)
        kind = message["type"]
        if kind == "STATE":
            return message["value"]
        if kind not in ("SCHEMA", "RECORD", "ACTIVATE_VERSION") or message["stream"] != spec.tap_stream:
            return None  # other streams, and kinds that came later (BATCH is not asked for)
        if kind == "SCHEMA":
            read.key = spec.key or tuple(message.get("key_properties") or ())
        elif kind == "ACTIVATE_VERSION":
            read.activated = message.get("version")
        else:
            version = message.get("version")
            if read.versions == 0 or version != read.version:
                read.version, read.versions = version, read.versions + 1
            records.append(_record(read, spec, message["record"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        read.whole = False
        what = {orjson.JSONDecodeError: "is no JSON", KeyError: "lacks a part", TypeError: "is no message"}
        words = what.get(type(error)) or str(error)
        faults.append({
            "external_id": f"line {read.line}", "code": "TAP-LINE", "message": f"line {read.line} of the tap {words}",
            "fix": "ask who makes the tap; the line is kept", "value": line[:1000].decode("utf-8", "replace"),
        })  # fmt: skip
    return None


def _record(read: Read, spec: Spec, row: Json) -> SourceRecord:
    """Raises ValueError, TypeError: no object, no key, no time."""
    if not isinstance(row, dict):
        raise TypeError
    if not read.key:
        raise ValueError("has no key: say key: at the stream")
    parts = [row.get(name) for name in read.key]
    if any(isinstance(part, bool | dict | list) or part in (None, "") for part in parts):
        raise ValueError(f"has no {' and '.join(read.key)}")
    external_id = join_key([str(part) for part in parts])
    if len(external_id) > LONGEST_ID or "\0" in external_id:
        raise ValueError("has a key that is none")
    said = row.get(spec.modified) if spec.modified else None
    try:
        stamp = None if said in (None, "") else parse_time(str(said))
    except ValueError:
        raise ValueError(f"has no time with zone in {spec.modified}") from None
    gone = row.get(DELETED) is not None
    return SourceRecord(
        external_id=external_id, data={} if gone else row, stamp=stamp, op="delete" if gone else "upsert"
    )


# --- fields ------------------------------------------------------------------------------------------------------


def discover(api: Api, stream: str) -> list[Field]:
    """By the tap's catalog; a tap without one is asked nothing."""
    spec, fields = api.specs[stream], []
    for entry in catalog(api) if api.catalog_flag else ():
        if entry.get("stream") == spec.tap_stream:
            properties = (entry.get("schema") or {}).get("properties") or {}
            fields = [
                Field(name=name, label=name, type=_type(name, schema), writable=False)
                for name, schema in properties.items()
            ]
    return [*fields, Field(name=ANY_NAME, label="Whatever the tap sends", type="object", writable=False)]


def _type(name: str, schema: Json) -> str:
    """Of a JSON schema; a text or number whose name ends in "id" may name another record."""
    said = schema.get("type") if isinstance(schema, dict) else None
    kinds = [each for each in (said if isinstance(said, list) else [said]) if each != "null"]
    kind = kinds[0] if kinds else "string"
    if name.lower().endswith("id") and kind in ("string", "integer"):
        return "ref"
    if kind == "string" and isinstance(schema, dict):
        return {"date-time": "instant", "date": "date"}.get(str(schema.get("format")), "text")
    return _TYPES.get(str(kind), "text")


CONNECTOR = Connector(
    name="singer",
    title="Singer taps",
    base_url="",
    hosts=(),
    auth=(Auth(kind="program"), Auth(kind="none")),
    limits=(),
    streams=(),
    streams_for=streams_for,
    settings=(
        Setting(
            name="command", text="The tap and its arguments: [taps/bin/tap-github], relative to hub.yaml", required=True
        ),
        Setting(name="config", text="The tap's config; what is secret of it stands in `auth:`"),
        Setting(
            name="catalog", text="How it takes its catalog: catalog, properties (old taps), none", default="catalog"
        ),
        Setting(name="patience_s", text="Seconds without a word after which it is stopped", default=300),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    local_programs=True,
)
