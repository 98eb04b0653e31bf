"""The small company of tests/reward_world.py with triggers, and who hears of what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hub.app.firings import do_due
from hub.app.rewards import reward_hook
from hub.app.trigger_clock import look_at_clock
from hub.app.triggers import trigger_hook
from hub.core.document import Sheet
from hub.core.triggers import Triggers
from hub.core.triggers_file import parse_triggers
from hub.errors import Fault
from hub.model import Firing
from hub.runtime.slots import slots_fault
from hub.runtime.yaml import parse_yaml
from tests.reward_world import World, declared, read_rules

HEAD = "language: 1\nrules:\n"


def read_triggers(text: str) -> Triggers:
    triggers, faults = checked(text)
    assert faults == []
    return triggers


def checked(text: str) -> tuple[Triggers, list[Fault]]:
    sheet = Sheet(parse_yaml(HEAD + text, "triggers.yaml"))
    rewards = read_rules()
    found = parse_triggers(
        sheet, declared(), budgets=rewards.budgets, taken=rewards.rules, connections=("shop", "crm", "plum"),
        check_slots=slots_fault,
    )  # fmt: skip
    return found, sheet.faults


def rule(name: str, cause: str, do: str, more: str = "") -> str:
    """The YAML of one rule."""
    return f"  {name}: {{text: A rule., {cause}, do: {{{do}}}, active_from: 2026-12-01T00:00:00Z{more}}}\n"


class TriggerWorld(World):
    """A company whose hub has triggers; `told` and `posted` are what left it."""

    def __init__(self, url: str = "sqlite://", *, triggers: str = "", **options: Any) -> None:
        self.triggers = read_triggers(triggers) if triggers else Triggers()
        self.told: list[str] = []
        self.posted: list[tuple[str, bytes]] = []
        self.answer: Callable[[], int] = lambda: 200
        super().__init__(url, **options)

    def start(self) -> Any:
        hub = super().start()
        hub.triggers, hub.tell, hub.post = self.triggers, self._tell, self._post
        hub.on_changes = reward_hook(self.rewards, self.canonical, then=trigger_hook(self.triggers))
        return hub

    def _tell(self, title: str, text: str) -> Sequence[str]:
        self.told.append(text)
        return ()

    def _post(self, url: str, secret: str, *, local: bool, key: str, at: float, body: bytes) -> int:
        self.posted.append((key, body))
        return self.answer()

    def work(self) -> dict[str, int]:
        """What a turn of the hub does."""
        look_at_clock(self.hub)
        return dict(do_due(self.hub))

    def firings(self) -> list[Firing]:
        with self.store.reading() as tx:
            return tx.firings()

    def states(self) -> list[str]:
        return [firing.state for firing in self.firings()]
