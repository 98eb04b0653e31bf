"""Reading: pages in the order of change, records by id, customers by what is unique about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from connectors.shopify.api import KINDS, LINES, MAX_COST, MOST, NESTED, ROOTS, Answer, ShopifyApi, TooCostly, ask
from connectors.shopify.bulk import is_ready, rows_from, start
from connectors.shopify.discounts import discount_of
from hub.connector import Page
from hub.errors import NeedsReview
from hub.kit.paging import batches, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import Json, SourceRecord

LAG_S = 300.0  # the search index is behind by seconds to minutes (ShopifySharp #854)
LOOKBACK_S = 2 * LAG_S
DAY_S = 86_400
CAP = 25_000  # objects after which paging may stop (vendor docs, "Limits": pagination)
_GID = re.compile(r"gid://shopify/[A-Za-z]+/\d+")


def gid(kind: str, text: object) -> str:
    """The canonical id of a number or a global id, whatever hangs on it; "" if it is neither."""
    written = str(text)
    if written.isdigit():
        return f"gid://shopify/{kind}/{written}"
    found = _GID.match(written)
    return found[0] if found else ""


def record_of(api: ShopifyApi, stream: str, node: dict[str, Json]) -> SourceRecord:
    """A node as it came; metafields, asked for under aliases, stand at metafields.<namespace>.<key>."""
    if stream == "discounts":
        return discount_of(node)
    if stream in NESTED:
        name, _ = NESTED[stream]
        held = node.get(name) or ()
        node[name] = list(held["nodes"] if isinstance(held, dict) else held)[:LINES]
        node["titles"] = [each["title"] for each in node[name] if each.get("title")]
    marker = (node.get("hubId") or {}).get("value")
    aliases = api.selections[stream].metafields
    if aliases:
        node["metafields"] = {}
        for alias, name in aliases.items():
            namespace, _, key = name.rpartition(".")
            value = (node.pop(alias, None) or {}).get("value")
            node["metafields"].setdefault(namespace, {})[key] = value
    return SourceRecord(external_id=gid("", node["id"]), data=node, stamp=parse_time(node["updatedAt"]), marker=marker)


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: ShopifyApi, stream: str, cursor: Json) -> Page:
    """One page.

    Cursor: {"since": epoch s or None, "after": Shopify's cursor or None, "from": start of this read, "rows": so far,
    "id": keyset or None}. A read that ends exactly where the vendor may cap paging is repeated by id, which knows no
    cap: `id` is then the last one read, beginning with "0". While a first load is a bulk operation: {"since": None,
    "from", "bulk": its id, "at": bytes of its file that were read}; after one that came to nothing "bulk" is "".
    """
    at = cursor or {"since": None}
    if at.get("bulk"):
        return _pull_bulk(api, stream, at)
    at = {"since": at["since"], "after": None, "from": None, "rows": 0, "id": None, **at}
    counted = bool(api.bulk_from) and cursor is None and stream in COUNTS
    answer = _page(api, stream, at, counted=counted)
    if counted and (answer.data.get("all") or {}).get("count", 0) >= api.bulk_from:
        begun = start(api, stream)
        if begun is not None:
            file = {"since": None, "from": answer.at, "bulk": begun, "at": 0}
            return Page(records=(), next_cursor=file, complete=False, read_at=answer.at)
    found = answer.data[ROOTS.get(stream, stream)]
    started = at["from"] or answer.at
    records, faults = read_rows(found["nodes"], lambda node: record_of(api, stream, node), id_key="id")
    following = _following(stream, at, found, started, f"{api.door.account}/{stream}")
    fresh = [record for record in records if at["since"] is None or (record.stamp or 0.0) >= at["since"]]
    if following is not None:
        return Page(records=fresh, next_cursor=following, complete=False, faults=faults, read_at=started)
    whole = stream == "discounts"  # that one was used moves no time, so all are listed
    rest = {"since": None if whole else rest_at(started, LOOKBACK_S)}
    return Page(
        records=fresh, next_cursor=rest, complete=True, listing_complete=whole and not faults, faults=faults,
        read_at=started,
    )  # fmt: skip


UNTIMED = ("checkouts", "discounts")  # sorted by id: their queries know no other order that stands still


def _following(
    stream: str, at: Mapping[str, Json], found: Mapping[str, Json], started: float, where: str
) -> dict[str, Json] | None:
    """Where the read goes on; None at its end."""
    rows = at["rows"] + len(found["nodes"])
    info, going = found["pageInfo"], {**at, "from": started, "rows": rows}
    if info["hasNextPage"]:
        return {**going, "after": require_progress(at["after"], info["endCursor"], where=where)}
    if not found["nodes"] or abs(rows - CAP) > MOST:
        return None
    last = found["nodes"][-1]["id"].rpartition("/")[2]
    by_time = at["id"] is None and stream not in UNTIMED
    return {**going, "after": None, "rows": 0, "id": "0" if by_time else last}


def _pull_bulk(api: ShopifyApi, stream: str, at: Mapping[str, Json]) -> Page:
    """A piece of a bulk operation's file. One that failed, or whose file is gone, is replaced by pages from the start.

    What came of it till then comes again, as it was: nothing may be concluded from a part of a file.
    """
    pages = {"since": None, "after": None, "from": at["from"], "rows": 0, "id": None, "bulk": ""}
    if not is_ready(api, at["bulk"]):
        return Page(records=(), next_cursor=pages, complete=False, read_at=at["from"])
    piece = rows_from(api, stream, at["bulk"], at["at"])
    if piece is None:
        return Page(records=(), next_cursor=pages, complete=False, read_at=at["from"])
    records, faults = read_rows(piece.nodes, lambda node: record_of(api, stream, node), id_key="id")
    rest = {"since": rest_at(at["from"], LOOKBACK_S)}
    following = rest if piece.is_last else {**at, "at": piece.end}
    return Page(records=records, next_cursor=following, complete=piece.is_last, faults=faults, read_at=at["from"])


COUNTS = {
    "customers": "customersCount", "orders": "ordersCount", "checkouts": "abandonedCheckoutsCount",
    "products": "productsCount",
}  # fmt: skip


def _page(api: ShopifyApi, stream: str, at: Mapping[str, Json], *, counted: bool) -> Answer:
    """As many rows as the cost allows; a page found too dear is asked for again, smaller."""
    selection = api.selections[stream]
    count = f"all: {COUNTS[stream]}(limit: {api.bulk_from}) {{ count }}" if counted else ""
    text = f"""query Page($first: Int!, $after: String, $q: String) {{ {count}
      {ROOTS.get(stream, stream)}(first: $first, after: $after, query: $q, sortKey: {_sort_key(stream, at)}) {{
        nodes {{ {selection.text} }} pageInfo {{ hasNextPage endCursor }}
      }}
    }}"""
    first = api.first.get(stream) or rows_for(selection.cost)
    for _ in range(4):
        variables = {"first": first, "after": at["after"], "q": _filter(stream, at)}
        try:
            answer = ask(api, text, variables, operation=stream, cost=first * selection.cost)
        except TooCostly as error:
            first = api.first[stream] = max(1, first * MAX_COST // max(error.cost, first + 1))
            continue
        if answer.requested:  # the vendor's own price decides about the next page
            api.first[stream] = max(1, min(MOST, first * MAX_COST // answer.requested))
        return answer
    raise NeedsReview("even small pages cost too much", code="SHOPIFY-COST", where=f"{api.door.account}/{stream}")


def _sort_key(stream: str, at: Mapping[str, Json]) -> str:
    return "UPDATED_AT" if at["id"] is None and stream not in UNTIMED else "ID"


def rows_for(cost: int) -> int:
    """Rows that one query may ask for, if each costs so many points."""
    return max(1, min(MOST, MAX_COST // cost))


def _filter(stream: str, at: Mapping[str, Json]) -> str | None:
    """A search string, or None: an empty filter is an internal error of the vendor (airbyte PR 33827).

    Customers match by whole days (schema text of `customers`), so their bound goes down to midnight and the caller
    drops what is older.
    """
    parts = []
    if at["since"] is not None:
        since = at["since"] - (at["since"] % DAY_S if stream == "customers" else 0)
        parts.append(f"updated_at:>='{to_iso(since, digits=0)}'")
    if at["id"] is not None:
        parts.append(f"id:>{at['id']}")
    return " AND ".join(parts) or None


# --- single records ----------------------------------------------------------------------------------------------


def fetch(api: ShopifyApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, a strong read. What is not there was deleted (or merged: Shopify does not say into whom).

    An order that is not there is left out: without `read_all_orders`, orders older than 60 days are invisible.
    """
    kind, selection = KINDS[stream], api.selections[stream]
    asked = [canonical for canonical in dict.fromkeys(gid(kind, each) for each in ids) if canonical]
    text = f"query Some($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {kind} {{ {selection.text} }} }} }}"
    found: list[SourceRecord] = []
    for part in batches(asked, rows_for(selection.cost)):
        answer = ask(api, text, {"ids": list(part)}, operation="fetch", cost=len(part) * selection.cost)
        for external_id, node in zip(part, answer.data["nodes"], strict=True):
            if node:
                found.append(record_of(api, stream, node))
            elif stream != "orders":
                found.append(SourceRecord(external_id=external_id, data={}, op="delete"))
    return found


IDENTIFIERS = {"email": "emailAddress", "phone": "phoneNumber", "hubId": "customId", "id": "id"}
_FOUND_BY = {
    "email": "email",
    "defaultEmailAddress.emailAddress": "email",
    "phone": "phone",
    "defaultPhoneNumber.phoneNumber": "phone",
    "hubId": "hubId",
    "hubId.value": "hubId",
    "id": "id",
}


def find(api: ShopifyApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """What is unique in a shop, strong reads: customers by e-mail, phone, the hub's id; discounts by their code."""
    if stream == "discounts" and name == "code":
        selection = api.selections[stream]
        text = f"query Code($code: String!) {{ codeDiscountNodeByCode(code: $code) {{ {selection.text} }} }}"
        node = ask(api, text, {"code": value}, operation="find", cost=selection.cost).data["codeDiscountNodeByCode"]
        return [record_of(api, stream, node)] if node else []
    if stream == "customers" and name in _FOUND_BY:
        return [record for record in identify(api, [(_FOUND_BY[name], value)]) if record is not None]
    if name == "id":
        return [record for record in fetch(api, stream, [value]) if record.op != "delete"]
    raise NeedsReview(
        f"{stream} cannot be looked up by {name}: the search index lags", code="SHOPIFY-LOOKUP", where=api.door.account
    )


def identify(api: ShopifyApi, wanted: Iterable[tuple[str, str]]) -> list[SourceRecord | None]:
    """Customers by (email | phone | hubId | id, value), in one call as long as the cost allows."""
    found: list[SourceRecord | None] = []
    for part in batches(list(wanted), rows_for(api.selections["customers"].cost)):
        found += _identify_some(api, part)
    return found


def _identify_some(api: ShopifyApi, wanted: Sequence[tuple[str, str]]) -> list[SourceRecord | None]:
    selection = api.selections["customers"]
    names = [f"c{number}" for number in range(len(wanted))]
    variables: dict[str, Json] = {}
    for alias, (by, value) in zip(names, wanted, strict=True):
        namespace, key = api.marker
        term: Json = {"namespace": namespace, "key": key, "value": value} if by == "hubId" else value
        variables[alias] = {IDENTIFIERS[by]: term}
    lines = [f"{alias}: customerByIdentifier(identifier: ${alias}) {{ ...Shown }}" for alias in names]
    head = ", ".join(f"${alias}: CustomerIdentifierInput!" for alias in names)
    text = f"query Who({head}) {{ {' '.join(lines)} }} fragment Shown on Customer {{ {selection.text} }}"
    answer = ask(api, text, variables, operation="find", cost=len(names) * selection.cost)
    return [record_of(api, "customers", node) if (node := answer.data[alias]) else None for alias in names]
