"""`hub identity scan`: who might be whom, over the whole store, put into the review queue. Nothing is ever joined here.

The store is read in pages, scored in bulk (hub.runtime.scoring), and pairs are stored in pages again. Scanning once
more adds nothing that is known: a pair keeps what a person decided about it, and only its score is renewed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hub.app.context import Hub
from hub.app.pairs import REVIEW, kept_apart, pair
from hub.app.transact import commit
from hub.core.canonical import EntityType
from hub.core.likeness import Feature, blocks_of, features_of, row_of
from hub.errors import NotFound
from hub.model import Json
from hub.runtime.scoring import Scored, Scorer, scorer
from hub.store import Tx
from hub.store.identities import pair_key
from hub.store.rows import IdentityRow

PAGE = 1000
ABOVE = 0.9  # probability from which a pair is worth a person's time
SPLINK = "splink"


def scan(hub: Hub, *, kinds: Sequence[str] = (), above: float = ABOVE, by: str) -> list[dict[str, Json]]:
    """Find pairs of every entity type that can be compared, or of these.

    Returns:
        Per type: how many entities were compared, pairs found, new, known before, kept apart by a person.

    Raises:
        NotFound: a type that is not declared, or cannot be compared. ConfigFault: IDN-EXTRA.
    """
    wanted = [_comparable(hub, kind) for kind in kinds] or [
        each for each in hub.canonical.entities.values() if each.keys and features_of(each)
    ]
    return [_scan_type(hub, entity, above, by) for entity in wanted]


def _comparable(hub: Hub, kind: str) -> EntityType:
    entity = hub.canonical.entities.get(kind)
    if entity is None or not features_of(entity):
        known = ", ".join(name for name, each in hub.canonical.entities.items() if each.keys and features_of(each))
        raise NotFound(f"{kind} cannot be compared", where="hub identity scan", fix=f"types that can be: {known}")
    return entity


def _scan_type(hub: Hub, entity: EntityType, above: float, by: str) -> dict[str, Json]:
    features, counts = features_of(entity), Counter[str]()
    rules = tuple(blocks_of(features, {}))
    with scorer(features, rules, sharing=entity.limits.sharing) as scores:
        counts["compared"] = _read(hub, entity, features, scores)
        for found in scores.pairs(above) if counts["compared"] > 1 else ():
            counts.update(commit(hub, lambda tx, page=found: _keep(hub, tx, page, by)))  # type: ignore[misc]
    return {"type": entity.name, **{name: counts[name] for name in ("compared", "found", "new", "known", "apart")}}


def _read(hub: Hub, entity: EntityType, features: Sequence[Feature], scores: Scorer) -> int:
    """Every living entity, page by page; how many."""
    after_id, total = 0, 0
    while True:
        with hub.store.reading() as tx:
            rows = tx.entities_page(entity.name, after_id=after_id, limit=PAGE)
        if not rows:
            return total
        after_id = rows[-1].id
        page = []
        for each in rows:
            if each.state == "live":
                columns = row_of(entity, features, each.values)
                page.append((each.id, columns, blocks_of(features, columns)))
        scores.add(page)
        total += len(page)


def _keep(hub: Hub, tx: Tx, found: Sequence[Scored], by: str) -> Counter[str]:
    """One page of pairs into the queue, without those that a person keeps apart or that were joined meanwhile."""
    ids = {each for scored in found for each in (scored.one, scored.other)}
    roots, apart = tx.roots(ids), kept_apart(tx, ids)
    known = tx.identities_by_keys(REVIEW, [pair_key(each.one, each.other) for each in found])
    counts, rows = Counter[str](found=len(found)), []
    for scored in found:
        if (scored.one, scored.other) in apart:
            counts["apart"] += 1
        elif roots.get(scored.one) == scored.one and roots.get(scored.other) == scored.other:
            counts["known" if pair_key(scored.one, scored.other) in known else "new"] += 1
            rows.append(_review(scored, at=hub.clock.now(), by=by))
    tx.add_reviews(rows)
    return counts


def _review(scored: Scored, *, at: float, by: str) -> IdentityRow:
    told = [{"field": name, "level": text, "weight": weight} for name, (text, weight) in scored.levels.items()]
    evidence = {"weight": scored.weight, "fields": told, "asked_by": by}
    return pair(REVIEW, scored.one, scored.other, by=SPLINK, at=at, score=scored.probability, evidence=evidence)
