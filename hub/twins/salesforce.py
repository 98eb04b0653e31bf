"""Salesforce as a twin: REST API v31.0-v68.0 and queries of Bulk API 2.0, of one org.

It has contacts, leads, accounts, opportunities, users, tasks, campaigns and their members.

Options of `make` beside the kit's: `daily_calls` (100,000), `session_s` (7,200), `refresh_token` ("twin-refresh"),
`rotate_refresh` (False), `duplicate_rule` (False), `job_s` (4.0: how long a query
job takes). People convert leads by ``user_action("convert_lead", lead_id=..)``; admins add fields (`add_field`,
`allow_name_parts`) and change picklists (`set_picklist`) in the same way.
Salesforce signs no webhooks: `set_webhook` gives an outbound message (SOAP) to a url that holds its own secret.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import unquote
from xml.sax.saxutils import escape

from hub.twins.kit import Change, Fields, HookEvent, Record, Request, Response, Target, Twin, Window
from hub.twins.salesforce_bulk import Bulk
from hub.twins.salesforce_calls import Calls, refusal
from hub.twins.salesforce_objects import OBJECTS, PERSON_OBJECTS, STREAMS
from hub.twins.salesforce_rows import API_USER, Rows, mergeable
from hub.twins.salesforce_schema import Field, Schema, to_18

Json = Any

VERSIONS = {f"{number}.0": f"Release {number}" for number in range(31, 69)}  # 7-30 are retired (vendor docs)
NEWEST = "68.0"
DAILY_CALLS = 100_000  # Enterprise edition, rolling 24 h (vendor docs, "API Request Limits and Allocations")
DAY_S = 86_400.0
URI_LIMIT_BYTES = 16_384  # uri and headers together (vendor docs, "REST headers")
ORG_ID = to_18("00Dxx0000000001")
TOKEN_PATH = "/services/oauth2/token"
_MESSAGE_FIELDS = ("FirstName", "LastName", "Name", "Email", "Phone", "Hub_Id__c")


class TwinSalesforce(Twin):
    """One org."""

    name = "salesforce"
    streams: ClassVar[Sequence[str]] = tuple(OBJECTS)
    hook_batch = 100  # notifications per message (vendor docs, "Outbound Messages")

    def __init__(self, **options: Json) -> None:
        super().__init__(
            **{"daily_calls": DAILY_CALLS, "session_s": 7200.0, "rotate_refresh": False, "job_s": 4.0, **options}
        )
        self.tokens.add_refresh(self.settings.setdefault("refresh_token", "twin-refresh"))
        self.schema = Schema()
        self.rows = Rows(self, self.schema)
        self.calls_today = Window(round(self.settings["daily_calls"] * self.settings["limit_scale"]), DAY_S)
        self.resources = Calls(self, self.rows, self.calls_today)
        self.bulk = Bulk(self, self.rows)
        self._add_integration_user()

    # --- a call ------------------------------------------------------------------------------------------------

    def describe(self, request: Request) -> tuple[str, bool]:
        if request.path == TOKEN_PATH:
            return "token", False
        version, resource = _split(request.path)
        if Bulk.answers(resource):
            return "job", False
        return self.resources.describe(request, resource) if version else ("versions", False)

    def authorise(self, request: Request) -> Response | None:
        if request.path in (TOKEN_PATH, "/services/data", "/services/data/"):
            return None
        return super().authorise(request)

    def unauthorised(self, request: Request) -> Response:
        return refusal(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def is_metered(self, request: Request) -> bool:
        return request.path != TOKEN_PATH

    def limit(self, request: Request) -> Response | None:
        if not self.is_metered(request) or self.calls_today.take(self.now()) == 0:
            return None
        return self.throttled(request, None)

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """403 without Retry-After: the vendor tells nobody when to come again (vendor docs, limits)."""
        return refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def failed(self, request: Request) -> Response:
        return refusal(503, "SERVER_UNAVAILABLE", "The server is temporarily unable to handle the request")

    def finish(self, request: Request, response: Response) -> Response:
        if self.is_metered(request):
            size = self.calls_today.calls or self.settings["daily_calls"]
            used = min(self.calls_today.used(self.now()), size)
            response.headers["Sforce-Limit-Info"] = f"api-usage={used}/{size}"
        return response

    def route(self, request: Request) -> Response:
        if request.path == TOKEN_PATH:
            return self._token(request)
        if len(request.target) + sum(len(k) + len(v) + 4 for k, v in request.headers.items()) > URI_LIMIT_BYTES:
            return refusal(414, "URI_TOO_LONG", "The URI and headers exceed the limit")
        version, resource = _split(request.path)
        if request.path.rstrip("/") == "/services/data":
            urls = [{"label": v, "url": f"/services/data/v{k}", "version": k} for k, v in VERSIONS.items()]
            return Response.json(urls)
        if version not in VERSIONS:
            return refusal(404, "NOT_FOUND", "The requested resource does not exist")
        allowed = request.headers.get("sforce-duplicate-rule-header", "").replace(" ", "").lower()
        self.rows.allow_duplicates = "allowsave=true" in allowed
        if Bulk.answers(resource):
            return self.bulk.route(request, version, resource)
        return self.resources.route(request, version, resource)

    def _token(self, request: Request) -> Response:
        form = {key: values[0] for key, values in request.form().items()}
        client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
        if request.headers.get("authorization", "").startswith("Basic "):
            pair = base64.b64decode(request.headers["authorization"][6:]).decode("utf-8", "replace")
            client_id, _, client_secret = (unquote(part) for part in pair.partition(":"))
        if client_id != self.settings["client_id"]:
            return _oauth_refusal("invalid_client_id", "client identifier invalid")
        if client_secret != self.settings["client_secret"]:
            return _oauth_refusal("invalid_client", "invalid client credentials")
        grant = form.get("grant_type")
        if grant not in ("client_credentials", "refresh_token"):
            return _oauth_refusal("unsupported_grant_type", "grant type not supported")
        answer: dict[str, Json] = {}
        if grant == "refresh_token":
            rotate = bool(self.settings["rotate_refresh"])
            if not self.tokens.take_refresh(form.get("refresh_token", ""), rotate=rotate):
                return _oauth_refusal("invalid_grant", "expired access/refresh token")
            if rotate:
                answer["refresh_token"] = self.tokens.issue_refresh()
        token = self.tokens.issue(self.now(), self.settings["session_s"], prefix="00Dxx!")
        answer |= {
            "access_token": token,
            "instance_url": self.base_url,
            "id": f"https://login.salesforce.com/id/{ORG_ID}/{API_USER}",
            "token_type": "Bearer",
            "issued_at": str(int(self.now() * 1000)),
            "signature": base64.b64encode(hashlib.sha256(token.encode()).digest()).decode(),
        }
        return Response.json(answer)

    # --- records -----------------------------------------------------------------------------------------------

    def stamp(self, at: float) -> float:
        """Whole seconds (fact sheet: SystemModstamp has one-second granularity)."""
        return float(int(at))

    def normalise(self, stream: str, fields: Fields) -> Fields:
        return self.rows.cleaned(OBJECTS[stream], fields)

    def completed(self, stream: str, fields: Fields) -> Fields:
        return self.rows.completed(OBJECTS[stream], fields)

    def new_id(self, stream: str) -> str:
        return self.rows.next_id(OBJECTS[stream])

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        """The loser goes to the bin with MasterRecordId; what names it names the winner."""
        if not mergeable(stream):
            raise ValueError(f"{stream} cannot be merged")
        winner, loser = to_18(winner), to_18(loser)
        with self.lock:
            self.rows.reparent(loser, winner, by)
            return super().user_merge(stream, winner, loser, by)

    def act_convert_lead(
        self,
        lead_id: str,
        account_id: str | None = None,
        contact_id: str | None = None,
        *,
        opportunity: bool = False,
        by: str = "user:1",
    ) -> Fields:
        """Returns ConvertedAccountId, ConvertedContactId, ConvertedOpportunityId (None unless asked for)."""
        return self.rows.convert(lead_id, account_id, contact_id, deal=opportunity, by=by)

    def act_set_picklist(self, stream: str, field: str, values: list[str], *, restricted: bool = True) -> None:
        """An admin changes the values of a picklist."""
        self.schema.set_picklist(OBJECTS[stream], field, values, restricted=restricted)
        self.resources.schema_changed = self.now()

    def act_add_field(
        self, stream: str, name: str, kind: str = "string", *, length: int = 255, external: bool = False
    ) -> None:
        """An admin adds a custom field; `external`: a unique external id. Raises ValueError for a wrong name."""
        if not re.fullmatch(r"[A-Za-z]\w*__c", name):
            raise ValueError(f"{name} is no name of a custom field")
        self._add_field(stream, Field(name=name, type=kind, length=length, external=external))

    def act_allow_name_parts(self) -> None:
        """An admin lets people have middle names and suffixes (vendor docs, "Enable Middle Names for Person Names")."""
        for name in ("MiddleName", "Suffix"):
            for stream in (STREAMS[each] for each in PERSON_OBJECTS):
                writable = stream != "users"
                field = Field(name=name, type="string", length=40, createable=writable, updateable=writable)
                self._add_field(stream, field)

    def _add_field(self, stream: str, field: Field) -> None:
        self.rows.add_field(OBJECTS[stream], field)
        self.resources.schema_changed = self.now()

    def act_empty_bin(self, stream: str) -> int:
        """Rows in the recycle bin vanish and the log of deletions is purged; returns how many rows it were."""
        gone = [record.id for record in self.records.all(stream) if record.deleted]
        for record_id in gone:
            self.records.purge(stream, record_id)
        self.resources.deletions_known_since[OBJECTS[stream]] = self.now()
        return len(gone)

    def act_fail_jobs(self) -> None:
        """Query jobs that are there end as failed."""
        self.bulk.fail()

    def act_expire_cursors(self) -> None:
        """Query locators end at once, as after two days or when too many are open."""
        self.resources.cursors.clear()

    def reset(self) -> None:
        super().reset()
        self.schema.restore()
        self.calls_today.clear()
        self.rows.forget()
        self.resources.forget()
        self.bulk.forget()
        self._add_integration_user()

    def _add_integration_user(self) -> None:
        fields = {
            "Username": "integration@acme.example.com",
            "FirstName": "Integration",
            "LastName": "User",
            "Email": "integration@acme.example.com",
            "IsActive": True,
            "UserType": "Standard",
        }
        self.records.create("users", fields, by="load", id=API_USER, created=1_600_000_000.0)

    # --- outbound messages -------------------------------------------------------------------------------------

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """A message on create and update; deletions send none (vendor docs, "Outbound Messages")."""
        if change.kind not in ("create", "update"):
            return []
        event = HookEvent(
            topic=record.stream,
            payload=None,
            at=change.at,
            stream=record.stream,
            record_id=record.id,
            group=record.stream,
        )
        return [event]

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        name = OBJECTS[events[0].stream]
        with self.lock:
            parts = [self._notification(name, event, target) for event in events]
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
            '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
            f"<OrganizationId>{ORG_ID}</OrganizationId><ActionId>{to_18('04kxx0000000001')}</ActionId><SessionId/>"
            f"<EnterpriseUrl>{self.base_url}/services/Soap/c/{NEWEST}</EnterpriseUrl>"
            f"<PartnerUrl>{self.base_url}/services/Soap/u/{NEWEST}</PartnerUrl>{''.join(parts)}"
            "</notifications></soapenv:Body></soapenv:Envelope>"
        )
        return body.encode(), {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}

    def hook_accepted(self, status: int, body: bytes) -> bool:
        return status == 200 and re.search(rb"<(\w+:)?Ack>\s*true\s*</(\w+:)?Ack>", body) is not None

    def _notification(self, name: str, event: HookEvent, target: Target) -> str:
        """The record as it is when the message leaves, as the vendor sends it."""
        record = self.records.find(event.stream, event.record_id)
        wanted = target.options.get("fields", {}).get(event.stream, _MESSAGE_FIELDS)
        values = [f"<sf:Id>{event.record_id}</sf:Id>"]
        for field in wanted if record else ():
            known = self.schema.find(name, field)
            value = self.rows.getter(name, known.name)(record) if known else None
            if value is not None and known is not None:
                text = str(value).lower() if isinstance(value, bool) else escape(str(value))
                values.append(f"<sf:{known.name}>{text}</sf:{known.name}>")
        digest = hashlib.sha256(f"{event.record_id}{event.at}".encode()).hexdigest()[:10]
        return (
            f"<Notification><Id>{to_18('04lxx' + digest)}</Id>"
            f'<sObject xsi:type="sf:{name}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com" '
            f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{"".join(values)}</sObject></Notification>'
        )


def _split(path: str) -> tuple[str, str]:
    """("68.0", "sobjects/Contact") from a path of the data API, else ("", "")."""
    match = re.fullmatch(r"/services/data/v(\d+\.\d)/?(.*?)/?", path)
    return (match.group(1), match.group(2)) if match else ("", "")


def _oauth_refusal(code: str, text: str) -> Response:
    return Response.json({"error": code, "error_description": text}, 400)


PEOPLE: dict[str, Json] = {
    "campaign_members": {
        "edit": {"Status": "Responded"},
        "add": {"no": "a person stands in a campaign once"},
        "merge": {"no": "members cannot be merged"},
    },
}


def make(**options: Json) -> TwinSalesforce:
    return TwinSalesforce(**options)


TWIN = make
