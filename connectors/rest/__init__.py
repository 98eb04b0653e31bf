"""Any HTTP interface that speaks JSON, described in hub.yaml instead of in code: lists, records, writes.

What an interface can do is what its connection says of it. Everything else is the hub's as for any other system: the
sign-in, the limits, the pages that do not skip, the writes that are looked up before they are repeated.

    connections:
      shop:
        connector: rest
        mapping: shop.yaml
        auth: {kind: token, token: env:SHOP_TOKEN}      # or basic, client_credentials, none
        settings: {url: "https://api.shop.example/v2", calls: 10, per_s: 1}
        streams:
          contacts:
            path: /contacts                             # the list
            records: data                               # where it stands in the answer
            modified: updated_at                        # iso; or modified_as: epoch_s, epoch_ms, date, iso_seconds
            since: updated_since                        # query parameter; without it each read lists all
            page: {kind: number, param: page, size_param: per_page, size: 100}
            deleted: {path: status, is: trashed}
            fetch: "/contacts/{id}"
            record: data                                # where one record stands in an answer about one
            find: {external_ref: external_ref}          # field: query parameter that looks it up
            marker: external_ref                        # field that carries the hub's id
            create: {path: /contacts, under: contact}
            update: {method: PATCH, path: "/contacts/{id}", under: contact}
            delete: "/contacts/{id}"

Pages: `none`, `number`, `offset`, `cursor` (a token in the answer), `next` (an address in the answer), `link` (the Link
header). Pages by number or offset can miss a row that moves while the list is read; the sweep finds it. What every key
means stands in [any REST interface](rest.md).
"""

from __future__ import annotations

from connectors.rest.reading import check, connect, discover, fetch, find, pull
from connectors.rest.spec import tailored
from connectors.rest.writing import push
from hub.connector import Auth, Connector, RateLimit, Setting, Settings


def _tailored(settings: Settings) -> Connector:
    return tailored(CONNECTOR, settings)


CONNECTOR = Connector(
    name="rest",
    title="Any REST interface",
    base_url="",
    hosts=(),
    auth=(Auth(kind="token"), Auth(kind="basic"), Auth(kind="client_credentials"), Auth(kind="none")),
    limits=(RateLimit(name="calls", calls=5, per_s=1),),
    streams=(),
    settings=(
        Setting(name="url", text="Address that all paths stand below: https://api.example.com/v2 (required)"),
        Setting(name="hosts", text="Further hosts that it may go to, such as one for tokens"),
        Setting(name="header", text="Header that carries the token, if it is not Authorization: X-Api-Key"),
        Setting(name="scheme", text="Word before the token; Bearer in Authorization, none in a header of your own"),
        Setting(name="query", text="Query parameter that carries the token, where no header does"),
        Setting(name="token_url", text="Where `client_credentials` gets its token: a path, or an address"),
        Setting(name="token_body", text="How it asks: form or json", default="form"),
        Setting(name="token_client", text="Where id and secret stand: body or basic", default="body"),
        Setting(name="scope", text="Scope that is asked for"),
        Setting(name="calls", text="Calls that it may make …", default=5),
        Setting(name="per_s", text="… in so many seconds", default=1),
        Setting(name="check", text="Path that is read to try the sign-in; else the first list is"),
        Setting(name="called", text="What people call it"),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    tailored=_tailored,
    docs="rest.md",
)
