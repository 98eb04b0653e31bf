"""Writing customers: as many mutations in one document as are sensible, each with its own answer.

A create names the hub's id, as the unique metafield that it looks for first (customerSet by `customId`): sent twice,
it makes one customer. A create that says more than customerSet can (consent, metafields) is a customerCreate with the
same metafield, so that an opt-out is there from the first moment. Consent of an existing customer has mutations of its
own, in the same document after its other fields.

A mutation replaces lists. `addresses.0` of a body therefore is put into the addresses that are there: they are read
first, its parts laid over the first of them, the others sent back as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from connectors.shopify.api import MAX_COST, MUTATION_COST, Answer, ShopifyApi, ask, code_of
from connectors.shopify.giving import give
from connectors.shopify.reading import gid, identify, record_of
from hub.errors import HubError
from hub.kit.paging import batches
from hub.kit.pushing import send_batches, send_each
from hub.model import ChangeSet, Json, PushResult, SourceRecord

# Mutations of one document: 500 of the 1,000 points that a query may cost and of the 2,000 in the smallest bucket, so
# that a pull finds some left; more would also lose more to one cut connection (fact sheet: 20 to 50 are sensible).
AT_ONCE = 50
ADDRESSES = 15  # of a customer, read before they are written: those of 50 customers fit one query
PLAIN = frozenset(
    ("email", "phone", "firstName", "lastName", "note", "locale", "tags", "taxExempt", "taxExemptions", "addresses")
)
CONSENTS = {
    "emailMarketingConsent": ("customerEmailMarketingConsentUpdate", "CustomerEmailMarketingConsentUpdateInput!"),
    "smsMarketingConsent": ("customerSmsMarketingConsentUpdate", "CustomerSmsMarketingConsentUpdateInput!"),
}
_CODED = "userErrors { field message code }"
_UNCODED = "userErrors { field message }"  # customerCreate, -Update and -Delete know no codes
_SHOWN = "customer { ...Shown }"


@dataclass(frozen=True, slots=True)
class Step:
    """One mutation: its line in the document, and its variables with their types."""

    alias: str
    line: str
    variables: Mapping[str, tuple[str, Json]]  # name -> (type, value)


@dataclass(frozen=True, slots=True)
class Job:
    """A change set and the mutations it takes."""

    index: int
    change: ChangeSet
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A userError."""

    code: str  # "" where the mutation knows no codes
    field: str
    message: str


def push(api: ShopifyApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """A result per change, in order; what a customer now holds comes from the answer of its mutation."""
    if stream == "discounts":
        return send_each(changes, partial(give, api), api.door.now)
    results: list[PushResult] = []
    ready: list[tuple[int, ChangeSet]] = []
    for index, change in enumerate(changes):
        wrong = _unfit(stream, change)
        if wrong is None:
            ready.append((index, change))
        else:
            results.append(
                PushResult(index=index, outcome="rejected", code=wrong.code, field=wrong.field, message=wrong.message)
            )
    send = partial(_send, api, dict(ready))
    return sorted([*results, *send_batches(_parts(ready), send, api.door.now)], key=lambda result: result.index)


def _unfit(stream: str, change: ChangeSet) -> Refusal | None:
    if stream != "customers" or change.op not in ("create", "update", "delete"):
        return Refusal("SHOPIFY-OP", "", f"{stream}: no {change.op}")
    for name in change.body:
        if name not in PLAIN and name not in CONSENTS and name != "metafields":
            return Refusal("SHOPIFY-FIELD", name, "a customer is not written under this name")
    if len(change.body.get("addresses") or ()) > 1:
        return Refusal("SHOPIFY-FIELD", "addresses", "only addresses.0 is written")
    if change.op != "create" and not gid("Customer", change.external_id or ""):
        return Refusal("SHOPIFY-ID", "", "no id of a customer")
    if change.op == "create" and not change.reference:
        return Refusal("SHOPIFY-NO-REFERENCE", "", "a create needs the hub's id")
    return None


def _parts(ready: Sequence[tuple[int, ChangeSet]]) -> Iterator[list[int]]:
    """Positions of the changes that go out together."""
    together: list[int] = []
    count = 0
    for index, change in ready:
        weight = 1 + sum(name in change.body for name in CONSENTS)
        if together and count + weight > AT_ONCE:
            yield together
            together, count = [], 0
        together.append(index)
        count += weight
    if together:
        yield together


def _send(api: ShopifyApi, changes: Mapping[int, ChangeSet], indexes: Sequence[int]) -> list[PushResult]:
    """One document. Raises RecordRejected if it was refused as a whole, other hub errors as the door does."""
    kept, results = _with_addresses(api, [(index, changes[index]) for index in indexes])
    jobs = [_job(api, index, change) for index, change in kept]
    if not jobs:
        return results
    text, variables = _document(api, jobs)
    answer = ask(api, text, variables, operation="push", cost=_cost(jobs), writes=True)
    outcomes = [(job, *_outcome(api, job, answer)) for job in jobs]
    return [*results, *_results(api, outcomes)]


def _cost(jobs: Sequence[Job]) -> int:
    return MUTATION_COST * sum(len(job.steps) for job in jobs)


# --- addresses ---------------------------------------------------------------------------------------------------

_PARTS = ("address1", "address2", "city", "company", "firstName", "lastName", "phone", "provinceCode", "zip")


def _with_addresses(
    api: ShopifyApi, part: Sequence[tuple[int, ChangeSet]]
) -> tuple[list[tuple[int, ChangeSet]], list[PushResult]]:
    """The changes with whole lists of addresses, and those for which that cannot be done."""
    asked = [change.external_id or "" for _, change in part if change.op == "update" and change.body.get("addresses")]
    held = _addresses(api, asked)
    kept: list[tuple[int, ChangeSet]] = []
    refused: list[PushResult] = []
    for index, change in part:
        given = (change.body.get("addresses") or [None])[0]
        known = held.get(gid("Customer", change.external_id or ""), ([], True)) if change.op == "update" else ([], True)
        if given is None:
            kept.append((index, change))
        elif not known[1]:
            message = f"the customer has more than {ADDRESSES} addresses"
            refused.append(PushResult(index=index, outcome="rejected", code="SHOPIFY-ADDRESSES", message=message))
        else:
            body = {**change.body, "addresses": _laid_over(given, known[0])}
            kept.append((index, replace(change, body=body)))
    return kept, refused


def _addresses(api: ShopifyApi, ids: Sequence[str]) -> dict[str, tuple[list[dict[str, Json]], bool]]:
    """Customer -> (addresses as input, the default one first, whether these are all)."""
    shown = f"{' '.join(_PARTS)} countryCodeV2"
    text = f"""query Addresses($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Customer {{ id defaultAddress {{ id }}
      addressesV2(first: {ADDRESSES}) {{ nodes {{ id {shown} }} pageInfo {{ hasNextPage }} }} }} }} }}"""
    each = 4 + ADDRESSES
    held: dict[str, tuple[list[dict[str, Json]], bool]] = {}
    for part in batches([gid("Customer", one) for one in ids], MAX_COST // each):
        answer = ask(api, text, {"ids": list(part)}, operation="addresses", cost=len(part) * each)
        for node in filter(None, answer.data["nodes"]):
            first = (node["defaultAddress"] or {}).get("id")
            rows = sorted(node["addressesV2"]["nodes"], key=lambda row: row["id"] != first)
            held[gid("", node["id"])] = (
                [_as_input(row) for row in rows],
                not node["addressesV2"]["pageInfo"]["hasNextPage"],
            )
    return held


def _as_input(row: Mapping[str, Json]) -> dict[str, Json]:
    return {**{name: row.get(name) for name in _PARTS}, "countryCode": row.get("countryCodeV2")}


def _laid_over(given: Mapping[str, Json], held: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """The list to send. An address of which every part is cleared goes."""
    others = [_said(address) for address in held[1:]]
    if not any(given.values()):
        return others
    first = dict(held[0]) if held else {}
    if given.get("countryCode") not in (None, first.get("countryCode")):
        first.pop("provinceCode", None)  # it belongs to the country that was there
    return [_said({**first, **given}), *others]


def _said(address: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in address.items() if value not in (None, "")}


# --- the document ------------------------------------------------------------------------------------------------


def _job(api: ShopifyApi, index: int, change: ChangeSet) -> Job:
    alias = f"c{index}"
    if change.op == "create":
        return Job(index, change, (_create(api, alias, change),))
    customer = gid("Customer", change.external_id or "")
    if change.op == "delete":
        line = f"{alias}: customerDelete(input: ${alias}) {{ deletedCustomerId {_UNCODED} }}"
        return Job(index, change, (Step(alias, line, {alias: ("CustomerDeleteInput!", {"id": customer})}),))
    steps = []
    plain = {name: value for name, value in change.body.items() if name not in CONSENTS}
    consents = {name: change.body[name] for name in CONSENTS if change.body.get(name)}
    if plain or not consents:
        line = f"{alias}: customerUpdate(input: ${alias}) {{ {_SHOWN} {_UNCODED} }}"
        steps.append(Step(alias, line, {alias: ("CustomerInput!", {"id": customer, **_input(plain)})}))
    for number, (name, consent) in enumerate(consents.items()):
        mutation, kind = CONSENTS[name]
        own = f"{alias}x{number}"
        line = f"{own}: {mutation}(input: ${own}) {{ {_SHOWN} {_CODED} }}"
        steps.append(Step(own, line, {own: (kind, {"customerId": customer, name: consent})}))
    return Job(index, change, tuple(steps))


def _create(api: ShopifyApi, alias: str, change: ChangeSet) -> Step:
    namespace, key = api.marker
    custom = {"namespace": namespace, "key": key, "value": change.reference}
    body = {name: value for name, value in change.body.items() if value not in (None, "")}
    if any(name not in PLAIN for name in body):
        given = _input(body)
        given["metafields"] = [{**custom, "type": "id"}, *given.get("metafields", [])]
        line = f"{alias}: customerCreate(input: ${alias}) {{ {_SHOWN} {_UNCODED} }}"
        return Step(alias, line, {alias: ("CustomerInput!", given)})
    by = f"{alias}by"
    line = f"{alias}: customerSet(identifier: ${by}, input: ${alias}) {{ {_SHOWN} {_CODED} }}"
    identifier = ("CustomerSetIdentifiers!", {"customId": custom})
    return Step(alias, line, {by: identifier, alias: ("CustomerSetInput!", _input(body))})


def _input(body: Mapping[str, Json]) -> dict[str, Json]:
    """A body as input; a map of metafields becomes the list that the API knows."""
    given = {name: value for name, value in body.items() if name != "metafields"}
    if body.get("metafields"):
        given["metafields"] = [
            {"namespace": namespace, "key": key, "value": value}
            for namespace, values in body["metafields"].items()
            for key, value in values.items()
        ]
    return given


def _document(api: ShopifyApi, jobs: Sequence[Job]) -> tuple[str, dict[str, Json]]:
    steps = [step for job in jobs for step in job.steps]
    declared = {name: kind for step in steps for name, (kind, _) in step.variables.items()}
    head = ", ".join(f"${name}: {kind}" for name, kind in declared.items())
    lines = " ".join(step.line for step in steps)
    text = f"mutation Push({head}) {{ {lines} }}"
    if "...Shown" in lines:
        text += f" fragment Shown on Customer {{ {api.selections['customers'].text} }}"
    return text, {name: value for step in steps for name, (_, value) in step.variables.items()}


# --- the answer --------------------------------------------------------------------------------------------------


def _outcome(api: ShopifyApi, job: Job, answer: Answer) -> tuple[list[Refusal] | None, SourceRecord | None]:
    """What was refused (None: nobody knows what became of it), and the customer as last shown."""
    refused: list[Refusal] = []
    held: SourceRecord | None = None
    for step in job.steps:
        told = answer.data.get(step.alias)
        if told is None:
            code = code_of(answer.errors.get(step.alias) or {})
            if code != "ACCESS_DENIED":
                return None, None
            refused.append(Refusal(code, "", "the app lacks an access scope"))
            continue
        for error in told["userErrors"]:
            place = ".".join(part for part in error.get("field") or () if part != "input")
            refused.append(Refusal(str(error.get("code") or ""), place, str(error.get("message") or "")))
        if told.get("customer"):
            held = record_of(api, "customers", told["customer"])
    if job.change.op == "delete" and not refused:
        held = SourceRecord(external_id=gid("Customer", job.change.external_id or ""), data={}, op="delete")
    return refused, held


def _results(
    api: ShopifyApi, sent: Sequence[tuple[Job, list[Refusal] | None, SourceRecord | None]]
) -> Iterator[PushResult]:
    evidence = _evidence(api, [(job, refused[0]) for job, refused, _ in sent if refused])
    for job, refused, held in sent:
        index, external_id = job.index, job.change.external_id
        if refused is None:
            yield PushResult(index=index, outcome="unknown", external_id=external_id, code="SHOPIFY-NO-ROW")
        elif not refused:
            external_id = held.external_id if held else external_id
            yield PushResult(index=index, outcome="applied", external_id=external_id, held=held)
        else:
            yield _refused(job, refused[0], held, evidence.get(index, {}))


Evidence = Mapping[str, SourceRecord | None]  # hubId, email, phone, id -> who has it now


def _evidence(api: ShopifyApi, refused: Sequence[tuple[Job, Refusal]]) -> Mapping[int, Evidence]:
    """Who holds what was asked for. Several mutations give no codes, and their words are not to be relied on."""
    wanted = [
        (job.index, by, value)
        for job, refusal in refused
        if refusal.code in ("", "TAKEN")
        for by, value in _questions(job.change)
    ]
    try:
        holders = identify(api, [(by, value) for _, by, value in wanted])
    except HubError:
        return {}  # without evidence a refusal stays what the vendor calls it
    found: dict[int, dict[str, SourceRecord | None]] = {}
    for (index, by, _), holder in zip(wanted, holders, strict=True):
        found.setdefault(index, {})[by] = holder
    return found


def _questions(change: ChangeSet) -> Iterator[tuple[str, str]]:
    if change.op == "create":
        yield "hubId", change.reference
    else:
        yield "id", gid("Customer", change.external_id or "")
    for name in ("email", "phone"):
        if change.body.get(name):
            yield name, str(change.body[name])


def _refused(job: Job, refusal: Refusal, held: SourceRecord | None, evidence: Evidence) -> PushResult:
    own = gid("Customer", job.change.external_id or "")
    told = PushResult(
        index=job.index,
        outcome="rejected",
        external_id=own or None,
        held=held,
        code=refusal.code or "USER_ERROR",
        field=refusal.field,
        message=refusal.message,
    )
    if refusal.code == "NOT_FOUND" or ("id" in evidence and evidence["id"] is None):
        return replace(told, outcome="not_found")
    for by in ("hubId", "email", "phone"):
        holder = evidence.get(by)
        if holder is not None and holder.external_id != own:
            return replace(told, outcome="duplicate", code="TAKEN", existing_id=holder.external_id, held=holder)
    return replace(told, outcome="duplicate") if refusal.code == "TAKEN" else told
