"""Webhook endpoints of a Stripe account, made and changed through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.twins.hooks import Target
from hub.twins.records import Fields
from hub.twins.stripe_lists import page_of
from hub.twins.stripe_params import (
    WEBHOOK_ENDPOINT,
    WEBHOOK_ENDPOINT_UPDATE,
    checked_parts,
    merge_metadata,
    missing,
    require,
)

if TYPE_CHECKING:
    from hub.twins.stripe import TwinStripe

Json = Any


class Endpoints:
    """An enabled endpoint is a target of the twin's webhooks under its own id."""

    def __init__(self, twin: TwinStripe) -> None:
        self._twin = twin
        self._endpoints: dict[str, Fields] = {}
        self._secrets: dict[str, list[str]] = {}  # the newest first

    def answer(self, method: str, parts: list[str], given: Fields) -> Fields:
        if not parts:
            if method == "POST":
                return self._add_endpoint(checked_parts(given, WEBHOOK_ENDPOINT))
            rows = list(reversed(self._endpoints.values()))
            return page_of(rows, given, "/v1/webhook_endpoints", "webhook_endpoint")
        endpoint = self._endpoints.get(parts[0])
        if endpoint is None:
            raise missing("webhook_endpoint", parts[0])
        if method == "DELETE":
            del self._endpoints[parts[0]]
            self._twin.hooks.remove(parts[0])
            return {"id": parts[0], "object": "webhook_endpoint", "deleted": True}
        if method == "POST":
            self._change_endpoint(endpoint, checked_parts(given, WEBHOOK_ENDPOINT_UPDATE))
        return endpoint

    def _add_endpoint(self, checked: Fields) -> Fields:
        """The secret is in this answer and in no other."""
        require(checked, "url", "enabled_events")
        endpoint = {
            "id": self._twin.make_id("we_"),
            "object": "webhook_endpoint",
            "api_version": checked.get("api_version"),
            "application": None,
            "created": int(self._twin.now()),
            "description": checked.get("description"),
            "enabled_events": checked["enabled_events"],
            "livemode": False,
            "metadata": merge_metadata({}, checked.get("metadata") or {}),
            "status": "enabled",
            "url": checked["url"],
        }
        self._endpoints[endpoint["id"]] = endpoint
        self._secrets[endpoint["id"]] = [self._new_secret()]
        self._listen(endpoint)
        return {**endpoint, "secret": self._secrets[endpoint["id"]][0]}

    def _change_endpoint(self, endpoint: Fields, checked: Fields) -> None:
        endpoint.update({name: checked[name] for name in ("url", "enabled_events", "description") if checked.get(name)})
        if "metadata" in checked:
            endpoint["metadata"] = merge_metadata(endpoint["metadata"], checked["metadata"])
        if "disabled" in checked:
            endpoint["status"] = "disabled" if checked["disabled"] else "enabled"
        self._listen(endpoint)

    def _listen(self, endpoint: Fields) -> None:
        number, names = endpoint["id"], endpoint["enabled_events"]
        secret, *old = self._secrets[number]
        self._twin.hooks.remove(number)
        if endpoint["status"] == "enabled":
            topics = () if "*" in names else tuple(names)
            options = {"old_secrets": old}
            self._twin.hooks.add(Target(url=endpoint["url"], secret=secret, topics=topics, options=options, id=number))

    def roll_secret(self, number: str) -> str:
        """A new secret; messages are signed with both until it is rolled again. Returns the new one."""
        self._secrets[number] = [self._new_secret(), self._secrets[number][0]]
        self._listen(self._endpoints[number])
        return self._secrets[number][0]

    def _new_secret(self) -> str:
        return f"whsec_{self._twin.make_id('')}{self._twin.make_id('')}"
