"""Which round of a turn is the current one: found out from the service, never from an id that is old."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent_tasks.backends.base import (
    JsonObject,
    TurnRef,
)
from agent_tasks.backends.responses.answers import (
    CANCELLED_OUTPUT,
    RUNNING,
    answers_to,
    usage_of,
    waiting_in,
)
from agent_tasks.backends.responses.service import ResponsesService, are_marked, of_attempt, round_of
from agent_tasks.backends.usage import Usage
from agent_tasks.errors import TransportError
from agent_tasks.pauses import Pauses

__all__ = ["OF_ITEMS", "Current", "Rounds", "looks"]

OF_ITEMS = "items-"
"""How the id of a turn begins that is known by the items of its conversation alone: no list tells its own."""

_INPUTS = ("function_call_output", "mcp_approval_response")


def looks() -> Pauses:
    """The waits before a round is believed to be the last: the next one may not show in the list yet."""
    return Pauses(0.2, 2.0, growth=4.0, times=3)


@dataclass(frozen=True)
class Current:
    """The newest round of a turn."""

    response: JsonObject
    ref: TurnRef
    """The turn, with this round's number and the cost of those before."""
    cancelled: bool = False
    """Whether its calls were closed, since the turn was given up."""
    waits: bool = False
    """Whether it waits for outputs or decisions."""

    @property
    def runs(self) -> bool:
        """Whether the service works on it."""
        return self.response.get("status") in RUNNING


@dataclass
class Rounds:
    """Finds the newest round of a turn.

    Args:
        service: where to look.
        pauses: the waits between looks for a round that may not show yet.
    """

    service: ResponsesService
    pauses: Callable[[], Pauses] = looks
    waiting: dict[str, int] = field(default_factory=dict)
    """Turns whose calls this process was told of and has not answered, with the round: nothing newer is."""

    async def current(self, ref: TurnRef) -> Current:
        """The newest round of a turn.

        One that waits for outputs is believed only after some looks: outputs may have been sent by a worker
        that died, or by a request whose answer was lost, and to send them again would be paid for again.

        Raises:
            NotFoundError: the turn is gone.
            TransportError: its outputs have arrived, and what came of them does not show yet.
        """
        found = await self._look(ref)
        if not found.waits or self.waiting.get(ref.turn_id) == found.ref.round:
            return found
        async for _ in self.pauses():
            closing = await self._closing(found)
            if closing == "open" and self._is_all_that_is_told(ref):
                continue
            if closing == "open":
                again = await self._look(ref)
                if not again.waits or again.ref.round > found.ref.round:
                    return await self.current(ref) if again.waits else again
                continue
            if closing == "cancelled":
                return replace(found, cancelled=True, waits=False)
            if self._is_all_that_is_told(ref):
                return await self._from_items(found)
            again = await self._look(ref)
            if again.response.get("id") != found.response.get("id"):
                return await self.current(ref) if again.waits else again
            if not self.service.can.lists:
                return await self._from_items(found)
        if await self._closing(found) != "open":
            raise TransportError(
                f"The outputs of the turn {ref.turn_id} have arrived, and the response to them is not in the "
                "list of the service yet. The next look may find it."
            )
        return found

    def _is_all_that_is_told(self, ref: TurnRef) -> bool:
        """Whether a round that has ended need not be read again: no other one is known by its id."""
        return not self.service.can.lists and not ref.turn_id.startswith(OF_ITEMS)

    async def _look(self, ref: TurnRef) -> Current:
        if ref.turn_id.startswith(OF_ITEMS):
            return await self._look_at_items(ref)
        responses = await self.service.responses(ref.conversation)
        chain = of_attempt(responses, ref.mark) if ref.mark is not None else []
        if not chain and responses and not are_marked(responses):
            # A service that keeps no metadata: the conversation has one turn at a time, so newer is ours.
            ids = [one.get("id") for one in responses]
            chain = responses[ids.index(ref.turn_id) :] if ref.turn_id in ids else []
        if not chain:
            chain = [await self.service.response(ref.turn_id)]
        newest = chain[-1]
        spent = sum((usage_of(one) for one in chain[:-1]), start=Usage())
        number = max(round_of(newest), len(chain))
        here = replace(ref, round=number, spent=spent)
        output = newest.get("output") or []
        waits = newest.get("status") == "completed" and bool(waiting_in(output))
        return Current(newest, here, waits=waits)

    async def _look_at_items(self, ref: TurnRef) -> Current:
        items = await self.service.items(ref.conversation)
        inputs = [
            place
            for place, item in enumerate(items)
            if item.get("type") in _INPUTS or item.get("role") == "user"
        ]
        output = items[max(inputs, default=-1) + 1 :]
        if not output:  # its outputs have arrived, and no answer to them yet
            output = [
                item for item in items if item.get("type") not in _INPUTS and item.get("role") != "user"
            ]
        number = 1 + sum(item.get("type") in _INPUTS for item in items)
        response = {"id": ref.turn_id, "status": "completed", "output": output}
        return Current(response, replace(ref, round=number), waits=bool(waiting_in(output)))

    async def _closing(self, found: Current) -> str:
        """What became of the calls of a round: `open`, `answered` or `cancelled`."""
        items = await self.service.items(found.ref.conversation)
        answers = [item for _, item in answers_to(found.response, items)]
        if _closes(answers):
            return "cancelled"
        return "answered" if answers else "open"

    async def _from_items(self, found: Current) -> Current:
        """The next round from what the conversation holds, where there is no list; its cost is unknown."""
        items = await self.service.items(found.ref.conversation)
        answers = answers_to(found.response, items)
        output = items[answers[-1][0] + 1 :] if answers else []
        response = {"id": found.response.get("id"), "status": "completed", "output": output}
        spent = found.ref.spent + usage_of(found.response)
        here = replace(found.ref, round=found.ref.round + 1, spent=spent)
        return Current(response, here, cancelled=_closes(output), waits=bool(waiting_in(output)))


def _closes(items: Iterable[Mapping[str, Any]]) -> bool:
    """Whether items close calls that nobody would answer."""
    return any(CANCELLED_OUTPUT in (item.get("output"), item.get("reason")) for item in items)
