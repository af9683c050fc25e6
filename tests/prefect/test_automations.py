"""When an automation that is there already counts as the one that is wanted."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

from prefect.client.orchestration import PrefectClient
from prefect.events import Automation, AutomationCore, EventTrigger

from agent_tasks.prefect.automations import Outcome, apply_automations, crash_silent_runs


class _Fake:
    """Stands for the client of a server that keeps one automation."""

    def __init__(self, kept: AutomationCore) -> None:
        self.kept = Automation(id=uuid4(), **{name: getattr(kept, name) for name in kept.model_fields_set})
        self.updates = 0

    async def read_automations_by_name(self, name: str) -> list[Automation]:
        return [self.kept] if self.kept.name == name else []

    async def update_automation(self, id_: Any, automation: AutomationCore) -> None:
        self.updates += 1


def _with_events(names: tuple[str, ...]) -> AutomationCore:
    """The automation, with the set of these events, put in one by one."""
    automation = crash_silent_runs(("mine",), 90)
    trigger = cast("EventTrigger", automation.trigger)
    return automation.model_copy(update={"trigger": trigger.model_copy(update={"expect": set(names)})})


async def test_the_order_in_which_a_set_is_told_is_no_difference() -> None:
    first = tuple(f"prefect.flow-run.{number}" for number in range(1000))
    second = first[::-1]
    assert list(set(first)) != list(set(second)), "a thousand names collide somewhere"
    fake = _Fake(_with_events(first))
    (applied,) = await apply_automations(cast("PrefectClient", fake), [_with_events(second)])
    assert (applied.outcome, fake.updates) == (Outcome.UNCHANGED, 0)


async def test_another_event_is_a_difference() -> None:
    fake = _Fake(_with_events(("one", "two")))
    (applied,) = await apply_automations(cast("PrefectClient", fake), [_with_events(("one",))])
    assert (applied.outcome, fake.updates) == (Outcome.UPDATED, 1)
