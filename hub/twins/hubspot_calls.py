"""Objects, batches, search and associations of the HubSpot twin's API: what is read, what is written, in which form."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hub.twins.hubspot_objects import Objects, Refusal, describe_link, link_names
from hub.twins.hubspot_paths import (
    STRICT,
    Call,
    batch_inputs,
    error_row,
    listed,
    not_found,
    not_found_row,
    refuse_repeated,
    refused,
    row_limit,
    type_name,
    type_pair,
)
from hub.twins.hubspot_schema import ASSOCIATION_TYPES, DEFAULT_PROPERTIES, Property, render_time
from hub.twins.hubspot_search import (
    SearchFault,
    check_limits,
    compile_groups,
    matches_text,
    modified_since,
    sort_key,
)
from hub.twins.kit import Fields, Record, Response, Rollback, Twin

Json = Any

# Fact sheet, "Reading" and "Writing".
OWN = "USER_DEFINED"  # category of associations that an account names itself
LIST_ROWS, HISTORY_ROWS, BATCH_ROWS, LINK_ROWS = 100, 50, 100, 1000


class Calls:
    """All resources of one portal. Callers hold the twin's lock."""

    def __init__(self, twin: Twin, objects: Objects, note_link: Callable[[str, str, str, str, bool], None]) -> None:
        """`note_link` is told of each association that came or went: from, to, their ids, removed."""
        self._twin, self._objects, self._note_link = twin, objects, note_link
        self._mixed = random.Random(twin.settings["seed"])
        self._found: dict[str, tuple[tuple[int, int], list[str]]] = {}  # searches whose result still holds

    def answer(self, call: Call) -> Response:
        """Answer one call; what is refused is answered in the vendor's form."""
        handler: Callable[[Call], Response] = getattr(self, f"_do_{call.operation}")
        try:
            return handler(call)
        except Refusal as refusal:
            return refused(refusal)
        except SearchFault as fault:
            return refused(Refusal(400, "VALIDATION_ERROR", str(fault)))
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            # The body lacks something or has another shape than the vendor's, who says no more than this either.
            return refused(Refusal(400, "VALIDATION_ERROR", f"Invalid input JSON: {type(fault).__name__} {fault}"))

    # --- reading -----------------------------------------------------------------------------------------------

    def _do_list(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        properties = listed(call.request, "properties")
        history = listed(call.request, "propertiesWithHistory")
        limit = row_limit(call.request, 10, HISTORY_ROWS if history else LIST_ROWS)
        archived = call.request.first("archived").lower() == "true"
        targets = [type_name(target) for target in listed(call.request, "associations")]
        page: list[Record] = []
        for stored in self._twin.records.after(name, call.request.first("after") or None):
            seen = self._twin.see(stored)
            if seen and seen.deleted == archived and not seen.merged_into:
                page.append(seen)
                if len(page) > limit:
                    break
        results = [self._rendered(record, properties, history, targets) for record in page[:limit]]
        answer: dict[str, Json] = {"results": results}
        if len(page) > limit:
            after = page[limit - 1].id
            link = f"{self._twin.base_url}{call.request.path}?after={after}&limit={limit}"
            answer["paging"] = {"next": {"after": after, "link": link}}
        return Response.json(answer, rows=len(results))

    def _do_read(self, call: Call) -> Response:
        name, key = type_name(call.parts[0]), call.parts[1]
        archived = call.request.first("archived").lower() == "true"
        record = self._objects.find(name, key, call.request.first("idProperty") or None, archived=archived)
        if record is None:
            raise not_found()
        targets = [type_name(target) for target in listed(call.request, "associations")]
        properties = listed(call.request, "properties")
        history = listed(call.request, "propertiesWithHistory")
        return Response.json(self._rendered(record, properties, history, targets), rows=1)

    def _do_batch_read(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        body = call.request.json()
        id_property = body.get("idProperty")
        ids = [str(entry["id"]) for entry in batch_inputs(body, BATCH_ROWS)]
        history = body.get("propertiesWithHistory") or []
        archived = call.request.first("archived").lower() == "true"
        results: list[Fields] = []
        missing: list[str] = []
        for key in dict.fromkeys(ids):
            record = self._objects.find(name, key, id_property, archived=archived)
            if record is None:
                missing.append(key)
            else:
                results.append(self._rendered(record, body.get("properties") or [], history, []))
        return self._batch(results, [not_found_row(missing)] if missing else [])

    def _rendered(self, record: Record, properties: list[str], history: list[str], targets: list[str]) -> Fields:
        extra: Fields = {}
        if history:
            extra["propertiesWithHistory"] = {prop: self._objects.history(record, prop) for prop in history}
        links: Fields = {}
        for target in targets:
            found = [
                {"id": other, "type": kind}
                for other, is_primary in self._objects.links.of(record.stream, target, record.id)
                for kind in link_names(record.stream, target, primary=is_primary)
            ]
            if found:
                links[target] = {"results": found}
        if links:
            extra["associations"] = links
        return self._objects.render(record, properties, **extra)

    def _do_search(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        body = call.request.json()
        check_limits(body, len(call.request.body.decode("utf-8", "replace")))
        limit, after = int(body.get("limit") or 10), int(body.get("after") or 0)
        ids = self._search(name, body)
        if after and self._twin.faults.hits(self._twin.faults.page_drift_rate):
            after = max(0, after + self._twin.faults.rng.choice((-1, 1)))
        page = [self._objects.find(name, record_id) for record_id in ids[after : after + limit]]
        seen = [self._twin.see(record, index=True) for record in page if record]
        results = [self._objects.render(record, body.get("properties")) for record in seen if record]
        answer: dict[str, Json] = {"total": len(ids), "results": results}
        if after + limit < len(ids):
            answer["paging"] = {"next": {"after": str(after + limit)}}
        return Response.json(answer, rows=len(results))

    def _search(self, name: str, body: Fields) -> list[str]:
        """Ids of all rows found, in order. Kept for the following pages as long as nothing is written."""
        groups, sorts = body.get("filterGroups") or [], body.get("sorts") or []
        key = f"{name} {groups} {sorts} {body.get('query')}"
        written = (self._twin.records.writes, self._objects.links.changes)
        known = self._found.get(key)
        if known and known[0] == written:
            return known[1]
        objects = self._objects

        def find(prop: str) -> Property | None:
            return objects.schema.find(name, prop)

        tests = [compile_groups(groups, find, objects.read)]
        if body.get("query"):
            tests.append(matches_text(str(body["query"]), name, objects.read))
        since = modified_since(groups, name)
        rows = self._twin.records.all(name) if since is None else self._twin.records.since(name, since)
        seen = [self._twin.see(row, index=True) for row in rows]
        found = [row for row in seen if row and not row.deleted and all(test(row) for test in tests)]
        order, descending = sort_key(sorts, find, objects.read)
        found.sort(key=order, reverse=descending)
        ids = [row.id for row in found]
        if self._twin.records.settled_at <= self._twin.now():
            self._found = {key: (written, ids)}
        return ids

    # --- writing -----------------------------------------------------------------------------------------------

    def _do_create(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        self._refuse_by_fault()
        record = self._create_all(name, [call.request.json()], call)[0]
        return Response.json(self._written(record, call.request.json()["properties"]), 201, rows=1)

    def _do_batch_create(self, call: Call) -> Response:
        """One row that cannot be created refuses the whole batch (hubspot-api-python issue 51)."""
        name = type_name(call.parts[0])
        inputs = batch_inputs(call.request.json(), BATCH_ROWS)
        errors: list[Fields] = []
        kept: list[Fields] = []
        for entry in inputs:
            error = self._row_fault({"objectWriteTraceId": [str(entry.get("objectWriteTraceId") or "")]})
            (errors if error else kept).append(error or entry)
        records = self._create_all(name, kept, call)
        results = [
            self._written(record, entry["properties"], entry) for record, entry in zip(records, kept, strict=True)
        ]
        return self._batch(results, errors, 201)

    def _create_all(self, name: str, inputs: list[Fields], call: Call) -> list[Record]:
        """All rows or none. Raises Refusal of the first that cannot be created."""
        first: Refusal | None = None
        records: list[Record] = []
        links: list[tuple[Record, str, str, bool, int]] = []
        with self._twin.records.transaction():
            try:
                for entry in inputs:
                    strict = call.version in STRICT
                    record = self._objects.create(name, entry["properties"], strict=strict)
                    records.append(record)
                    links += self._wanted_links(record, entry.get("associations") or [])
            except Refusal as refusal:
                first = refusal
                raise Rollback from None
        if first is not None:
            raise first
        for record, target, other_id, is_primary, label in links:
            self._link(name, target, record.id, other_id, primary=is_primary)
            if label:
                self._objects.links.label(name, target, record.id, other_id, label)
        return records

    def _wanted_links(self, record: Record, associations: list[Fields]) -> list[tuple[Record, str, str, bool, int]]:
        """The associations asked for at creation, with the type id of a label. Raises Refusal: unknown type or row."""
        wanted: list[tuple[Record, str, str, bool, int]] = []
        for entry in associations:
            other_id = str(entry["to"]["id"])
            for spec in entry["types"]:
                type_id, own = int(spec["associationTypeId"]), spec.get("associationCategory") == OWN
                named = self._objects.links.target_of(record.stream, type_id) if own else ""
                target, is_primary = (named, False) if own and named else _target_of(record.stream, type_id)
                if self._twin.records.find(target, other_id) is None:
                    raise Refusal(400, "VALIDATION_ERROR", f"{target} {other_id} does not exist")
                wanted.append((record, target, other_id, is_primary, type_id if own else 0))
        return wanted

    def _do_update(self, call: Call) -> Response:
        name, key = type_name(call.parts[0]), call.parts[1]
        record = self._objects.stored(name, key, call.request.first("idProperty") or None)
        if record is None or record.deleted:
            raise not_found()
        self._refuse_by_fault()
        properties = call.request.json()["properties"]
        self._objects.update(record, properties, strict=call.version in STRICT)
        return Response.json(self._written(record, properties), rows=1)

    def _do_batch_update(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        inputs = batch_inputs(call.request.json(), BATCH_ROWS)
        refuse_repeated(inputs)
        results: list[Fields] = []
        errors: list[Fields] = []
        missing: list[str] = []

        def write(entry: Fields) -> None:
            record = self._objects.stored(name, str(entry["id"]), entry.get("idProperty"))
            if record is None or record.deleted:
                missing.append(str(entry["id"]))
            elif error := self._row_fault({"ids": [str(entry["id"])]}):
                errors.append(error)
            else:
                self._objects.update(record, entry["properties"], strict=call.version in STRICT)
                results.append(self._written(record, entry["properties"], entry))

        self._all_or_none(inputs, write)
        return self._batch(results, [*errors, *([not_found_row(missing)] if missing else [])])

    def _do_batch_upsert(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        inputs = batch_inputs(call.request.json(), BATCH_ROWS)
        refuse_repeated(inputs)
        results: list[Fields] = []
        errors: list[Fields] = []

        def write(entry: Fields) -> None:
            if error := self._row_fault({"ids": [str(entry["id"])]}):
                errors.append(error)
                return
            id_property = entry.get("idProperty")
            record = self._objects.stored(name, str(entry["id"]), id_property)
            strict = call.version in STRICT
            is_new = record is None or record.deleted
            if is_new and not id_property:
                errors.append(not_found_row([str(entry["id"])]))
                return
            if record is None or record.deleted:
                properties = {str(id_property): entry["id"], **entry["properties"]}
                record = self._objects.create(name, properties, strict=strict)
            else:
                self._objects.update(record, entry["properties"], strict=strict)
            results.append(self._written(record, entry["properties"], entry) | {"new": is_new})

        self._all_or_none(inputs, write)
        return self._batch(results, errors)

    def _all_or_none(self, inputs: list[Fields], write: Callable[[Fields], None]) -> None:
        """Rows that are not there are told one by one; a value that cannot be saved refuses the whole batch."""
        first: Refusal | None = None
        with self._twin.records.transaction():
            try:
                for entry in inputs:
                    write(entry)
            except Refusal as refusal:
                first = refusal
                raise Rollback from None
        if first is not None:
            raise first

    def _do_archive(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        record = self._objects.stored(name, call.parts[1])
        if record is None:
            raise not_found()
        if not record.deleted:
            self._twin.records.delete(name, record.id, by="api")
        return Response(status=204, rows=1)

    def _do_batch_archive(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        inputs = batch_inputs(call.request.json(), BATCH_ROWS)
        for entry in inputs:
            record = self._objects.stored(name, str(entry["id"]))
            if record is not None and not record.deleted:
                self._twin.records.delete(name, record.id, by="api")
        return Response(status=204, rows=len(inputs))

    def _do_merge(self, call: Call) -> Response:
        body = call.request.json()
        name = type_name(call.parts[0])
        winner, loser = str(body["primaryObjectId"]), str(body["objectIdToMerge"])
        if self._twin.records.find(name, winner) is None or self._twin.records.find(name, loser) is None:
            raise not_found()
        survivor = self._twin.user_merge(name, winner, loser, by="api")
        return Response.json(self._objects.render(self._twin.records.get(name, survivor), None), rows=1)

    def _written(self, record: Record, properties: Fields, entry: Fields | None = None) -> Fields:
        """The answer to a write: the default properties and those that were sent."""
        asked = [*DEFAULT_PROPERTIES[record.stream], *(key.lower() for key in properties)]
        trace = (entry or {}).get("objectWriteTraceId")
        return self._objects.render(record, asked, **({"objectWriteTraceId": trace} if trace else {}))

    def _refuse_by_fault(self) -> None:
        error = self._row_fault({})
        if error:
            status = 400 if error["category"] == "VALIDATION_ERROR" else 423
            raise Refusal(status, error["category"], error["message"])

    def _row_fault(self, context: Fields) -> Fields | None:
        """A row of a 207 answer that fails, if the faults say so."""
        match self._twin.faults.row_fault():
            case "reject":
                return error_row("VALIDATION_ERROR", "Refused by a rule of this portal", context)
            case "partial_batch":
                return error_row("LOCKED", "The record is locked by another write, try again", context)
        return None

    def _batch(self, results: list[Fields], errors: list[Fields], status: int = 200) -> Response:
        """A batch answer; its rows are in no particular order (fact sheet, "Partial failure")."""
        self._mixed.shuffle(results)
        now = render_time(self._twin.now())
        answer: dict[str, Json] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
        if errors:
            answer |= {"numErrors": len(errors), "errors": errors}
        return Response.json(answer, 207 if errors else status, rows=len(results) + len(errors))

    # --- associations ------------------------------------------------------------------------------------------

    def _do_links_of(self, call: Call) -> Response:
        source, target = type_name(call.parts[0]), type_name(call.parts[2])
        if self._objects.find(source, call.parts[1]) is None:
            raise not_found()
        found = self._linked(source, target, call.parts[1], call.version)
        return Response.json({"results": found}, rows=len(found))

    def _do_batch_links(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[1])
        results: list[Fields] = []
        errors: list[Fields] = []
        for entry in batch_inputs(call.request.json(), LINK_ROWS):
            record_id = str(entry["id"])
            found = self._linked(source, target, record_id, call.version)
            if found:
                results.append({"from": {"id": record_id}, "to": found})
            else:
                message = f"No {target} is associated with {source} {record_id}."
                error = error_row("OBJECT_NOT_FOUND", message, {"fromObjectId": [record_id]})
                errors.append(error | {"subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"})
        return self._batch(results, errors)

    def _linked(self, source: str, target: str, record_id: str, version: str) -> list[Fields]:
        """v4 gives ids as numbers, dated versions as texts, as their schema says."""
        links = self._objects.links
        return [
            {
                "toObjectId": int(other) if version == "v4" else other,
                "associationTypes": describe_link(
                    source, target, primary=is_primary, labels=links.labels_of(source, target, record_id, other)
                ),
            }
            for other, is_primary in links.of(source, target, record_id)
        ]

    def _do_associate(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[2])
        specs = call.request.json()  # a list of association types, or nothing at the default resource
        inputs = [{"types": specs}] if isinstance(specs, list) else None
        return self._associate_all(source, target, [(call.parts[1], call.parts[3])], inputs)

    def _do_batch_associate(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[1])
        inputs = batch_inputs(call.request.json(), 2 * LINK_ROWS)
        return self._associate_all(source, target, [(str(e["from"]["id"]), str(e["to"]["id"])) for e in inputs], inputs)

    def _associate_all(
        self, source: str, target: str, pairs: list[tuple[str, str]], inputs: list[Fields] | None = None
    ) -> Response:
        results: list[Fields] = []
        errors: list[Fields] = []
        first = ASSOCIATION_TYPES[source, target][1]
        for place, (record_id, other_id) in enumerate(pairs):
            rows = (self._objects.find(source, record_id), self._objects.find(target, other_id))
            if None in rows:
                gone = [key for key, row in zip((record_id, other_id), rows, strict=True) if row is None]
                errors.append(not_found_row(gone))
                continue
            specs = inputs[place].get("types", []) if inputs else []
            wants_first = first is not None and any(int(spec["associationTypeId"]) == first for spec in specs)
            labels = [self._label_id(source, target, spec) for spec in specs if spec.get("associationCategory") == OWN]
            self._link(source, target, record_id, other_id, primary=wants_first)
            for type_id in labels:
                self._objects.links.label(source, target, record_id, other_id, type_id)
            results += _link_results(source, target, record_id, other_id)
        return self._batch(results, errors)

    def _link(self, source: str, target: str, record_id: str, other_id: str, *, primary: bool) -> None:
        if self._objects.links.add(source, target, record_id, other_id, primary=primary):
            self._note_link(source, target, record_id, other_id, False)

    def _do_dissociate(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[2])
        self._unlink(source, target, call.parts[1], call.parts[3])
        return Response(status=204)

    def _do_batch_dissociate(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[1])
        for entry in batch_inputs(call.request.json(), LINK_ROWS):
            for other in entry["to"]:
                self._unlink(source, target, str(entry["from"]["id"]), str(other["id"]))
        return Response(status=204)

    def _unlink(self, source: str, target: str, record_id: str, other_id: str) -> None:
        if self._objects.links.remove(source, target, record_id, other_id):
            self._note_link(source, target, record_id, other_id, True)

    def _label_id(self, source: str, target: str, spec: Fields) -> int:
        """The type id of a label of this account. Raises Refusal."""
        type_id = int(spec["associationTypeId"])
        if type_id not in self._objects.links.labels(source, target):
            raise Refusal(400, "VALIDATION_ERROR", f"Association type {type_id} is not valid from {source} to {target}")
        return type_id

    def _do_batch_unlabel(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[1])
        for entry in batch_inputs(call.request.json(), LINK_ROWS):
            for spec in entry["types"]:
                type_id, pair = self._label_id(source, target, spec), (str(entry["from"]["id"]), str(entry["to"]["id"]))
                self._objects.links.label(source, target, *pair, type_id, on=False)
        return Response(status=204)

    def _do_labels(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[1])
        labels = self._objects.links.labels(source, target)
        return Response.json({"results": describe_link(source, target, primary=True, labels=labels)})

    def _do_create_label(self, call: Call) -> Response:
        source, target = type_pair(call.parts[0], call.parts[1])
        made = self._objects.links.define(source, target, str(call.request.json()["label"]))
        found = [{"category": OWN, "typeId": type_id, "label": call.request.json()["label"]} for type_id in made]
        return Response.json({"results": found}, 201)


def _target_of(source: str, type_id: int) -> tuple[str, bool]:
    """(object type, is primary) of an association type id that starts at `source`. Raises Refusal."""
    for (one, other), (plain, first) in ASSOCIATION_TYPES.items():
        if one == source and type_id in (plain, first):
            return other, type_id == first
    raise Refusal(400, "VALIDATION_ERROR", f"Association type {type_id} is not valid from {source}")


def _link_results(source: str, target: str, record_id: str, other_id: str) -> list[Fields]:
    """Both directions of a new unlabelled association."""
    return [
        {
            "from": {"id": one},
            "to": {"id": other},
            "associationSpec": {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id},
        }
        for one, other, type_id in (
            (record_id, other_id, ASSOCIATION_TYPES[source, target][0]),
            (other_id, record_id, ASSOCIATION_TYPES[target, source][0]),
        )
    ]
