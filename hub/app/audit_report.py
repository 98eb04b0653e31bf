"""The audit as people get it: made, kept, and written as a page that prints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from hub.app.audit_findings import (
    best,
    difference,
    figures_of,
    findings,
    inventory,
    rules,
    shares_of,
    tiers,
)
from hub.app.auditing import Seen, Watch, measure, nobody
from hub.app.context import Hub
from hub.app.identity import list_pairs
from hub.app.listings import Dict, iso
from hub.app.scan import scan
from hub.app.transact import commit
from hub.app.trusting import MEASURED, list_trust
from hub.core.quality import score_of
from hub.errors import ConfigFault, Fault
from hub.store import Tx

if TYPE_CHECKING:
    from jinja2 import Template

MOST_PAIRS = 10_000  # of those that wait, the likeliest
OLD_ONES = 12  # audits whose scores are shown: three years, if made every quarter
CLUSTER_COLUMNS = ("pair", "score", "first", "first_is", "second", "second_is", "because")


def audit(
    hub: Hub, *, by: str, look: bool = True, watch: Watch = lambda *_: None, seen: Seen = nobody
) -> Dict:  # fmt: skip
    """Look at everything, keep the figures, and tell what is wrong, with the difference to the audit before.

    Args:
        look: search for duplicates first; else only pairs that wait already are told.
        seen: is told each invalid and each missing value, record by record; the report counts them.
    """
    note = _look(hub, by) if look else "duplicates: only pairs that wait already; nothing was searched"
    pairs = list_pairs(hub, limit=MOST_PAIRS)
    found_clusters = clusters([each for each in pairs if each["own"]])
    if namesakes := len([each for each in pairs if not each["own"]]):
        alike = f"{namesakes} pairs may be namesakes or a family, so they are no finding: hub identity review"
        note = f"{note}; {alike}" if note else alike
    tally = measure(hub, watch=watch, seen=seen)
    shares = shares_of(hub, tally, sum(each["surplus"] for each in found_clusters))
    found, score, now = findings(hub, tally, found_clusters), score_of(shares), hub.clock.now()
    figures, trust = figures_of(found, tally, shares), list_trust(hub)
    with hub.store.reading() as tx:
        old = tx.data_audits(limit=OLD_ONES)

    def keep(tx: Tx) -> None:
        tx.add_data_audit(at=now, by=by, score=score, figures=figures)
        tx.set_setting(MEASURED, {"at": now, "rows": trust})

    commit(hub, keep)
    return {
        "at": iso(now),
        "by": by,
        "score": score,
        "parts": figures["shares"],
        "entities": figures["entities"],
        "note": note,
        "inventory": inventory(tally),
        "tiers": tiers(tally),
        "best": best(tally.types),
        "clusters": found_clusters,
        "findings": found,
        "rules": rules(hub, tally),
        "trust": trust,
        "before": {"at": iso(old[0].at), "score": old[0].score} if old else None,
        "difference": difference(old[0].figures["findings"], figures["findings"]) if old else [],
        "scores": [{"at": iso(each.at), "score": each.score} for each in reversed(old)]
        + [{"at": iso(now), "score": score}],
    }


def past_audits(hub: Hub) -> list[Dict]:
    """The last audits with what was counted, the newest first; the first tells the difference to the one before."""
    with hub.store.reading() as tx:
        rows = tx.data_audits(limit=OLD_ONES)
    return [
        {
            "at": iso(row.at), "by": row.by, "score": row.score, **row.figures,
            "difference": difference(before.figures["findings"], row.figures["findings"]) if before else [],
        }
        for row, before in zip_longest(rows, rows[1:])
    ]  # fmt: skip


def _look(hub: Hub, by: str) -> str:
    """Search for duplicates; what to tell if that was not possible."""
    try:
        scan(hub, by=by)
    except ConfigFault as missing:  # the optional packages are not installed
        return f"duplicates: only pairs that wait already; {missing.faults[0]}"
    return ""


def clusters(pairs: Sequence[Dict]) -> list[Dict]:
    """Who might all be one: pairs that touch, together, the largest first, each pair with its reasons."""
    leader: dict[str, str] = {}

    def find(one: str) -> str:
        while leader.setdefault(one, one) != one:
            leader[one] = one = leader[leader[one]]
        return one

    for each in pairs:
        leader[find(each["second"])] = find(each["first"])
    together: dict[str, list[Dict]] = defaultdict(list)
    for each in pairs:
        together[find(each["first"])].append(each)
    found = []
    for members in together.values():
        names = sorted({name for each in members for name in (each["first"], each["second"])}, key=_by_number)
        told = [{name: each[name] for name in CLUSTER_COLUMNS} for each in members]
        kind = names[0].partition(":")[0]
        found.append({"entity": kind, "members": names, "surplus": len(names) - 1, "pairs": told})
    return sorted(found, key=lambda each: (-each["surplus"], _by_number(each["members"][0])))


def _by_number(name: str) -> tuple[str, int]:
    kind, _, number = name.partition(":")
    return kind, int(number)


# The page


def write_page(report: Mapping[str, object], path: Path) -> None:
    """The report as a file; it names people, so only its owner may read it. Raises ConfigFault AUDIT-WRITE."""
    page = as_page(report)
    try:
        path.touch(mode=0o600)
        path.write_text(page, "utf-8")
    except OSError as error:
        fix = "name a file in a folder that may be written"
        message = f"the report cannot be written: {error.strerror}"
        raise ConfigFault([Fault(code="AUDIT-WRITE", where=str(path), message=message, fix=fix)]) from None


def as_page(report: Mapping[str, object]) -> str:
    """The report as one HTML file: no script, no other file, every text escaped."""
    return _template().render(report=report)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # late: most commands draw no page

    pages = Environment(
        loader=PackageLoader("hub.app"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    pages.filters["percent"] = lambda share: "" if share is None else f"{share:.1%}"
    return pages.get_template("audit.html")
