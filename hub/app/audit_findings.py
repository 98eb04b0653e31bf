"""What an audit counted, as findings with their fixes: the report that people read, and the figures that are kept.

A finding names what is wrong, where, how often, and the command or the line of a mapping that mends it. Its key
(`gap:crm/contacts.phone`) is the same in every audit: by it two audits are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hub.app.auditing import CellTally, Tally, TypeTally
from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.titles import card
from hub.core.quality import NO_TIER, TIERS, share_good, tiers_of

REQUIRED_FROM = 0.75  # filled in that share of a system's records, a field is in use there …
REACHING = ("email", "phone")  # worth requiring even where few have it
RULE_FROM = 3  # … and a rule at the source is worth its trouble from so many records on

STEPS = ("uniform formats", "duplicates", "invalid values", "gaps")

# Why a value of the hub does not stand in a system: text, fix
GAPS: Mapping[str, tuple[str, str]] = {
    "reads_only": ("its mapping only reads it", "let {where} write it (direction: both), and hub plan {connection}"),
    "no_way": ("nothing can be written to this stream", "have it entered there; the hub cannot"),
    "observe": ("the connection is in mode observe", "hub plan {connection}; then mode: propose or live in hub.yaml"),
    "held_back": ("a guard holds the write back", "hub holds list"),
    "not_expressed": ("the mapping has no form for it there", "give it one, if the system has one: {where}"),
    "asks": ("the write waits for approval", "hub plan {connection}; hub plans approve PLAN"),
    "due": ("the write is due", "hub sync {connection}"),
    "no_parent": ("the record that it names is not there", "see that it is made there too, or set it by hand"),
    "settled": ("it was written and did not stay, or the field's blanks are kept", "hub reconcile {connection}"),
}  # fmt: skip


KINDS: Mapping[str, str] = {  # how a key begins -> what it says
    "odd": "written in another form", "invalid": "cannot be right", "gap": "blank, though another system knows it",
    "missing": "no system knows it", "duplicate": "probably there already", "double": "second records of one entity",
}  # fmt: skip


def in_words(key: str) -> Dict:
    """A finding's key as people read it: {"what", "where", "kind"}."""
    kind, _, rest = key.partition(":")
    at, _, why = rest.partition(":")
    connection, _, local = at.rpartition("/")
    holder, _, field = local.partition(".")
    where = f"{field.replace('.', ' ')} of {holder}" if field else holder
    what = f"blank: {GAPS[why][0]}" if why in GAPS else KINDS.get(kind, kind)
    return {"kind": kind, "what": what, "where": where.replace("_", " "), "connection": connection}


def place(key: tuple[str, str, str]) -> str:
    connection, stream, name = key
    return f"{connection}/{stream}.{name}"


def shares_of(hub: Hub, tally: Tally, surplus: int) -> dict[str, float | None]:
    """The parts of the score, each 0 to 1.

    Args:
        surplus: entities that would be gone if every pair that waits were merged.
    """
    types, cells = tally.types.values(), tally.cells.values()
    values = sum(each.filled + each.refused for each in cells)
    wrong = sum(each.invalid + each.refused for each in cells)
    possible = sum(each.cells for each in types)
    known = sum(each.filled.total() for each in types)
    doubles = tally.doubles.total()
    someone = sum(each.entities for kind, each in tally.types.items() if hub.canonical.entities[kind].keys)
    return {
        "completeness": share_good(possible - known, possible),
        "validity": share_good(wrong, values),
        "uniqueness": share_good(surplus + doubles, someone + doubles),
        "agreement": share_good(sum(each.gaps.total() for each in cells), values),
        "uniformity": share_good(sum(each.odd for each in cells), values),
    }


def inventory(tally: Tally) -> list[Dict]:
    """Which system holds what: a row per stream and field with its fill rate, then the one record's own."""
    rows = [
        {
            "system": key[0], "stream": key[1], "entity": cell.entity, "field": key[2], "filled": cell.filled,
            "unread": cell.unread, "blank": cell.blank,
            "filled_share": _share(cell.filled + cell.unread, cell.filled + cell.unread + cell.blank),
        }
        for key, cell in tally.cells.items()
    ]  # fmt: skip
    for kind, seen in tally.types.items():
        rows += [
            {
                "system": "hub", "stream": "", "entity": kind, "field": name, "filled": seen.filled[name], "unread": 0,
                "blank": seen.entities - seen.filled[name], "filled_share": _share(seen.filled[name], seen.entities),
            }
            for name in seen.used
        ]  # fmt: skip
    return rows


def findings(hub: Hub, tally: Tally, clusters: Sequence[Dict]) -> list[Dict]:
    """What is wrong, worst first within each step."""
    found = [
        *(each for key, cell in tally.cells.items() for each in _of_cell(hub, key, cell)),
        *_duplicates(tally, clusters),
        *_nowhere(tally),
    ]
    return sorted(found, key=lambda each: (STEPS.index(each["step"]), -each["count"], each["key"]))


def _of_cell(hub: Hub, key: tuple[str, str, str], cell: CellTally) -> Iterator[Dict]:
    at = place(key)
    if cell.odd:
        shapes = [{"shape": text, "count": count} for text, count in cell.shapes.most_common(3)]
        text = f"{cell.odd} of {cell.filled} values are written in another form than the field's"
        fix = _form_fix(hub, key, cell)
        found = _finding("uniform formats", f"odd:{at}", cell.odd, cell.filled, text, fix, cell, "odd")
        yield {**found, "shapes": shapes}
    if wrong := cell.invalid + cell.refused:
        text = "; ".join(f"{reason} ({count})" for reason, count in cell.reasons.most_common(3))
        fix = f"correct them in {key[0]}; those that were refused: hub quarantine list --connection {key[0]}"
        yield _finding("invalid values", f"invalid:{at}", wrong, cell.filled + cell.refused, text, fix, cell, "invalid")
    for why, count in cell.gaps.most_common():
        said, fix = GAPS[why]
        fix = fix.format(connection=key[0], where=cell.where or f"the mapping of {key[0]}")
        text = f"{count} blank here, though another system knows the value: {said}"
        yield _finding("gaps", f"gap:{at}:{why}", count, cell.blank, text, fix, cell, "gap")


def _form_fix(hub: Hub, key: tuple[str, str, str], cell: CellTally) -> str:
    """The hub writes its own form wherever it writes; but what is the same to it, it leaves alone."""
    connection = hub.connections[key[0]]
    writes = connection.writes and any(
        rule.field == cell.name and rule.direction != "in" for rule in connection.mappings[key[1]].rules
    )
    rest = "the hub takes both as the same and does not rewrite them" if writes else "the hub does not write there"
    return f"enter one form in {key[0]} ({rest}); see the rule proposed for it"


def _duplicates(tally: Tally, clusters: Sequence[Dict]) -> Iterator[Dict]:
    by_type = Counter[str]()
    for each in clusters:
        by_type[each["entity"]] += each["surplus"]
    for kind, count in by_type.items():
        total = tally.types[kind].entities if kind in tally.types else 0
        text = f"{count} of {total} are probably somebody who is there already"
        fix = "hub identity review; hub identity merge PAIR"
        yield _finding("duplicates", f"duplicate:{kind}", count, total, text, fix)
    for (connection, stream), count in tally.doubles.items():
        if count:
            text = "second records of one entity: heard, and never written"
            total = tally.records[connection, stream]
            fix = f"merge them in {connection}; the hub follows"
            yield _finding("duplicates", f"double:{connection}/{stream}", count, total, text, fix)


def _nowhere(tally: Tally) -> Iterator[Dict]:
    """What no system knows."""
    for kind, seen in tally.types.items():
        for name in seen.used:
            count = seen.entities - seen.filled[name]
            if count and seen.filled[name]:
                text = f"{count} of {seen.entities}: no system tells one that can be used"
                fix = f"ask for it in {' or '.join(_holders(tally, kind, name))}"
                yield _finding("gaps", f"missing:{kind}.{name}", count, seen.entities, text, fix)


def _holders(tally: Tally, kind: str, name: str) -> list[str]:
    """Systems that have the field."""
    found = (key[0] for key, cell in tally.cells.items() if cell.entity == kind and cell.name == name)
    return list(dict.fromkeys(found))


def _finding(
    step: str, key: str, count: int, of: int, text: str, fix: str, cell: CellTally | None = None, kind: str = ""
) -> Dict:
    examples = list(cell.examples.get(kind, ())) if cell else []
    return {"step": step, "key": key, "count": count, "of": of, "text": text, "fix": fix, "examples": examples}


# Tiers


def tiers(tally: Tally) -> list[Dict]:
    """Per entity type that knows what was spent: a row per tier, the best first."""
    rows = []
    for kind, seen in tally.types.items():
        names = tiers_of(seen.spent)
        total = sum(seen.spent)
        for tier in (*(name for name, _ in TIERS), NO_TIER) if names else ():
            places = [n for n, name in enumerate(names) if name == tier]
            spent = sum(seen.spent[n] for n in places)
            missing = sum(seen.missing[n] for n in places)
            rows.append(
                {
                    "entity": kind, "tier": tier, "entities": len(places), "spent": round(spent, 2),
                    "spent_share": _share(spent, total), "with_flaws": sum(seen.flawed[n] > 0 for n in places),
                    "filled_share": _share(len(places) * len(seen.used) - missing, len(places) * len(seen.used)),
                }
            )  # fmt: skip
    return rows


def best(seen: Mapping[str, TypeTally]) -> list[Dict]:
    """The best customers, and what is wrong with each: where to begin."""
    return [
        {
            **card(row),
            "spent": round(spent, 2),
            "missing": missing,
            "flaws": flaws,
            "fix": f"hub show {row.type}:{row.id}",
        }
        for each in seen.values()
        for spent, _, row, missing, flaws in sorted(each.best, key=lambda one: one[:2], reverse=True)
    ]  # fmt: skip


# Rules at the source


def rules(hub: Hub, tally: Tally) -> list[Dict]:
    """What to require where data is entered, with the count that speaks for it."""
    found = [each for key, cell in tally.cells.items() for each in _rules_of(hub, key, cell)]
    for (connection, stream), count in tally.doubles.items():
        if count >= RULE_FROM:
            found.append(_rule(connection, stream, "", count, "look for an existing record before a new one is made"))
    return sorted(found, key=lambda each: (-each["count"], each["system"], each["field"]))


def _rules_of(hub: Hub, key: tuple[str, str, str], cell: CellTally) -> Iterator[Dict]:
    entity = hub.canonical.entities[cell.entity]
    needed = cell.name in {name for each in entity.keys for name in each.on} or (
        entity.fields[cell.name].type in REACHING
    )
    total = cell.filled + cell.unread + cell.blank
    if cell.blank >= RULE_FROM and (cell.filled >= REQUIRED_FROM * total or needed):
        text = f"make {key[2]} required in {key[0]}: {cell.blank} of {total} records lack it"
        yield _rule(key[0], key[1], key[2], cell.blank, text)
    if (wrong := cell.invalid + cell.refused) >= RULE_FROM:
        text = f"check {key[2]} in {key[0]} where it is entered: {wrong} values cannot be right"
        yield _rule(key[0], key[1], key[2], wrong, text)
    if cell.odd >= RULE_FROM:
        text = f"offer one form of {key[2]} in {key[0]} (a mask, or a list to pick from): {cell.odd} differ"
        yield _rule(key[0], key[1], key[2], cell.odd, text)


def _rule(connection: str, stream: str, name: str, count: int, text: str) -> Dict:
    return {"system": connection, "stream": stream, "field": name, "count": count, "rule": text}


# The difference


def figures_of(found: Sequence[Dict], tally: Tally, shares: Mapping[str, float | None]) -> Dict:
    """What is kept of an audit: counts, and no value of anybody."""
    return {
        "shares": {name: None if share is None else round(share, 4) for name, share in shares.items()},
        "entities": {kind: seen.entities for kind, seen in tally.types.items()},
        "findings": {each["key"]: each["count"] for each in found},
    }


def difference(before: Mapping[str, int], now: Mapping[str, int]) -> list[Dict]:
    """What became better or worse since: findings whose count moved, those that moved most first."""
    rows = [
        {"key": key, "before": old, "now": new, "change": new - old}
        for key in {*before, *now}
        if (old := before.get(key, 0)) != (new := now.get(key, 0))
    ]
    return sorted(rows, key=lambda row: (-abs(row["change"]), row["key"]))


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
