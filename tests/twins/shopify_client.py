"""A client of the Shopify twin as thin as can be, and the documents that its tests send."""

from __future__ import annotations

from typing import Any

import requests

from hub.twins.shopify import TwinShopify

Json = Any
NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC
FIRST = "gid://shopify/Customer/7100000000001"

SET = """mutation Up($id:CustomerSetIdentifiers,$in:CustomerSetInput!){customerSet(identifier:$id,input:$in){
customer{id updatedAt firstName tags defaultEmailAddress{emailAddress} defaultPhoneNumber{phoneNumber}
metafield(namespace:"hub",key:"id"){value}} userErrors{field message code}}}"""
ONE = """query One($id:ID!){customer(id:$id){id updatedAt firstName lastName note tags numberOfOrders
defaultEmailAddress{emailAddress marketingState marketingOptInLevel} amountSpent{amount currencyCode}
defaultAddress{city province provinceCode countryCodeV2 country}
metafield(namespace:"hub",key:"id"){value compareDigest}}}"""
PAGE = """query P($first:Int,$after:String,$q:String,$s:CustomerSortKeys,$r:Boolean){customers(first:$first,
after:$after,query:$q,sortKey:$s,reverse:$r){nodes{id legacyResourceId updatedAt firstName}
pageInfo{hasNextPage endCursor}}}"""
CONSENT = """mutation C($in:CustomerEmailMarketingConsentUpdateInput!){customerEmailMarketingConsentUpdate(input:$in){
customer{defaultEmailAddress{marketingState}} userErrors{field message code}}}"""
METAFIELDS = """mutation M($m:[MetafieldsSetInput!]!){metafieldsSet(metafields:$m){metafields{key value compareDigest}
userErrors{field message code}}}"""
SUBSCRIBE = """mutation S($t:WebhookSubscriptionTopic!,$w:WebhookSubscriptionInput!){webhookSubscriptionCreate(topic:$t,
webhookSubscription:$w){webhookSubscription{id topic uri} userErrors{field message}}}"""


class Shop:
    """A client as thin as can be."""

    def __init__(self, base_url: str, twin: TwinShopify) -> None:
        self.base_url, self.twin = base_url, twin
        self.token = "twin-token"
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, query: str, **variables: Json) -> requests.Response:
        return self.session.post(
            f"{self.base_url}/admin/api/2026-10/graphql.json",
            json={"query": query, "variables": variables},
            headers={"X-Shopify-Access-Token": self.token},
            timeout=10,
        )

    def ask(self, query: str, **variables: Json) -> Json:
        """The answer's data; fails on errors."""
        answer = self.call(query, **variables).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def refused(self, query: str, **variables: Json) -> Json:
        """The first top-level error."""
        answer = self.call(query, **variables)
        assert answer.status_code == 200
        return answer.json()["errors"][0]

    def set(self, given: Json, identifier: Json = None) -> Json:
        return self.ask(SET, id=identifier, **{"in": given})["customerSet"]

    def names(self, query: str | None = None, **more: Json) -> list[str]:
        return [row["firstName"] for row in self.ask(PAGE, first=50, q=query, **more)["customers"]["nodes"]]


def customer(name: str, **more: Json) -> dict[str, Json]:
    return {"firstName": name, "email": f"{name.lower()}@example.org", **more}
