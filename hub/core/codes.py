"""Every code of mappings and settings, with what it means. The reference in docs/mapping.md is made of this table.

A code is never given a second meaning. Codes with `stops=False` are advice: they are listed, and nothing waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says."""

    text: str
    stops: bool = True  # False: advice


CODES: Mapping[str, Code] = {
    # Files
    "CFG-001": Code("The file is no YAML, or not UTF-8."),
    "CFG-002": Code("A key stands twice in one mapping; both lines are named."),
    "CFG-003": Code("Something in the YAML that plain data does not need: anchor, alias, merge key, tag, directive."),
    "CFG-004": Code("The file is larger or deeper than allowed."),
    "CFG-005": Code("The file is not there, or cannot be read."),
    "CFG-010": Code("An unknown key."),
    "CFG-011": Code("A value of the wrong type."),
    "CFG-012": Code("A value that is not one of those allowed."),
    "CFG-013": Code("A key is missing."),
    "CFG-014": Code("The file is written in another edition of the format."),
    "CFG-015": Code("A name with characters that names do not have."),
    "CFG-016": Code("Two keys that do not go together."),
    # Settings
    "CFG-020": Code("A secret stands in the file."),
    "CFG-021": Code("A reference to a secret that is none (env:NAME or secret:NAME)."),
    "CFG-022": Code("A duration, time zone, currency or country that is none."),
    "CFG-030": Code("An unknown connector."),
    "CFG-031": Code("A mapping file is named outside the folder of mappings, or belongs to another connector."),
    "CFG-032": Code("A stream that the connector does not have."),
    "CFG-033": Code("A setting or sign-in that the connector does not know, or one that it needs is missing."),
    "CFG-035": Code("A base URL that the connection may not use."),
    "CFG-040": Code("A connector that cannot be loaded."),
    # Mappings
    "MAP-001": Code("A canonical field that the entity type does not have."),
    "MAP-002": Code("An unknown entity type."),
    "MAP-003": Code("An unknown transform or wire."),
    "MAP-004": Code("Options that the transform does not take."),
    "MAP-005": Code("A transform on a field of a type that it does not serve."),
    "MAP-006": Code("A two-way field that cannot be turned round."),
    "MAP-007": Code("A two-way field that loses something, without lossy: accept."),
    "MAP-008": Code("Two rules write one remote field."),
    "MAP-009": Code("Money or consent without a wire."),
    "MAP-010": Code("A value under values: that the canonical field does not have."),
    "MAP-011": Code("Several words for one value, or several values for one word, and prefer does not decide."),
    "MAP-012": Code("An expression that is not in the language."),
    "MAP-013": Code("An expression over a name that is not declared."),
    "MAP-014": Code("A reference to a stream that is not there, or holds another entity type."),
    "MAP-015": Code("A reference without to, or to on a field that is no reference."),
    "MAP-016": Code("A remote field that the live system does not have."),
    "MAP-017": Code("A remote field that cannot be read."),
    "MAP-018": Code("A remote field or stream that cannot be written so."),
    "MAP-019": Code("Types of the two sides that do not convert."),
    "MAP-020": Code("A field that the system needs for a create, and no create fills."),
    "MAP-021": Code("Options of the live system and the words under values: do not agree.", stops=False),
    "MAP-022": Code("A group mapped whole and in parts."),
    "MAP-023": Code("A computed field with the name of a canonical field."),
    "MAP-024": Code("Consent by constant or by blank."),
    "MAP-025": Code("A transform looks at a field that the stream does not read, or that is of another type."),
    "MAP-026": Code("A test of the file fails."),
    "MAP-027": Code("A word under values: that no test of the file covers.", stops=False),
    "MAP-028": Code("Parents that create each other in a circle."),
    "MAP-029": Code("Writes where nothing may be written."),
    "MAP-030": Code("A value does not survive the way out and back."),
    "MAP-031": Code("Two mappings would undo each other's writes for ever."),
    "MAP-032": Code("A stream creates records and writes no field."),
    "MAP-033": Code("A field that the hub computes is read."),
    "MAP-034": Code("A custom field that exists already, or with another type elsewhere."),
    "MAP-035": Code("No strong key of the entity type is read, so records cannot be matched.", stops=False),
    "MAP-036": Code("A part of a group with the name of a field or another part."),
    "MAP-037": Code("Values may be longer than the system takes; without max: their writes are refused.", stops=False),
    "MAP-038": Code("A canonical value that has no word over there, so it cannot be written.", stops=False),
    "MAP-041": Code("Survivorship or blanks name a source that is unknown or has no place in sources."),
    "MAP-042": Code("Survivorship of consent is fixed."),
    "MAP-043": Code("A key over a field that does not exist or cannot identify."),
    "MAP-044": Code("An event whose moment or subject is no such field."),
    "MAP-045": Code("A derived field without a registered function."),
    "MAP-046": Code("A connection without a place in sources, so that ties are not decided."),
    "MAP-047": Code("A survivorship rule that does not suit the type."),
    "MAP-048": Code("A strong key is shared by too many records of the sample.", stops=False),
    "MAP-049": Code("Many values of a field cannot be read: the mapping is probably wrong.", stops=False),
    # Values
    "MAP-100": Code("A value that has no place in its type."),
    "MAP-101": Code("Text expected."),
    "MAP-102": Code("Text with broken characters."),
    "MAP-103": Code("Text that is too long."),
    "MAP-104": Code("True or false expected."),
    "MAP-105": Code("A whole number expected."),
    "MAP-106": Code("A number expected."),
    "MAP-107": Code("A number out of all proportion, or of more digits than can be kept."),
    "MAP-108": Code("A calendar date expected."),
    "MAP-109": Code("A moment with a time zone expected."),
    "MAP-110": Code("No e-mail address."),
    "MAP-111": Code("A value that is not in the enum."),
    "MAP-112": Code("A list expected."),
    "MAP-113": Code("Parts that the group does not have."),
    "MAP-114": Code("A value that means something else, or nothing, over there."),
    "MAP-115": Code("An element of a set that contains the separator."),
    "MAP-116": Code("A word of the system that the mapping does not know."),
    "MAP-117": Code("A number outside the bounds of its custom field."),
    "MAP-120": Code("No phone number."),
    "MAP-121": Code("A phone number without country code, and no country to read it by."),
    "MAP-122": Code("A phone number of impossible length."),
    "MAP-123": Code("A phone number with an extension."),
    "MAP-130": Code("No host name."),
    "MAP-131": Code("No web address."),
    "MAP-140": Code("No country we know."),
    "MAP-150": Code("Money expected."),
    "MAP-151": Code("An amount that is no count of minor units."),
    "MAP-152": Code("No ISO 4217 currency."),
    "MAP-153": Code("An amount without its currency."),
    "MAP-154": Code("Money in a currency that the system cannot hold."),
    "MAP-155": Code("An amount finer than its currency has units."),
    "MAP-160": Code("No consent statement."),
    "MAP-170": Code("No entity id."),
    # Writes
    "MAP-PARENT-WAITS": Code("The record it refers to is created first, in the same plan.", stops=False),
    "MAP-PARENT-NONE": Code("The record it refers to is not in that system; the field is left out.", stops=False),
    "MAP-REQUIRED": Code("Nothing can be created without this value."),
    "MAP-OUT-UNKNOWN": Code("An enum value that the system has no word for."),
    "MAP-OUT-SKIPPED": Code("The same, where the mapping says to leave it out.", stops=False),
    # Rewards
    "REW-001": Code("An unknown event."),
    "REW-002": Code("An unknown budget."),
    "REW-003": Code("A connection that is unknown, or places no orders."),
    "REW-004": Code("An amount that is none (25 EUR)."),
    "REW-005": Code("A subject that the event does not have."),
}
