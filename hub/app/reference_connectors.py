"""docs/connectors.md: what each connector can and cannot do, told by its own facts and by the shipped mappings.

Nothing is claimed here that a connector does not declare: a missing function is a sentence about what is not possible.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import dedent

from hub.connector import Connector, Idempotency, RateLimit, Settings, Stream
from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub, read_mapping
from hub.model import Json
from hub.runtime.registry import CANONICAL_FILE, SHIPPED, connector_names, load_connector
from hub.runtime.yaml import load_yaml

HEAD = """# Connectors

What each connector reads and writes, how, and what is not possible there. This page is made of the connectors' own
facts and of the shipped mappings (`make docs`). How to write one: [writing a connector](connectors-howto.md).

How to read the tables:

- **reads by** says how a read finds what is new. By time and id: what changed since the last read, in order. By the
  vendor's page token: the same, in the vendor's own pages. By events: the vendor's log of changes. Whole: each read is
  the complete list.
- **looks back** is how far a read begins before the end of the last one, so that rows that show up late are found.
- **may be behind** is how late the vendor's lists or search can show a change.
- **guard against overwriting** is what keeps a write from hitting an edit that the hub has not seen. Where the vendor
  offers none, or none for large batches, the record is read right before it is written; an edit within that moment
  can be lost.
- **the same create twice** is what becomes of a create that had to be sent again, its first answer being lost.
- **fields** are canonical fields of the shipped mapping; see [the mapping reference](mapping.md) to change them.

For every connector: what a delete over there asks of other systems, and whether records are archived or deleted here,
stands in `deletes:` of its mapping (nothing and never, unless you say so). A record that merely vanishes from a list is
taken for deleted only where the table says "missing in a complete listing".
"""

PACKAGE = "connectors"

READS_BY = {
    "keyset": "time and id",
    "token": "the vendor's page token",
    "offset": "position in the list",
    "events": "events",
    "snapshot": "whole",
    "none": "no list: by id, when a webhook names it",
}
DELIVERED = "no list: webhooks bring it whole"
DELETES = {
    "tombstone": "listed as deleted",
    "event": "told by an event",
    "archived": "listed as archived",
    "absent": "not shown",
    "listing": "missing in a complete listing",
}
GUARDS = {
    "version": "only if its version is still the same",
    "etag": "only if it is still the same, byte for byte",
    "unmodified-since": "only if unmodified since it was read",
    "none": "none; read right before",
}
TWICE = {
    Idempotency.UNIQUE_REFERENCE: "one record, by the hub's id",
    Idempotency.KEY_WITH_LIFE: "one record for {life}, by its key; later it is looked up",
    Idempotency.SEARCHABLE_REFERENCE: "looked up by the hub's id first",
    Idempotency.NONE: "a person looks first",
}
SIGN_INS = {
    "none": "`none`: nobody asks who is there",
    "program": "`program`: whatever of the program's config is secret, by its own names",
    "token": "`token`: a token as it is given; the hub does not renew it",
    "basic": "`basic`: a name and a password",
    "client_credentials": "`client_credentials`: an id and a secret of an app, which fetch short-lived tokens",
    "jwt_bearer": "`jwt_bearer`: the address (`client_id`) and `private_key` of a service account",
    "refresh_token": "`refresh_token`: an id and a secret of an app, and a refresh token",
}


# Streams to describe, where a connector has none of its own: read only, and written in place.
EXAMPLES: Mapping[str, Mapping[str, Mapping[str, Json]]] = {
    "csv": {
        "people": {"file": "people.csv", "key": ["Id"]},
        "people in place": {"file": "people.csv", "key": ["Id"], "write": "in_place", "marker": "Hub Id"},
    },
    "singer": {"people": {}, "all teams": {"stream": "teams", "listing": "complete"}},
    "rest": {
        "contacts": {
            "path": "/contacts",
            "modified": "updated_at",
            "since": "updated_since",
            "fetch": "/contacts/{id}",
            "page": {"kind": "number", "param": "page"},
            "deleted": "deleted",
            "marker": "external_ref",
            "find": {"external_ref": "external_ref"},
            "create": "/contacts",
            "update": "/contacts/{id}",
            "delete": "/contacts/{id}",
        },
        "orders": {"path": "/orders", "page": {"kind": "link"}},
    },
    "google_sheets": {"people": {"tab": "People", "key": ["Email"], "write": "in_place", "marker": "Hub Id"}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A connector with the mapping that the hub ships for it."""

    connector: Connector
    mappings: Mapping[str, StreamMapping]

    @property
    def streams(self) -> Sequence[Stream]:
        """Its own, or those of an example where each connection declares them."""
        example = EXAMPLES.get(self.connector.name)
        if self.connector.tailored is not None:
            given = {"url": "https://api.example.com"}
            return self.connector.tailored(Settings(values=given, auth={}, streams=example or {})).streams
        if self.connector.streams_for is None or example is None:
            return self.connector.streams
        return self.connector.streams_for(Settings(values={}, auth={}, streams=example))

    def mapped(self, stream: Stream) -> list[StreamMapping]:
        return [mapping for mapping in self.mappings.values() if mapping.source == stream.name]


def described() -> list[Described]:
    """Every connector that comes with the hub, by its title; those of other packages are for their own pages."""
    canonical = read_canonical(Sheet(load_yaml(SHIPPED / CANONICAL_FILE)), derived=FUNCTIONS)
    installed = [load_connector(name) for name in connector_names()]
    found = [each for each in installed if each.connect.__module__.startswith(f"{PACKAGE}.")]
    ordered = sorted(found, key=lambda each: each.title.lower())
    return [Described(connector=each, mappings=_shipped(each.name, canonical)) for each in ordered]


def _shipped(name: str, canonical: Canonical) -> Mapping[str, StreamMapping]:
    """The streams of the shipped mapping, which is the file of the connector's name."""
    path = SHIPPED / f"{name}.yaml"
    return read_mapping(Sheet(load_yaml(path)), canonical, Hub()).streams if path.exists() else {}


def connectors_page() -> str:
    """The page, whole."""
    return "\n".join([HEAD, *(_section(each) for each in described())])


def _section(it: Described) -> str:
    connector = it.connector
    parts = [
        f"## {connector.title}\n\n`connector: {connector.name}`" + _docs(connector),
        _notes(connector),
        _streams(it),
        _fields(it),
        _sign_in(connector),
        _settings(connector),
        _limits(connector),
        f"**Webhooks.** {_webhooks(connector)}",
        _not_possible(it),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _docs(connector: Connector) -> str:
    return f" · [vendor's documentation]({connector.docs})" if connector.docs.startswith("https://") else ""


def _notes(connector: Connector) -> str:
    """The connector's own docstring, without its first line and its list of sources."""
    module = importlib.import_module(connector.connect.__module__)
    package = importlib.import_module(module.__name__.rpartition(".")[0]) if module.__package__ else module
    for each in (package, module):
        if getattr(each, "CONNECTOR", None) is connector:
            paragraphs = inspect.cleandoc(each.__doc__ or "").split("\n\n")[1:]
            return "\n\n".join(_paragraph(text) for text in paragraphs if not text.startswith("Docs:"))
    return ""


def _paragraph(text: str) -> str:
    return f"```text\n{dedent(text)}\n```" if text.startswith(" ") else text.replace("\n", " ")


# Streams


def _streams(it: Described) -> str:
    streams = it.streams
    if not streams:
        return "Its streams are declared at each connection."
    facts: list[tuple[str, Callable[[Stream], str]]] = [
        ("entity type", lambda stream: _entities(it, stream)),
        ("direction", lambda stream: _direction(it, stream)),
        ("reads by", lambda stream: DELIVERED if stream.delivered else READS_BY[stream.cursor]),
        ("looks back", lambda stream: span(stream.lookback_s) if stream.lookback_s else ""),
        ("may be behind", lambda stream: f"up to {span(stream.lag_s)}" if stream.lag_s else "no"),
        ("deletes over there", lambda stream: DELETES[stream.deletes]),
        ("records a page", lambda stream: f"{stream.page_size:,}"),
        ("records a write", lambda stream: f"up to {stream.max_batch:,}" if stream.writes else ""),
        ("guard against overwriting", lambda stream: GUARDS[stream.precondition] if _updates(stream) else ""),
        ("the same create twice", lambda stream: _twice(stream) if "create" in stream.writes else ""),
        ("the hub's id stands in", lambda stream: f"`{stream.marker}`" if stream.marker else ""),
    ]
    rows = [(name, [tell(stream) for stream in streams]) for name, tell in facts]
    return table(
        ["", *(f"`{stream.name}`" for stream in streams)], [[name, *cells] for name, cells in rows if any(cells)]
    )


def _entities(it: Described, stream: Stream) -> str:
    if not it.mappings:
        return ""
    return ", ".join(mapping.entity for mapping in it.mapped(stream)) or "not mapped"


def _direction(it: Described, stream: Stream) -> str:
    """What the shipped mapping does; what the connector could do beyond it is said among the rest."""
    told = [mapping for mapping in it.mapped(stream) if mapping.out_fields and not mapping.in_fields]
    if told and all(mapping.create == "never" for mapping in told) and "update" not in stream.writes:
        return "created, where the mapping says so"
    writing = [mapping for mapping in it.mapped(stream) if mapping.direction == "both" and stream.writes]
    if not it.mappings:
        return "as the mapping says" if stream.writes else "read"
    if stream.acts and "create" in stream.writes:
        return "read; ordered by rewards"
    if not writing:
        return "read"
    return "read, update" if all(mapping.create == "never" for mapping in writing) else "read, create, update"


def _updates(stream: Stream) -> bool:
    return "update" in stream.writes


def _twice(stream: Stream) -> str:
    return TWICE[stream.idempotency].format(life=span(stream.key_life_s))


def _fields(it: Described) -> str:
    """Per mapped stream, the canonical fields by direction."""
    rows = []
    for mapping in it.mappings.values():
        both, only_in = mapping.in_fields & mapping.out_fields, mapping.in_fields - mapping.out_fields
        written = {*(mapping.out_fields - mapping.in_fields), *(case.name for case in mapping.cases)}
        rows.append(
            [f"`{mapping.name}` → {mapping.entity}", *(", ".join(sorted(names)) for names in (both, only_in, written))]
        )
    return table(["fields", "both ways", "read only", "written only"], rows) if rows else ""


# Connections


def _sign_in(connector: Connector) -> str:
    if not connector.auth:
        return "**Sign-in.** None."
    kinds = [
        SIGN_INS[auth.kind] + (" (renewed and kept by the hub)" if auth.rotates else "") for auth in connector.auth
    ]
    hosts = ", ".join(f"`{host}`" if not host.startswith(".") else f"`*{host}`" for host in connector.hosts)
    if connector.local_programs or connector.mail:
        return "**Sign-in** (`auth: {kind: …}`).\n\n" + "\n".join(f"- {kind}" for kind in kinds)
    if connector.tailored is not None:
        hosts = "that of its address, and those that the connection names"
    return (
        "**Sign-in** (`auth: {kind: …}`).\n\n"
        + "\n".join(f"- {kind}" for kind in kinds)
        + f"\n\nHosts it may speak to: {hosts}."
    )


def _settings(connector: Connector) -> str:
    rows = [
        [
            f"`{each.name}`",
            each.text,
            "required" if each.required else f"`{each.default}`" if each.default is not None else "",
        ]
        for each in connector.settings
        if not each.secret
    ]
    return "**Settings** (`settings:`).\n\n" + table(["name", "what it is", "default"], rows) if rows else ""


def _limits(connector: Connector) -> str:
    """One row per budget; budgets that differ in nothing but the call they are for share a row."""
    rows: dict[tuple[str, str, bool], list[str]] = {}
    for limit in connector.limits:
        alone = tuple(limit.operations) == (limit.name,)
        row = rows.setdefault((_budget(limit), _shared(limit), alone or not limit.operations), [])
        row += limit.operations or ["all calls"]
    cells = [[amount, ("each of: " if alone and len(calls) > 1 else "") + ", ".join(calls), shared]
             for (amount, shared, alone), calls in rows.items()]  # fmt: skip
    return "**Limits** that the hub keeps.\n\n" + table(["how much", "of", ""], cells) if cells else ""


def _budget(limit: RateLimit) -> str:
    if limit.unit == "at_once":
        return f"{limit.calls:,} calls at once"
    return f"{limit.calls:,} {limit.unit} in {span(limit.per_s)}"


def _shared(limit: RateLimit) -> str:
    return "shared with other apps: `reserve` stays free" if limit.shared else ""


def _webhooks(connector: Connector) -> str:
    if connector.parse is None:
        return "None. Changes are found by reading on schedule."
    if connector.tracking:
        return (
            "It is sent to by the tracking API, under a write key (`hub connections hooks`). A message is the record "
            "itself: stored once, then taken in like a page. See [website events](website-events.md)."
        )
    if connector.only_listens:
        return (
            "Not signed: the address holds a secret, and whoever knows it is believed. It is entered by hand at the "
            "sender (`hub connections hooks`). A delivery is the record itself: stored once, then taken in like a page."
        )
    signed = "Signed; anything else is refused." if connector.verify else (
        "Not signed by the vendor: the address holds a secret, and what a call says is believed only once it was read."
    )  # fmt: skip
    made = "`hub connections hooks --subscribe NAME` sets them up." if connector.subscribe else (
        "They are set up by hand at the vendor, with the address of `hub connections hooks`."
    )  # fmt: skip
    whole = [f"`{stream.name}`" for stream in connector.streams if stream.delivered]
    brought = f" Only records of {', '.join(whole)} come whole: they cannot be read afterwards." if whole else ""
    return f"{signed} {made} A webhook is only a reason to read the record again.{brought}"


# What is not possible


def _not_possible(it: Described) -> str:
    """Sentences, each with the streams that it is true of."""
    told: dict[str, list[str]] = {}
    for stream in it.streams:
        for sentence in _stream_lacks(it.connector, stream):
            told.setdefault(sentence, []).append(f"`{stream.name}`")
    lines = [*_lacks(it.connector), *(f"{', '.join(names)}: {sentence}" for sentence, names in told.items())]
    return "**Not possible, and why.**\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _lacks(connector: Connector) -> Iterator[str]:
    if connector.push is None:
        yield "Nothing is written to this system: it is only read."
    if connector.parse is None:
        yield "No reaction within seconds: there are no webhooks, so a change waits for the next read."
    if connector.fetch is None:
        yield "Single records cannot be read by id."


def _stream_lacks(connector: Connector, stream: Stream) -> Iterator[str]:
    if stream.delivered:
        yield "only webhooks tell of them: what happened before the hub was told to, or while none came, stays unknown."
        return
    if connector.push is not None and not stream.writes:
        yield f"no writes; {'they are acts, and stay as they happened' if stream.acts else 'it is only read'}."
    if stream.deletes == "absent":
        yield "a delete over there is not shown; it is noticed when the record is next asked for by its id, if ever."
    if _updates(stream) and stream.precondition == "none":
        yield "an edit made between the hub's read and its write, a moment apart, can be overwritten."
    if _updates(stream) and stream.precondition == "unmodified-since" and stream.stamp_tick_s >= 1:
        yield f"two edits within {span(stream.stamp_tick_s)} cannot be told apart by their time."
    if "create" in stream.writes and stream.idempotency is Idempotency.NONE:
        yield "after an unclear answer to a create nobody can tell whether it was done; it goes to a person."
    if stream.lag_s >= 60:
        yield f"lists can be {span(stream.lag_s)} behind, so a change may be found that much later."


# Words


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def span(seconds: float) -> str:
    """A length of time as people say it."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} seconds"
