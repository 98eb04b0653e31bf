"""A record's link into its vendor's own pages: the connector's address, which no value turns elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from hub.app.context import Connection
from hub.app.deep_links import GAP, deep_link, filled
from hub.connector import Settings
from hub.model import Json
from hub.runtime.registry import connector_names, load_connector

DECLARED = [name for name in connector_names() if load_connector(name).pages]
HOSTILE = ("javascript:alert(1)", "../../evil", "1?x=y#z", "@evil.example/", 'a b"><script>', "\\\\evil", "%2e%2e/")


def connection(name: str, *, local: bool = False, **values: Json) -> Connection:
    connector = load_connector(name)
    return Connection(
        name=name, connector=connector, api=None, settings=Settings(values=values, auth={}, local=local),
        mode="observe", mappings={}, streams={each.name: each for each in connector.streams},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "settings", "stream", "external_id", "wanted"),
    [
        ("hubspot", {"portal_id": "123"}, "contacts", "51", "https://app.hubspot.com/contacts/123/record/0-1/51"),
        ("hubspot", {"portal_id": 123}, "deals", "7", "https://app.hubspot.com/contacts/123/record/0-3/7"),
        ("salesforce", {"domain": "acme.my"}, "contacts", "003A", "https://acme.my.salesforce.com/003A"),
        ("shopify", {"shop": "acme"}, "orders", "gid://shopify/Order/45",
         "https://admin.shopify.com/store/acme/orders/45"),
        ("stripe", {}, "customers", "cus_1", "https://dashboard.stripe.com/customers/cus_1"),
        ("stripe", {"stripe_account": "acct_9"}, "charges", "ch_1",
         "https://dashboard.stripe.com/acct_9/payments/ch_1"),
        ("bigcommerce", {"store_hash": "abc"}, "customers", "4",
         "https://store-abc.mybigcommerce.com/manage/customers/4/edit"),
        ("quickbooks", {"realm": "99"}, "invoices", "12",
         "https://app.qbo.intuit.com/app/invoice?txnId=12&deeplinkcompanyid=99"),
        ("freshsales", {"domain": "acme"}, "sales_accounts", "3", "https://acme.myfreshworks.com/crm/sales/accounts/3"),
        ("activecampaign", {"account": "acme"}, "deals", "3", "https://acme.activehosted.com/app/deals/3"),
        ("zoho_invoice", {"dc": "eu", "organization": "8"}, "invoices", "3",
         "https://invoice.zoho.eu/app/8#/invoices/3"),
    ],
)  # fmt: skip
def test_a_record_is_seen_at_its_vendor(
    name: str, settings: dict[str, Json], stream: str, external_id: str, wanted: str
) -> None:
    assert deep_link(connection(name, **settings), stream, external_id) == wanted


def test_there_is_no_link_where_something_is_missing_or_the_server_is_a_local_one() -> None:
    assert deep_link(connection("hubspot"), "contacts", "51") == "", "the account's number is not known"
    assert deep_link(connection("hubspot", portal_id="123"), "owners", "51") == "", "no page of its own"
    assert deep_link(connection("hubspot", portal_id="123"), "contacts", None) == "", "not created yet"
    assert deep_link(connection("hubspot", portal_id="123", local=True), "contacts", "51") == "", "a twin has no pages"
    assert deep_link(connection("csv"), "people", "1") == ""
    assert filled("http://example.org/{id}", {"id": "1"}) == filled("javascript:{id}", {"id": "1"}) == ""


@pytest.mark.parametrize("name", DECLARED)
def test_no_value_leads_elsewhere(name: str) -> None:
    """Every address is one of the connector's streams, has only gaps that it knows, and keeps its host."""
    found = load_connector(name)
    known = {each.name for each in found.settings if not each.secret} | {"id", "tail"}
    assert found.pages.keys() <= {each.name for each in found.streams}
    for stream, template in found.pages.items():
        gaps = {gap for _, gap in GAP.findall(template)}
        assert gaps <= known
        assert gaps & {"id", "tail"}, template
        given: dict[str, Json] = dict.fromkeys(gaps, "x")
        plain = urlsplit(filled(template, given))
        for text in HOSTILE:
            link = urlsplit(deep_link(connection(name, local=False, **(given | {"id": "x"})), stream, text))
            if link.geturl() == "":  # nothing follows its last "/"
                continue
            assert (link.scheme, link.netloc, link.path.count("/")) == ("https", plain.netloc, plain.path.count("/"))
            assert not {*'<>" \\'} & {*link.geturl()}
            for gap in gaps:  # nor does a setting change more than its own place
                host = urlsplit(filled(template, given | {gap: text})).netloc
                assert host.endswith(plain.netloc.rpartition("x")[2])
                assert "@" not in host


def test_every_vendor_with_pages_of_its_own_says_where() -> None:
    assert {*DECLARED} >= {
        "hubspot", "salesforce", "shopify", "stripe", "bigcommerce", "quickbooks", "freshsales", "activecampaign",
        "zoho_invoice",
    }  # fmt: skip
