"""From one conflict to a rule for all: what somebody at the desk would have the policy say, as a draft for an admin.

Nothing is decided by it. The draft is canonical.yaml with one rule changed; an admin checks, compares and publishes it.
"""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.drafts import edit_draft
from hub.app.inbox import RULES
from hub.app.listings import Dict
from hub.app.transact import commit
from hub.app.voices import source_name
from hub.core.canonical import CanonicalField
from hub.errors import NeedsReview, NotFound
from hub.model import ConflictRow, Json
from hub.runtime.registry import CANONICAL_FILE
from hub.store import Tx

BY_KIND = {  # what may be chosen for a field, besides an order of systems
    "set": ("union", "newest", "manual"),
    "enum": ("newest", "first", "max", "min", "manual"),
    "text": ("newest", "first", "longest", "majority", "manual"),
}
OTHERS = ("newest", "first", "majority", "manual")
SOURCE = "source:"


def policies(hub: Hub, conflict_id: int) -> list[Dict]:
    """What the policy of a conflict's field could be: {"policy", "text"}; empty where none may be chosen (consent)."""
    conflict, declared = _of(hub, conflict_id)
    if declared is None or declared.kind == "consent" or declared.derived:
        return []
    spoke = dict.fromkeys(str(each.get("connection") or "") for each in conflict.candidates)
    orders = [{"policy": f"{SOURCE}{name}", "text": f"{name} decides, then the others"} for name in spoke if name]
    known = BY_KIND.get(declared.kind, BY_KIND.get(declared.type, OTHERS))
    rules = [{"policy": rule, "text": RULES[rule]} for rule in known if rule != declared.survivorship.rule]
    return [*orders, *rules]


def propose_policy(hub: Hub, conflict_id: int, policy: str, *, by: str, note: str = "") -> str:
    """Draft the change; gives the file. Every other line of it stays as it is.

    Raises:
        NotFound: no such conflict, or its field is not declared in canonical.yaml. NeedsReview: no such policy for it.
        ConfigFault: the draft that is there already is no YAML.
    """
    conflict, declared = _of(hub, conflict_id)
    if declared is None or policy not in {each["policy"] for each in policies(hub, conflict_id)}:
        raise NeedsReview(
            "that is no policy for this field", where=f"conflict {conflict_id}", fix="choose one of the list"
        )  # fmt: skip
    with hub.store.reading() as tx:
        kind = tx.entities([conflict.entity_id])[conflict.entity_id].type
    rule = _rule(hub, conflict, policy)

    def put(data: Json) -> None:
        data["entities"][kind]["fields"][conflict.field]["survivorship"] = rule

    edit_draft(
        hub, CANONICAL_FILE, put, by=by,
        lacks=f"{conflict.field} of {kind} is not declared in {CANONICAL_FILE} but in a mapping: change it there",
    )  # fmt: skip
    said = f"proposed a policy for {conflict.field}: {policy}" + (f" ({note})" if note else "")

    def tell(tx: Tx) -> None:
        now = hub.clock.now()
        tx.add_note(f"conflict:{conflict_id}", by, now, said)
        tx.audit(by, "policy proposed", f"conflict {conflict_id}", declared.survivorship.rule, policy, now)

    commit(hub, tell)
    return CANONICAL_FILE


def _of(hub: Hub, conflict_id: int) -> tuple[ConflictRow, CanonicalField | None]:
    with hub.store.reading() as tx:
        conflict = tx.conflict(conflict_id)
        entity = tx.entities([conflict.entity_id]).get(conflict.entity_id)
    if entity is None:
        raise NotFound(f"the record of conflict {conflict_id} is gone", where=f"conflict {conflict_id}")
    return conflict, hub.canonical.entities[entity.type].fields.get(conflict.field)


def _rule(hub: Hub, conflict: ConflictRow, policy: str) -> Json:
    """As canonical.yaml has it. The systems that spoke stand in the order, the chosen one first."""
    if not policy.startswith(SOURCE):
        return policy
    first = policy.removeprefix(SOURCE)
    spoke = [str(each.get("connection") or "") for each in conflict.candidates]
    return {"source": [source_name(hub, name) for name in dict.fromkeys([first, *spoke]) if name]}
