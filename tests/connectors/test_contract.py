"""Every connector passes one suite (hub/kit/contract.py), each on its own twin, all over real HTTP."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from hub.connector import Connector, WebhookRequest
from hub.kit import contract
from tests.connectors.benches import Stuck, Tampered, bench, found_connectors, remote_connectors, settings_for
from tests.connectors.doors import NOW

REMOTE = [connector for connector in remote_connectors() if importlib.util.find_spec(f"hub.twins.{connector.name}")]
STREAMS = [(connector, stream.name) for connector in REMOTE for stream in connector.streams]
each_stream = pytest.mark.parametrize(("connector", "stream"), STREAMS, ids=[f"{c.name}-{s}" for c, s in STREAMS])
each_connector = pytest.mark.parametrize("connector", REMOTE, ids=lambda connector: connector.name)
SECRET = "whsec_contract"
URL = "https://hub.example.com/hooks/x"


def shown(check: Callable[..., None], *arguments: Any) -> None:
    """Run a check; what a vendor cannot show is skipped, with the reason."""
    try:
        check(*arguments)
    except contract.NotShown as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("connector", found_connectors(), ids=lambda connector: connector.name)
def test_what_a_connector_says_of_itself_fits_together(connector: Connector) -> None:
    contract.check_description(connector)


def test_every_vendor_has_a_twin_to_rehearse_on() -> None:
    named = {connector.name for connector in remote_connectors()}
    assert {name for name in named if importlib.util.find_spec(f"hub.twins.{name}")} == named


@each_stream
def test_a_read_ends_and_has_every_record_once(connector: Connector, stream: str) -> None:
    with bench(connector) as made:
        rows = made.vendor.snapshot(stream) if stream in made.vendor.streams else None  # type: ignore[attr-defined]
        live = None if rows is None else sum(not row["deleted"] for row in rows.values())
        shown(contract.check_paging, made, stream, live)


@each_stream
def test_a_record_by_id_is_the_record_of_the_listing(connector: Connector, stream: str) -> None:
    with bench(connector) as made:
        shown(contract.check_fetch, made, stream)


@each_stream
def test_a_page_handed_out_for_ever_is_found_out(connector: Connector, stream: str) -> None:
    with bench(connector, wrap=lambda twin: Stuck(twin, lambda body: body)) as made:
        shown(contract.check_repeated_token, made, stream)


@each_connector
def test_a_named_wait_is_kept(connector: Connector) -> None:
    with bench(connector, limit_scale=1.0) as made:
        shown(contract.check_throttling, made, connector.streams[-1].name)


@each_stream
def test_every_call_is_counted_once(connector: Connector, stream: str) -> None:
    with bench(connector) as made:
        shown(contract.check_calls, made, stream)


@each_stream
def test_a_bad_row_is_a_fault_and_does_not_stop_its_page(connector: Connector, stream: str) -> None:
    key = connector.stream(stream).id_path.rsplit(".", 1)[-1]
    spoil = partial(contract.spoil_one_row, id_key=key, stream=stream)
    with bench(connector, wrap=lambda twin: Tampered(twin, spoil)) as made:
        shown(contract.check_bad_row, made, stream, lambda: made.vendor.altered)  # type: ignore[attr-defined]


@each_stream
def test_a_field_that_nobody_documented_is_kept(connector: Connector, stream: str) -> None:
    with bench(connector, wrap=lambda twin: Tampered(twin, contract.add_unknown_field)) as made:
        shown(contract.check_unknown_fields, made, stream)


@each_stream
def test_an_update_is_answered_by_what_is_now_stored(connector: Connector, stream: str) -> None:
    with bench(connector) as made:
        shown(contract.check_push, made, stream)


@each_stream
def test_a_lost_answer_is_unknown(connector: Connector, stream: str) -> None:
    with bench(connector) as made:
        shown(contract.check_lost_answer, made, stream)


@each_connector
def test_only_genuine_webhooks_are_accepted(connector: Connector) -> None:
    if connector.verify is None:
        pytest.skip("this vendor signs no webhooks")
    with bench(connector) as made:
        vendor: Any = made.vendor
        vendor.set_webhook(URL, SECRET)
        for stream in vendor.streams:
            for record_id, row in list(vendor.snapshot(stream).items())[:1]:
                with suppress(ValueError):  # not everything can be deleted, or added by hand, everywhere
                    vendor.user_create(stream, {k: v for k, v in row["fields"].items() if v != record_id})
                with suppress(ValueError):
                    vendor.user_delete(stream, record_id)
        vendor.hooks.pump(force=True)
        (sent, *_) = vendor.hooks.log
        headers = {name.lower(): value for name, value in sent.headers.items()}
    request = WebhookRequest(method="POST", url=URL, headers=headers, body=sent.body.encode(), received_at=NOW)
    contract.check_webhook(connector, settings_for(connector, secret=SECRET), request)
