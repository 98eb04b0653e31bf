"""Meanings of the codes that connectors give out in their system's name (see hub.app.reference_errors)."""

from __future__ import annotations

from collections.abc import Mapping

ITSELF = "Nothing; the hub tries again by itself."
REPORT = "Nothing you can do; please report it with the message."
CORRECT = "Correct the mapping, or the rule that asks for it."

# Beginning of its codes -> the system.
SYSTEMS: Mapping[str, str] = {
    "ACTIVECAMPAIGN": "ActiveCampaign", "BIGCOMMERCE": "BigCommerce", "CALENDLY": "Calendly",
    "CLICKFUNNELS": "ClickFunnels", "EVENTBRITE": "Eventbrite", "FRESHSALES": "Freshsales", "JOTFORM": "Jotform",
    "MINDBODY": "Mindbody", "QUICKBOOKS": "QuickBooks", "SHOPIFY": "Shopify", "STRIPE": "Stripe",
    "TYPEFORM": "Typeform", "UNBOUNCE": "Unbounce", "ZOHO": "Zoho Invoice",
}  # fmt: skip

# Ends that mean the same in every system: -> meaning, what to do.
SHARED: Mapping[str, tuple[str, str]] = {
    "LOOKUP": ("{} cannot be asked for records by this field.", CORRECT),
    "OP": ("A kind of write that this stream of {} does not take.", REPORT),
    "ID": ("A write to an id that {} cannot have.", REPORT),
    "NO-REFERENCE": ("A create for {} without the hub's id, without which a lost answer could not be settled.", REPORT),
    "KEY": ("A create for {} without a key of its own, without which it could be made twice.", REPORT),
    "NO-ROW": ("The answer of {} leaves a row out, so its write counts as unknown and is looked up.", ITSELF),
    "ITEM": ("The answer of {} leaves a row out, so its write counts as unknown and is looked up.", ITSELF),
    "ANSWER": ("The answer of {} leaves a row out, so its write counts as unknown and is looked up.", ITSELF),
    "JOB": ("A job at {} did not end in time, or tells nothing of a row; its write is looked up.", ITSELF),
    "CURRENCY": ("Codes at {} are in another currency than the reward.", "Give the reward in that currency."),
    "USED": ("The code was used already, so it cannot be taken back.", "Nothing: it has had its effect."),
}

OWN: Mapping[str, tuple[str, str]] = {
    "ACTIVECAMPAIGN-EVENT": (
        "An event that ActiveCampaign does not take, or that belongs to nobody with an address.",
        "Look at what the message names; the event's name and the person's address are needed.",
    ),
    "ACTIVECAMPAIGN-FIELD": (
        "The mapping names a contact field that the account does not have.",
        "Make the field in ActiveCampaign, or correct the mapping.",
    ),
    "ACTIVECAMPAIGN-IMPORT": (
        "ActiveCampaign's import refused the contact, or tells nothing of it.",
        "Mend the contact and retry; what is not told of is looked up by itself.",
    ),
    "ACTIVECAMPAIGN-LIST": (
        "Consent cannot be written, because no list stands for it.", "Name the list in the connection's settings.",
    ),
    "ACTIVECAMPAIGN-STAGE": (
        "ActiveCampaign has no such stage of deals.", "Make the stage there, or correct `values:` in the mapping.",
    ),
    "ACTIVECAMPAIGN-TRACKING": ("Event tracking is not set up.", ""),
    "BIGCOMMERCE-ATTRIBUTE": (
        "The store has no such customer attribute.", "Make it in the store (a text), or correct the mapping.",
    ),
    "EVENTBRITE-EVENT": ("A discount is of one event, and this one is not there or not named.", ""),
    "EVENTBRITE-ORG": ("The account has several organizations.", "Name one of them in the connection's settings."),
    "EVENTBRITE-TOKEN": ("The list changes so fast that it cannot be read to its end.", ""),
    "FRESHSALES-CHOICE": (
        "The field has no such choice in Freshsales.", "Add the choice there, or correct `values:` in the mapping.",
    ),
    "FRESHSALES-VIEW": ("The view that the hub reads by is not there, or not shared with the key's user.", ""),
    "POINTS-UNIT": ("Points are given as a number of points, and nothing else.", "Write `amount: 100 points`."),
    "QUICKBOOKS-BROKEN": ("A record stored at QuickBooks breaks every list that it is in.", ""),
    "SHEET-COLUMN": ("The tab has no such column.", "Add the column, or correct the mapping."),
    "SHEET-KEY": (
        "A row cannot be told by its key: rows share it, or have none.", "Give each row of the tab a key of its own.",
    ),
    "SHEET-KEY-WRITE": ("The key of a row is never changed.", "Map the key for reading only."),
    "SHEET-NO-MARKER": ("A new row needs a column for the hub's id.", "Set `marker` in the stream's settings."),
    "SHEET-OP": ("A kind of write that rows of a sheet do not take.", "Leave `deletes: out` away for this tab."),
    "SHEET-READ-ONLY": ("This tab is only read.", "Set `write: in_place`, if the hub may write it."),
    "SHEET-VALUE": ("A cell holds one value, and this is several.", "Give the field a `wire` (join, decimal text)."),
    "SHEET-HEADER": ("The sheet lacks a column that it is read by, or has one twice.", ""),
    "SHEET-STREAM": ("Something about a stream's settings is wrong; the message says what.", "Do as the message says."),
    "SHEET-TAB": ("The sheet has no such tab, or it is no table.", ""),
    "SHOPIFY-ADDRESSES": (
        "The customer has more addresses than the hub can write without losing one.",
        "Remove addresses that are no longer needed, then retry.",
    ),
    "SHOPIFY-BULK": ("Shopify is still preparing the file of a large first load.", ITSELF),
    "SHOPIFY-COST": ("Even small pages cost more than Shopify allows at once.", "Ask for fewer fields, or report it."),
    "SHOPIFY-COUNTING": (
        "The code was ended, but uses of the last minutes may still show; it is looked at again.", ITSELF,
    ),
    "SHOPIFY-FIELD": ("A customer of Shopify is not written under this name.", "Correct the mapping."),
    "STRIPE-COUPON": ("The coupon of the reward is not as the rule needs it.", ""),
}  # fmt: skip


def text_of(code: str) -> tuple[str, str]:
    """Meaning and what to do; empty where it is no code of a connector."""
    system, _, end = code.partition("-")
    if code in OWN or system not in SYSTEMS or end not in SHARED:
        return OWN.get(code, ("", ""))
    text, fix = SHARED[end]
    return text.format(SYSTEMS[system]), fix
