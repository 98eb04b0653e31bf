# ruff: noqa: INP001 - a script to run, not a package
"""Serve the two CRMs of this example as twins, with the fields that an admin adds, until Ctrl-C.

Usage: python docs/examples/congress/twins.py [first port: 9001 unless given; 0 takes free ones]
"""

from __future__ import annotations

import sys
import threading

from hub.twins import hubspot, salesforce
from hub.twins.server import serve

TEXT_FIELDS = ("Full_Name__c", "Nickname__c", "Website__c", "Party__c")
DATE_FIELDS = ("Term_Start__c", "Term_End__c")
PROPERTIES = (
    "middle_name",
    "name_suffix",
    "full_name",
    "nickname",
    "district_phone",
    "party",
    "chamber",
    "twitter_name",
)


def main(port: int = 9001) -> None:
    """Start both, say where they are, and wait."""
    org, portal = salesforce.make(), hubspot.make()
    org.act_allow_name_parts()
    org.act_add_field("contacts", "Bioguide__c", length=20, external=True)
    for name in TEXT_FIELDS:
        org.act_add_field("contacts", name)
    for name in DATE_FIELDS:
        org.act_add_field("contacts", name, "date", length=0)
    portal.act_add_property("contacts", "legislator_key", unique=True)
    for name in PROPERTIES:
        portal.act_add_property("contacts", name)
    with serve(org, port) as first, serve(portal, port + 1 if port else 0) as second:
        sys.stdout.write(f"salesforce {first.base_url}\nhubspot {second.base_url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main(*map(int, sys.argv[1:]))
    except KeyboardInterrupt:
        pass
