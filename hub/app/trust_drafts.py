"""The order of sources that measured trust speaks for, as a draft of canonical.yaml with the figures beside it.

It is checked, compared and published like any other draft.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.app.context import Hub
from hub.app.drafts import draft_text, edit_draft
from hub.app.listings import Dict
from hub.app.replaying import would_change
from hub.app.transact import commit
from hub.app.trusting import suggestion
from hub.errors import NeedsReview
from hub.model import Json
from hub.runtime.registry import CANONICAL_FILE
from hub.store import Tx


def propose_order(hub: Hub, kind: str, name: str, *, by: str, rows: Sequence[Dict] | None = None) -> Dict:
    """Draft the order that a field's figures speak for, with the figures beside it.

    Args:
        rows: of `list_trust`, if they are known already.

    Returns:
        {"file", "order", "reason"}

    Raises:
        NeedsReview TRUST-NONE: the figures speak for no order, or for the one there is.
        NotFound: no such field, or it is not declared in canonical.yaml. ConfigFault: the draft there is no YAML.
    """
    order, why = suggestion(hub, kind, name, rows=rows)
    if not order:
        raise NeedsReview(
            f"the figures of {kind}.{name} speak for no other order", code="TRUST-NONE", where=f"{kind}.{name}",
            fix="hub trust measures and shows them; the console and the API have those of the last audit of the data",
        )  # fmt: skip

    def put(data: Json) -> None:
        fields = data["entities"][kind]["fields"]
        fields[name]["survivorship"] = {"source": order}
        if not fields.fa.flow_style():
            fields.yaml_set_comment_before_after_key(name, before=f"measured trust: {why}", indent=6)

    lacks = f"{name} of {kind} is not declared in {CANONICAL_FILE} but in a mapping: change it there"
    edit_draft(hub, CANONICAL_FILE, put, by=by, lacks=lacks)
    before = hub.canonical.entities[kind].fields[name].survivorship.rule

    def tell(tx: Tx) -> None:
        tx.audit(
            by, "policy proposed", f"{kind}.{name}", before, f"source: {', '.join(order)} ({why})", hub.clock.now()
        )

    commit(hub, tell)
    return {"file": CANONICAL_FILE, "order": order, "reason": why}


def draft_would_change(hub: Hub) -> Dict:
    """What would be different under the draft of canonical.yaml. Returns and raises as `would_change`."""
    return would_change(hub, draft_text(hub, CANONICAL_FILE))
