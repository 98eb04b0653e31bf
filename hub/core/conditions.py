"""Conditions that are asked of page after page: what was answered for the same values is not computed again.

A condition looks at few fields, and most of them repeat (a status, a stage); evaluating one costs some 50 µs, as many
as storing the record.
"""

from __future__ import annotations

from collections.abc import Mapping

from hub.core.canonical import EntityType
from hub.core.expressions import EntityExpression, compile_for_entity
from hub.model import Json

MOST = 4096  # answers kept; then it begins anew


class Condition:
    """An expression over one entity's values, as true or false, with its answers remembered.

    Values that cannot be a key (money, groups, sets) are computed each time. Safe to share among threads: the worst
    that can happen is that something is computed twice.
    """

    __slots__ = ("expression", "uses", "_names", "_answers")

    def __init__(self, expression: EntityExpression) -> None:
        self.expression = expression
        self.uses = expression.uses
        self._names = tuple(sorted(expression.uses))
        self._answers: dict[tuple[Json, ...], bool] = {}

    def __call__(self, values: Mapping[str, Json]) -> bool:
        key = tuple(values.get(name) for name in self._names)
        try:
            found = self._answers.get(key)
        except TypeError:
            return bool(self.expression(values))
        if found is None:
            if len(self._answers) >= MOST:
                self._answers.clear()
            found = self._answers[key] = bool(self.expression(values))
        return found


def condition_of(text: str, entity: EntityType, *, currency: str) -> Condition:
    """Raises MappingFault: MAP-012 not in the language, MAP-013 unknown name."""
    return Condition(compile_for_entity(text, entity, currency=currency))
