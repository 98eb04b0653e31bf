"""What each path of Stripe's API does with the account's objects."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from hub.twins.kit import Fields, Record, Request, Response
from hub.twins.stripe_lists import created_test, filter_test, page_of, search_page, search_test
from hub.twins.stripe_objects import RESOURCES, expand, show, stub
from hub.twins.stripe_params import (
    CHARGE,
    REFUND,
    SUBSCRIPTION,
    Refused,
    checked_parts,
    invalid,
    merge_metadata,
    missing,
    nested,
    require,
)

if TYPE_CHECKING:
    from hub.twins.stripe import TwinStripe

Json = Any

EXPAND_DEPTH = 4  # vendor docs, "Expanding responses"
INVOICE_VERBS = ("finalize", "pay", "void", "mark_uncollectible", "send")


class Calls:
    """The API of one account. Every method raises Refused for what the vendor refuses."""

    def __init__(self, twin: TwinStripe) -> None:
        self._twin = twin

    def serve(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[0] != "v1" or len(parts) < 2:
            raise Refused(404, f"Unrecognized request URL ({request.method}: {request.path}).")
        given = nested(request.query if request.method in ("GET", "DELETE") else request.form())
        wanted = given.pop("expand", [])
        shown = self._answer_to(request.method, parts[1:], given)
        rows = len(shown["data"]) if isinstance(shown.get("data"), list) else 1
        return Response.json(self._expanded(shown, wanted), rows=rows)

    def _answer_to(self, method: str, parts: list[str], given: Fields) -> Fields:
        match method, parts:
            case "GET", ["account"]:
                return self._account()
            case "GET", ["events"]:
                return self._list_events(given)
            case "GET", ["events", event_id]:
                return _there(self._twin.events.find(event_id), "event", event_id)
            case _, ["webhook_endpoints", *rest]:
                return self._twin.endpoints.answer(method, rest, given)
            case "GET", ["invoices", invoice, "lines"]:
                rows = self._found("invoices", invoice).fields["lines"]
                return page_of(rows, given, f"/v1/invoices/{invoice}/lines", "line_item")
            case "GET", ["subscription_items"]:
                require(given, "subscription")
                rows = self._found("subscriptions", str(given["subscription"])).fields["items"]
                return page_of(rows, given, "/v1/subscription_items", "subscription_item")
            case "GET", [stream] if stream in RESOURCES:
                return self._list(stream, given)
            case "GET", [stream, "search"] if stream in RESOURCES and RESOURCES[stream].searchable:
                return self._search(stream, given)
            case "GET", [stream, record_id] if stream in RESOURCES:
                return self._get(stream, record_id)
            case "POST", [stream] if stream in RESOURCES:
                return self._create(stream, given)
            case "POST", ["invoices", invoice, verb] if verb in INVOICE_VERBS:
                return self._invoice_verb(invoice, verb, given)
            case "POST", [stream, record_id] if stream in RESOURCES and RESOURCES[stream].update:
                return self._update(stream, record_id, given)
            case "DELETE", [stream, record_id] if stream in RESOURCES:
                return self._delete(stream, record_id)
        raise Refused(404, f"Unrecognized request URL ({method}: /v1/{'/'.join(parts)}).")

    def _account(self) -> Fields:
        return {
            "id": self._twin.settings["account_id"],
            "object": "account",
            "country": "DE",
            "default_currency": "eur",
            "charges_enabled": True,
            "livemode": False,
        }

    def _expanded(self, shown: Fields, wanted: list[str]) -> Fields:
        if not wanted:
            return shown
        whole = copy.deepcopy(shown)
        for path in wanted if isinstance(wanted, list) else [wanted]:
            names = str(path).split(".")
            if len(names) > EXPAND_DEPTH:
                raise invalid("You cannot expand more than 4 levels of a property.", "expand")
            if whole.get("data") != [] and not expand(whole, names, self._expansion):
                raise invalid(f"This property cannot be expanded ({path}).", "expand")
        return whole

    def _expansion(self, stream: str, record_id: str) -> Fields | None:
        record = self._twin.records.find(stream, record_id)
        if record is None:
            return None
        return stub(stream, record_id) if record.deleted else copy.deepcopy(show(stream, record))

    def _found(self, stream: str, record_id: str) -> Record:
        """An object that is there, deleted or not. Raises Refused."""
        record = self._twin.records.find(stream, record_id)
        seen = self._twin.see(record) if record is not None else None
        if seen is None:
            raise missing(RESOURCES[stream].kind, record_id)
        return seen

    def live(self, stream: str, record_id: str) -> Record:
        """An object to be written to: as it is, however late its readers are. Raises Refused."""
        record = self._twin.records.find(stream, record_id)
        if record is None or record.deleted:
            raise missing(RESOURCES[stream].kind, record_id)
        return record

    def _get(self, stream: str, record_id: str) -> Fields:
        record = self._found(stream, record_id)
        if not record.deleted:
            return show(stream, record)
        if stream == "coupons":
            raise missing("coupon", record_id)
        return stub(stream, record_id)

    def _list(self, stream: str, given: Fields) -> Fields:
        resource = RESOURCES[stream]
        wanted = filter_test(resource, given)
        url = f"/v1/{stream}"
        if stream == "customers" and given.get("email"):
            return page_of(
                [show(stream, row) for row in self._with_email(str(given["email"])) if wanted(row)],
                given,
                url,
                "customer",
            )
        after = given.pop("starting_after", None) if not given.get("ending_before") else None
        rows = self._twin.newest_first(stream, after)
        return page_of((show(stream, row) for row in rows if wanted(row)), given, url, resource.kind)

    def _with_email(self, email: str) -> list[Record]:
        twin = self._twin
        found = [seen for row in twin.records.lookup("customers", "email", email) if (seen := twin.see(row))]
        return sorted(found, key=lambda row: twin.place_of("customers", row.id), reverse=True)

    def _search(self, stream: str, given: Fields) -> Fields:
        require(given, "query")
        wanted = search_test(RESOURCES[stream], str(given["query"]))
        rows = [show(stream, row) for row in self._twin.newest_first(stream, index=True) if wanted(row)]
        return search_page(rows, given, f"/v1/{stream}/search")

    def _list_events(self, given: Fields) -> Fields:
        for name in given:
            if name not in ("type", "types", "created", "limit", "starting_after", "ending_before"):
                raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
        in_range = created_test(given)
        after = given.pop("starting_after", None) if not given.get("ending_before") else None
        rows = (event for event in self._twin.events.newest_first(given, after) if in_range(event["created"]))
        return page_of(rows, given, "/v1/events", "event")

    # --- writes ------------------------------------------------------------------------------------------------

    def _create(self, stream: str, given: Fields) -> Fields:
        match stream:
            case "subscriptions":
                checked = checked_parts(given, SUBSCRIPTION)
                require(checked, "customer", "items")
                return self._shown(stream, self._twin.billing.start_subscription(checked, "api").id)
            case "charges":
                return self._charge(checked_parts(given, CHARGE))
            case "refunds":
                return self._refund(checked_parts(given, REFUND))
        resource = RESOURCES[stream]
        if resource.create is None:
            raise Refused(404, f"Unrecognized request URL (POST: /v1/{stream}).")
        checked = checked_parts(given, resource.create)
        require(checked, *resource.required)
        self._row_fault()
        fields, record_id = self.new_fields(stream, checked)
        return show(stream, self._twin.add(stream, fields, "api", record_id=record_id))

    def _row_fault(self) -> None:
        """Raises Refused for a fault placed on this row; the vendor has no batches, so only for good."""
        if self._twin.faults.row_fault() == "reject":
            raise invalid("You passed an empty string for 'name'.", "name", "parameter_invalid_empty")

    def new_fields(self, stream: str, checked: Fields) -> tuple[Fields, str | None]:
        """Fields of a new object from checked parameters, and the id that the caller has chosen."""
        fields = {name: value for name, value in checked.items() if value is not None}
        record_id = fields.pop("id", None)
        fields["metadata"] = merge_metadata({}, fields.get("metadata") or {})
        if record_id and self._twin.records.find(stream, record_id) is not None:
            words = f"{RESOURCES[stream].kind.capitalize()} already exists."
            raise Refused(400, words, "resource_already_exists", "id")
        for name in ("source", "payment_method", "cash_balance", "transfer_lookup_key"):
            fields.pop(name, None)  # accepted; nothing of them shows in the object
        if stream == "prices":
            fields.update(price_fields(fields))
        if stream == "coupons":
            record_id = record_id or self._twin.make_id("")[:8]
            if ("amount_off" in fields) == ("percent_off" in fields):
                raise invalid("You must pass either amount_off or percent_off.", "percent_off", "parameter_missing")
        if stream == "promotion_codes":
            coupon = fields["promotion"].get("coupon")
            if self._twin.records.find("coupons", str(coupon)) is None:
                raise missing("coupon", str(coupon), "promotion[coupon]", 400)
            fields.setdefault("code", self._twin.make_id("")[:8].upper())
            self._refuse_taken(fields)
        return fields, record_id

    def _refuse_taken(self, fields: Fields) -> None:
        """No two active codes of one customer, or of everybody, are alike, however they are written."""
        code = str(fields["code"])
        if not re.fullmatch(r"[A-Za-z0-9-]+", code):
            raise invalid("Invalid promotion code: only letters, digits and dashes.", "code")
        for other in self._twin.records.lookup("promotion_codes", "code", code.lower()):
            if other.fields["active"] and other.fields["customer"] == fields.get("customer"):
                raise invalid(f"An active promotion code with `code: {code}` already exists.", "code")

    def _update(self, stream: str, record_id: str, given: Fields) -> Fields:
        resource = RESOURCES[stream]
        checked = checked_parts(given, resource.update or {})
        record = self.live(stream, record_id)
        self._row_fault()
        if stream == "subscriptions":
            return self._shown(stream, self._twin.billing.change_subscription(record, checked, "api").id)
        self._twin.records.update(stream, record_id, self.changes(stream, record, checked), by="api", touch=False)
        return self._shown(stream, record_id)

    def changes(self, stream: str, record: Record, checked: Fields) -> Fields:
        changes = {name: value for name, value in checked.items() if name in record.fields}
        if "metadata" in checked:
            changes["metadata"] = merge_metadata(record.fields["metadata"], checked["metadata"])
        if changes.get("invoice_settings") is not None:
            changes["invoice_settings"] = {
                **record.fields["invoice_settings"],
                **_given_parts(checked["invoice_settings"]),
            }
        for name, default in RESOURCES[stream].defaults.items():
            if name in changes and changes[name] is None and isinstance(default, (bool, int, str, list)):
                changes[name] = default  # what cannot be null goes back to where it began
        if stream == "products":
            changes["updated"] = int(self._twin.now())
        return changes

    def _delete(self, stream: str, record_id: str) -> Fields:
        record = self.live(stream, record_id)
        if stream == "subscriptions":
            return self._shown(stream, self._twin.billing.cancel_subscription(record_id, "api").id)
        if not RESOURCES[stream].deletable:
            raise Refused(404, f"Unrecognized request URL (DELETE: /v1/{stream}/{record_id}).")
        self.remove(record, "api")
        return stub(stream, record_id)

    def remove(self, record: Record, by: str) -> None:
        """A deleted customer's subscriptions end at once."""
        if record.stream == "customers":
            for subscription in self._twin.records.lookup("subscriptions", "customer", record.id):
                if subscription.fields["status"] != "canceled":
                    self._twin.billing.cancel_subscription(subscription.id, by)
        self._twin.records.delete(record.stream, record.id, by=by)

    def _invoice_verb(self, invoice: str, verb: str, given: Fields) -> Fields:
        self.live("invoices", invoice)
        match verb:
            case "finalize":
                self._twin.billing.finalize_invoice(invoice, "api")
            case "pay":
                self._twin.billing.pay_invoice(invoice, "api", given.get("source"))
            case "void":
                self._twin.billing.void_invoice(invoice, "api")
            case "mark_uncollectible":
                self._twin.billing.give_up_invoice(invoice, "api")
        return self._shown("invoices", invoice)

    def _charge(self, checked: Fields) -> Fields:
        require(checked, "amount", "currency")
        charge = self._twin.billing.charge(
            checked.get("customer"),
            checked["amount"],
            checked["currency"],
            checked.get("description"),
            "api",
            metadata=checked.get("metadata"),
            source=checked.get("source"),
        )
        return show("charges", charge)

    def _refund(self, checked: Fields) -> Fields:
        charge = checked.get("charge")
        if not charge and checked.get("payment_intent"):
            charge = self._found("payment_intents", checked["payment_intent"]).fields["latest_charge"]
        require({"charge": charge}, "charge")
        refund = self._twin.billing.refund(
            str(charge), checked.get("amount"), checked.get("reason"), checked.get("metadata"), "api"
        )
        return show("refunds", refund)

    def _shown(self, stream: str, record_id: str) -> Fields:
        return show(stream, self._twin.records.get(stream, record_id))


def _given_parts(value: Fields) -> Fields:
    return {name: part for name, part in value.items() if part is not None}


def price_fields(fields: Fields) -> Fields:
    amount = fields.get("unit_amount") or 0
    recurring = fields.get("recurring")
    whole = {
        "interval": "month",
        "interval_count": 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
    return {
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
        "type": "recurring" if recurring else "one_time",
        "recurring": {**whole, **_given_parts(recurring)} if recurring else None,
    }


def _there(found: Fields | None, kind: str, record_id: str) -> Fields:
    if found is None:
        raise missing(kind, record_id)
    return found
