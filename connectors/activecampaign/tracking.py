"""Events of people, told to the account's event tracking: what happened elsewhere starts automations there.

Docs: developers.activecampaign.com, "Track event". A host of its own, a key of its own, and no way to read or repeat:
each call that is taken is another event.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from connectors.activecampaign.api import ActiveCampaignApi
from connectors.activecampaign.reading import fetch
from hub.errors import RecordRejected
from hub.kit.pushing import send_in_turn
from hub.model import ChangeSet, Json, PushResult, SourceRecord

ADDRESS = "https://trackcmp.net/event"
LONGEST_NAME = 32  # characters of an event's name


def track(api: ActiveCampaignApi, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One call an event; whom it is about is known to the tracking by e-mail address alone."""
    people = {str(change.body["contact"]) for change in changes if change.body.get("contact")}
    unknown = [each for each in sorted(people) if not api.known.get(each, {}).get("email")]
    if unknown:
        fetch(api, "contacts", unknown)
    sends = [((index,), partial(_tell, api, index, change)) for index, change in enumerate(changes)]
    return send_in_turn(sends, api.door.now)


def _tell(api: ActiveCampaignApi, index: int, change: ChangeSet) -> list[PushResult]:
    number, key = api.tracking
    if not number or not key:
        message, fix = "event tracking is not set up", "set settings.actid and auth.event_key"
        raise RecordRejected(message, code="ACTIVECAMPAIGN-TRACKING", fix=fix)
    name, address = str(change.body.get("event") or ""), _address(api, change)
    if change.op != "create" or not change.reference or not name or not address:
        raise RecordRejected("no event, or nobody whose it is", code="ACTIVECAMPAIGN-EVENT", field="event")
    form = {
        "actid": number, "key": key, "event": name[:LONGEST_NAME], "visit": orjson.dumps({"email": address}).decode(),
        **({"eventdata": str(change.body["eventdata"])} if change.body.get("eventdata") else {}),
    }  # fmt: skip
    answer = api.door.request("POST", ADDRESS, operation="track", form=form, writes=True, expect=(400,), signed=False)
    told: Json = answer.json()
    if answer.status == 400 or not isinstance(told, dict) or str(told.get("success")) != "1":
        message = str(told.get("message") or "")[:300] if isinstance(told, dict) else ""
        return [PushResult(index=index, outcome="rejected", code="ACTIVECAMPAIGN-EVENT", message=message)]
    held = SourceRecord(external_id=change.reference, data={"id": change.reference, **change.body})
    return [PushResult(index=index, outcome="applied", external_id=change.reference, held=held)]


def _address(api: ActiveCampaignApi, change: ChangeSet) -> str:
    return str(api.known.get(str(change.body.get("contact") or ""), {}).get("email") or "")
