"""How far a workflow has come: its variables, its place in the program, and the items of its response.

All of it is JSON in the run's record, committed after each action, so that an interrupted workflow goes on
behind the last action that it has carried out.
"""

from __future__ import annotations

import copy
from typing import Any

from agents_emulator.engine.broker import Event
from agents_emulator.engine.responses.feed import ITEM_CLOSED, ITEM_OPENED, ITEM_SAID
from agents_emulator.engine.responses.ids import posted_id
from agents_emulator.store import Record
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.expressions import Variables
from agents_emulator.workflows.program import Action, Program
from agents_emulator.workflows.values import Value, message, size_of

MAX_VARIABLES = 4_000_000
"""Characters that the variables of a workflow hold at most."""
_NEW: Record = {
    "at": 0,
    "actions": 0,
    "variables": {"Local": {}, "Global": {}},
    "loops": {},
    "asked": {},
    "said": [],
    "open": None,
    "child": None,
    "waiting": None,
}


class Progress:
    """Where the workflow of one run stands.

    Attributes:
        run: the run, as it is to be stored.
        program: what it carries out.
        events: what is to be told when it was committed.
    """

    def __init__(self, run: Record, program: Program, history: list[Record]) -> None:
        self.run = run
        self.program = program
        self.events: list[Event] = []
        self._history = history
        kept = run["workflow"]["state"]
        self._is_answered = bool(kept and kept["waiting"]) and "begun" not in run["workflow"]
        state = copy.deepcopy(kept) if kept is not None else {**copy.deepcopy(_NEW), "before": program.id}
        if self._is_answered:
            # A response of its own: what was said before is in the conversation.
            state |= {"actions": 0, "said": [], "open": None}
        self.state: Record = state
        run["workflow"]["begun"] = True

    @property
    def conversation(self) -> str:
        """Id of the conversation that the response is in; of none that is stored, if it is in none."""
        face = self.run["response"]
        return str(face["conversation"] or f"conv_{face['partition']}00{self.run['id'][-32:]}")

    @property
    def answer(self) -> Record:
        """The newest message of the user, as a message of a workflow."""
        for item in reversed(self._history):
            body = item["body"]
            if body["type"] == "message" and body["role"] == "user":
                text = "\n".join(part["text"] for part in body["content"] if part.get("text"))
                return message("user", text, item["id"])
        return message("user", "")

    @property
    def spoken(self) -> list[Record]:
        """All items of the response's own conversation, with what was said in this response."""
        return [*self._history, *self.state["said"]]

    def variables(self) -> Variables:
        """Return what expressions may ask for."""
        last = self.answer
        own = self.conversation
        conversation = {"Id": own, "LocalTimeZone": "UTC", "LocalTimeZoneOffset": 0, "InTestMode": False}
        system = {
            "Activity": {},
            "Bot": {},
            "Conversation": conversation,
            "ConversationId": own,
            "InternalId": self.run["id"],
            "LastMessage": last,
            "LastMessageId": last["Id"],
            "LastMessageText": last["Text"],
            "Recognizer": {"Id": None, "Text": None},
            "User": {"Language": "en"},
            "UserLanguage": "en",
        }
        return {**self.state["variables"], "System": system}

    def value(self, formula: Any) -> Value:
        """Evaluate a formula or template; None gives blank."""
        return None if formula is None else formula.evaluate(self.variables())

    def assign(self, path: tuple[str, str] | None, value: Value) -> None:
        """Set a variable, if there is one; blank removes it. Raises `WorkflowError` for too much."""
        if path is None:
            return
        scope, name = path
        if value is None:
            self.state["variables"][scope].pop(name, None)
            return
        self.state["variables"][scope][name] = copy.deepcopy(value)
        if size_of(self.state["variables"]) > MAX_VARIABLES:
            raise WorkflowError(f"its variables hold more than {MAX_VARIABLES} characters")

    def count(self) -> None:
        """Count a step. Raises `WorkflowError` for one too many."""
        self.state["actions"] += 1
        if self.state["actions"] > self.program.max_actions:
            raise WorkflowError(
                f"the workflow has taken {self.program.max_actions} steps and goes on; a loop without end?"
            )

    def go(self, step: int, before: str = "") -> None:
        """Have the step of this number carried out next, after an action of this id."""
        self.state["at"] = step
        if before:
            self.state["before"] = before

    # -- items

    @property
    def _output(self) -> list[Record]:
        output: list[Record] = self.run["response"]["output"]
        return output

    def open_item(self, action: Action) -> None:
        """Begin the item of an action, unless it was begun before the service was restarted."""
        if self.state["open"] is not None:
            return
        fields = {
            "kind": action.kind,
            "action_id": action.id,
            "parent_action_id": action.parent,
            "previous_action_id": self.state["before"],
            "status": "in_progress",
        }
        body = self._item("workflow_action", "wfa", fields)
        self.state["open"] = len(self._output)
        self._output.append({"id": body["id"], "body": body})
        self.events.append(Event(ITEM_OPENED, dict(body)))

    def close_item(self, status: str = "completed") -> None:
        """End the item of an action, if one is open."""
        if self.state["open"] is None:
            return
        body = self._output[self.state["open"]]["body"]
        body["status"] = status
        self.state["open"] = None
        self.events.append(Event(ITEM_CLOSED, dict(body)))

    def say(self, content: list[Record]) -> None:
        """Add a message to the response."""
        fields = {"role": "assistant", "content": content, "status": "completed"}
        body = self._item("message", "msg", fields)
        self._output.append({"id": body["id"], "body": body})
        self.state["said"].append({"id": body["id"], "body": body})
        self.events.append(Event(ITEM_SAID, body))

    def say_text(self, text: str) -> None:
        """Add a message of plain text to the response; an empty one says nothing."""
        if text.strip():
            self.say([{"type": "output_text", "text": text.strip(), "annotations": []}])

    def _item(self, kind: str, prefix: str, fields: Record) -> Record:
        face = self.run["response"]
        return {
            "type": kind,
            "id": posted_id(prefix, face["partition"]),
            "agent_reference": face["agent_reference"],
            "response_id": self.run["id"],
            **fields,
        }

    def take_up(self) -> int | None:
        """Return how often was asked already what this response answers; None if it answers nothing."""
        if not self._is_answered:
            return None
        self._is_answered = False
        tries: int = self.state["waiting"]["tries"]
        self.state["waiting"] = None
        return tries

    def kept(self, stored: Record) -> Record:
        """Return the stored run with what has come of it."""
        stored["workflow"] = {**self.run["workflow"], "state": self.state}
        stored["response"] = self.run["response"]
        return stored
