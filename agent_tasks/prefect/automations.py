"""Prefect automations for lost workers: a silent flow run is crashed, and a crashed one is started again.

A flow run whose process was killed together with its worker stays Running on the server for ever. Two
automations end that, for the flows that are named:

- *silent*: a flow run that sent heartbeats and then nothing at all for some time becomes Crashed;
- *restart*: a crashed flow run of a deployment is scheduled again, as the same flow run, and a worker takes
  it up. The journal makes that safe: what was done is not done again, what was begun is followed to its end.

Others tell people of runs that they should know of (`notify_of_runs`), of budgets, and of what has waited for
long (`notify_of_news`).

The restart is bounded by the run's own count of runs. One crash may be told twice (two events): the restart
fires once for each flow run and count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from agent_tasks.batch.outcome_rules import NOT_ALL_DONE
from agent_tasks.errors import ConfigurationError
from agent_tasks.prefect.events import BUDGET_NEAR, BUDGET_REACHED, QUEUE_OLD, WAITING_LONG

__all__ = [
    "FLOWS",
    "RESTARTS",
    "SILENT_SECONDS",
    "Applied",
    "Outcome",
    "apply_automations",
    "crash_silent_runs",
    "find_block",
    "notify_of_news",
    "notify_of_runs",
    "restart_crashed_runs",
]

FLOWS = ("document-batch",)
"""Flows that are watched unless others are named."""

SILENT_SECONDS = 600.0
"""Seconds without a heartbeat after which a run counts as lost. Prefect's default is one each 180 seconds."""

RESTARTS = 3
"""How often a flow run is started again."""

_HEARTBEAT = "prefect.flow-run.heartbeat"
_RESOURCE = "prefect.resource.id"
_COUNT = "prefect.run-count"
_DAY = timedelta(days=1)
_ONCE = timedelta(days=7)  # within which the same crash is not acted on again


class Outcome(StrEnum):
    """What applying an automation came to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Applied:
    """An automation, and what applying it came to."""

    name: str
    outcome: Outcome


def crash_silent_runs(flows: Sequence[str] = FLOWS, silent_seconds: float = SILENT_SECONDS) -> AutomationCore:
    """The automation that turns a silent flow run into Crashed.

    Args:
        flows: names of flows.
        silent_seconds: seconds without a sign of life; well above `PREFECT_FLOWS_HEARTBEAT_FREQUENCY` of the
            workers (30 at least, 180 by default), or living runs are taken for lost.
    """
    return AutomationCore(
        name="agent-tasks: silent flow runs crash",
        description=f"A flow run that is silent for {silent_seconds:g} s has lost its process.",
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={"prefect.flow-run.*"},  # any news of the run: it ended, it waits, it lives
            match=ResourceSpecification({_RESOURCE: ["prefect.flow-run.*"]}),
            match_related=_of(flows),
            for_each={_RESOURCE},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silent_seconds),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {silent_seconds:g} s: the process is lost.",
            )
        ],
    )


def restart_crashed_runs(flows: Sequence[str] = FLOWS, restarts: int = RESTARTS) -> AutomationCore:
    """The automation that schedules a crashed flow run of a deployment again.

    Args:
        flows: names of flows.
        restarts: how often a flow run is started again; after that it stays Crashed.
    """
    return AutomationCore(
        name="agent-tasks: crashed flow runs start again",
        description=f"A crashed flow run resumes, {restarts} times at most.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match=ResourceSpecification(
                {_RESOURCE: ["prefect.flow-run.*"], _COUNT: [str(count) for count in range(1, restarts + 1)]}
            ),
            match_related=[*_of(flows), _ANY_DEPLOYMENT],
            for_each={_RESOURCE, _COUNT},
            posture=Posture.Reactive,
            threshold=1,
            within=_ONCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED,
                name="AwaitingRetry",
                message="The process was lost; the run resumes.",
            )
        ],
    )


def notify_of_runs(block: UUID, flows: Sequence[str] = FLOWS) -> list[AutomationCore]:
    """The automations that tell people of runs: failed, not all done, late.

    Args:
        block: id of a notification block (`find_block`).
        flows: names of flows.
    """
    return [
        AutomationCore(
            name=f"agent-tasks: tell of runs that {what}",
            description=description,
            trigger=EventTrigger(
                expect={f"prefect.flow-run.{state}" for state in states},
                match=ResourceSpecification({_RESOURCE: ["prefect.flow-run.*"]}),
                match_related=_of(flows),
                for_each={_RESOURCE},
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[SendNotification(block_document_id=block, subject=f"{_SUBJECT} {what}", body=_BODY)],
        )
        for what, states, description in (
            ("failed", ("Failed", "Crashed"), "A flow run is Failed or Crashed."),
            (
                "left documents to people",
                (NOT_ALL_DONE,),
                "Documents failed, wait or need review (warn_on).",
            ),
            ("are late", ("Late",), "A flow run should have begun, and no worker took it up."),
        )
    ]


def notify_of_news(block: UUID) -> list[AutomationCore]:
    """The automations that tell people of budgets, and of what has waited for long; once a day for each.

    Args:
        block: id of a notification block (`find_block`).
    """
    return [
        AutomationCore(
            name=f"agent-tasks: tell of {what}",
            description=description,
            trigger=EventTrigger(
                expect=set(events),
                match=ResourceSpecification({_RESOURCE: ["agent-tasks.*"]}),
                for_each={_RESOURCE, "prefect.resource.name"},
                posture=Posture.Reactive,
                threshold=1,
                within=_DAY,
            ),
            actions=[SendNotification(block_document_id=block, subject=subject, body=_NEWS)],
        )
        for what, events, subject, description in (
            (
                "budgets that come to their end",
                (BUDGET_NEAR,),
                "A budget comes to its end",
                "Four fifths of a pipeline's budget are spent.",
            ),
            (
                "budgets that are used up",
                (BUDGET_REACHED,),
                "A budget is used up",
                "A run was stopped since its pipeline's budget is used up.",
            ),
            (
                "what waits long for people",
                (WAITING_LONG,),
                "Documents wait for people",
                "The flow `watch` has found documents or questions that wait for long.",
            ),
            (
                "queues that nobody empties",
                (QUEUE_OLD,),
                "Calls of tools wait",
                "The flow `watch` has found calls in queues that no Function App takes.",
            ),
        )
    ]


_NEWS = "{{ event.payload.said }}"
_SUBJECT = "Flow runs:"
_BODY = (
    "{{ flow.name }}, run {{ flow_run.name }}: {{ flow_run.state.name }}"
    "{% if flow_run.state.message %}: {{ flow_run.state.message }}{% endif %}\n{{ flow_run|ui_url }}"
)


async def find_block(client: PrefectClient, slug: str) -> UUID:
    """The id of a block by its slug.

    Args:
        client: an open client of the Prefect server.
        slug: such as ``slack-webhook/operators``, as ``prefect block ls`` shows it.

    Raises:
        ConfigurationError: there is no such block.
    """
    kind, _, name = slug.partition("/")
    try:
        found = await client.read_block_document_by_name(name, kind, include_secrets=False)
    except ObjectNotFound as error:
        raise ConfigurationError(
            f"The Prefect server has no block {slug!r}. `prefect block ls` shows those it has; a "
            "notification block is made on the dashboard (Blocks), or in Python.",
            setting="--notify",
        ) from error
    return found.id


def _of(flows: Sequence[str]) -> list[ResourceSpecification]:
    return [ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": list(flows)})]


# A run without a deployment belongs to a terminal or a program: nobody would take it up.
_ANY_DEPLOYMENT = ResourceSpecification(
    {"prefect.resource.role": "deployment", "prefect.resource.id": "prefect.deployment.*"}
)


async def apply_automations(client: PrefectClient, wanted: Sequence[AutomationCore]) -> list[Applied]:
    """Make the server's automations of these names be like this; applying them again changes nothing.

    One that a person has disabled is updated and stays disabled. Of several with one name, one is kept.

    Args:
        client: an open client of the Prefect server.
        wanted: the automations, such as `crash_silent_runs()` and `restart_crashed_runs()`.

    Raises:
        httpx.HTTPError: the server refused, or could not be reached.
    """
    return [Applied(automation.name, await _apply(client, automation)) for automation in wanted]


async def _apply(client: PrefectClient, wanted: AutomationCore) -> Outcome:
    found = await client.read_automations_by_name(wanted.name)
    if not found:
        await client.create_automation(wanted)
        return Outcome.CREATED
    first, *others = found
    for other in others:
        await client.delete_automation(other.id)
    same = {"trigger", "actions", "description"}
    # Not as JSON: a trigger's events are a set, whose order in a list is by chance.
    is_same = wanted.model_dump(include=same) == first.model_dump(include=same)
    if is_same and not others:
        return Outcome.UNCHANGED
    fields = {name: getattr(wanted, name) for name in wanted.model_fields_set} | {"enabled": first.enabled}
    await client.update_automation(first.id, AutomationCore(**fields))
    return Outcome.UPDATED
