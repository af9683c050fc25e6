"""A new response: what its request says, what it takes from an agent, and what was said before."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from agents_emulator import validation
from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import RESULT_CONTENT
from agents_emulator.engine.newrun import new_run
from agents_emulator.engine.responses.history import (
    approval_requests,
    check_calls,
    find_response,
    items_before,
    previous_not_found,
)
from agents_emulator.engine.responses.ids import new_partition, partition_of, posted_id, response_id
from agents_emulator.engine.responses.items import checked_items, text_item
from agents_emulator.engine.responses.refusals import not_allowed_with_agent
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.responses.agents import resolve
from agents_emulator.responses.containers import container_for
from agents_emulator.responses.conversations import find_conversation, refuse_while_locked
from agents_emulator.responses.definitions import Settings, filled, settings_of
from agents_emulator.responses.tool_shapes import (
    EngineTools,
    engine_choice,
    engine_format,
    engine_tools,
    shown_tools,
)
from agents_emulator.store import CONVERSATION_ITEMS, CONVERSATIONS, RESPONSES, RUNS, Page, Record

OF_THE_AGENT = ("model", "instructions", "tools", "temperature", "top_p", "text", "reasoning")
"""Fields that a request may not carry beside an agent. Reported: `temperature`, `top_p`, `tools`, `text`; the
others are dropped by Microsoft's own client before it sends."""


@dataclass
class Asked:
    """What a request asks for, before anything is looked up.

    Attributes:
        body: the request.
        agent: name of the agent that answers, None if the request itself says what does.
        by_endpoint: whether it came to the endpoint of the agent.
        fault: what a fault plans for it.
        listed_after: seconds until lists show the response.
    """

    body: Record
    agent: str | None
    by_endpoint: bool = False
    fault: Record | None = None
    listed_after: float = 0

    @property
    def background(self) -> bool:
        """Whether it is to be answered at once, and worked on meanwhile."""
        return self.body.get("background") is True

    @property
    def stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.body.get("stream") is True

    @property
    def stored(self) -> bool:
        """Whether the response can be asked for later."""
        return self.body.get("store") is not False


@dataclass(frozen=True)
class Answering:
    """What answers: a definition, of an agent's version or of the request itself.

    Attributes:
        definition: the definition, with structured inputs filled in.
        reference: the version that it is of.
        resolution: how the version was found.
    """

    definition: Record
    reference: Record | None = None
    resolution: str | None = None

    @classmethod
    def of(cls, version: Record, inputs: Any, resolution: str) -> Answering:
        """Return a version of an agent as what answers. Raises for wrong structured inputs."""
        reference = {"type": "agent_reference", "name": version["name"], "version": version["version"]}
        return cls(filled(version["definition"], inputs), reference, resolution)

    @property
    def workflow(self) -> str | None:
        """The YAML, if it is a workflow."""
        is_one = self.reference is not None and self.definition.get("kind") == "workflow"
        return self.definition["workflow"] if is_one else None

    @property
    def settings(self) -> Settings:
        """Model, instructions and tools; a workflow has none of its own."""
        return settings_of(self.definition) if self.workflow is None else Settings("")

    def new_id(self, partition: str, created: int) -> str:
        """Return the id of a response."""
        return response_id(partition, created) if self.workflow is None else posted_id("wfresp", partition)


@dataclass
class Made:
    """A new response: its run, how its agent's version was found, and secrets that are not stored."""

    run: Record
    resolution: str | None = None
    headers: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)


def asked_of(body: Record, endpoint_agent: str | None) -> Asked:
    """Return what a request asks for. Raises the refusals that need no look into the store."""
    reference = body.get("agent_reference")
    agent = endpoint_agent
    if reference is not None:
        if not isinstance(reference, dict) or not isinstance(reference.get("name"), str):
            raise missing_parameter("agent_reference.name")
        if endpoint_agent is not None and reference["name"] != endpoint_agent:
            raise bad_request(
                f"The agent '{reference['name'][:80]}' does not answer at the endpoint of "
                f"'{endpoint_agent}'.",
                param="agent_reference.name",
            )
        agent = reference["name"]
    if agent is not None:
        # Microsoft's agent-framework sends an empty model in the rounds after a function call.
        refused = [name for name in OF_THE_AGENT if body.get(name) is not None and body[name] != ""]
        if refused:
            raise not_allowed_with_agent(refused)
    if body.get("conversation") is not None and body.get("previous_response_id") is not None:
        raise bad_request(
            "Mutually exclusive parameters: 'conversation' and 'previous_response_id'. Give one of them.",
            param="conversation",
            code="mutually_exclusive_parameters",
        )
    if body.get("background") is True and body.get("store") is False:
        raise bad_request(
            "background=true requires store=true",
            param="background",
            code="unsupported_parameter",
        )
    return Asked(body, agent, endpoint_agent is not None)


def add_response(db: sqlite3.Connection, asked: Asked) -> Made:
    """Add a queued response. Raises the service's refusals."""
    answering = _answering(db, asked)
    conversation, previous = _before(db, asked.body)
    partition = _partition(conversation, previous)
    place: Record = {
        "partition": partition,
        "conversation": conversation and conversation["id"],
        "items_until": CONVERSATION_ITEMS.last_sequence(db, conversation["id"]) if conversation else 0,
        "input": _input(asked.body.get("input"), partition),
    }
    made = insert_run(db, asked, answering, place)
    _index(db, asked, made.run, conversation)
    return made


def insert_run(
    db: sqlite3.Connection, asked: Asked, answering: Answering, place: Record, *, depth: int = 0
) -> Made:
    """Add the queued run of a response. Raises the service's refusals.

    Args:
        db: the store, in a transaction.
        asked: what its request asks for.
        answering: what answers.
        place: its `partition`, `conversation`, `items_until` (of what was said there) and `input`.
        depth: how many runs wait for it, one within the other.
    """
    settings, created = answering.settings, lifecycle.now()
    tools = engine_tools(settings.tools)
    face = _face(asked, settings, answering.reference) | place
    identifier = answering.new_id(face["partition"], created)
    draft = {"id": identifier, "response": face}
    before = items_before(db, draft)
    if not before:
        raise missing_parameter("input")
    check_calls(before)
    approved = _approved(before[: len(before) - len(face["input"])], face["input"])
    face["query"] = _last_user_text(before)
    run = new_run(
        *(db, _engine_agent(settings, tools), face["conversation"] or identifier),
        _engine_request(asked.body, settings, tools),
        tool_resources=tools.resources,
        include=[*(asked.body.get("include") or []), RESULT_CONTENT],
        run_ttl=0,
        depth=depth,
        others={
            **draft,
            **workflow_fields(db, answering, face),
            "created_at": created,
            "expires_at": None,
            "container_id": container_for(db, tools.container, before),
            "fault": asked.fault,
        },
    )
    _add_approved(db, run, approved)
    return Made(run, answering.resolution, tools.headers)


def _answering(db: sqlite3.Connection, asked: Asked) -> Answering:
    if asked.agent is None:
        if asked.body.get("structured_inputs"):
            raise bad_request("Only agents have structured inputs.", param="structured_inputs")
        return Answering(asked.body)
    wanted = (asked.body.get("agent_reference") or {}).get("version")
    version, how = resolve(db, asked.agent, wanted, by_endpoint=asked.by_endpoint)
    return Answering.of(version, asked.body.get("structured_inputs"), how)


def workflow_fields(db: sqlite3.Connection, answering: Answering, face: Record) -> Record:
    """Return what the run of a workflow has besides: its YAML, and where the one before it has stopped.

    A workflow that has asked its user for something is taken up again by the next response of the same
    version in the conversation, or after it by `previous_response_id`.
    """
    if answering.workflow is None:
        return {}
    face["output"] = []
    before = _response_before(db, answering, face)
    state = (before or {}).get("workflow", {}).get("state") if before else None
    return {"workflow": {"text": answering.workflow, "state": state if state and state["waiting"] else None}}


def _response_before(db: sqlite3.Connection, answering: Answering, face: Record) -> Record | None:
    reference = answering.reference or {}
    if face["conversation"] is None:
        found = find_response(db, face["previous_response_id"]) if face["previous_response_id"] else None
    else:
        where = {"conversation_id": face["conversation"], "agent_name": reference["name"]}
        rows, _ = RESPONSES.page(db, Page(limit=1), "", where)
        found = find_response(db, rows[0]["id"]) if rows else None
    is_same = found is not None and found["response"]["agent_reference"] == reference
    return found if found is not None and is_same and found["status"] == "completed" else None


def _before(db: sqlite3.Connection, body: Record) -> tuple[Record | None, Record | None]:
    """Return the conversation, or the response before this one."""
    given, previous_id = body.get("conversation"), body.get("previous_response_id")
    if given is not None:
        identifier = given.get("id") if isinstance(given, dict) else given
        if not isinstance(identifier, str):
            raise missing_parameter("conversation.id")
        conversation = find_conversation(db, identifier, "conversation")
        refuse_while_locked(db, identifier)
        return conversation, None
    if previous_id is None:
        return None, None
    previous = find_response(db, previous_id)
    if previous is None:
        raise previous_not_found(previous_id)
    if previous["status"] in lifecycle.ACTIVE:
        raise bad_request(
            f"Previous response with id '{previous_id}' is still {previous['status']}. Wait until it has "
            "ended.",
            param="previous_response_id",
        )
    return None, previous


def _partition(conversation: Record | None, previous: Record | None) -> str:
    shared = conversation or previous
    return partition_of(shared["id"]) if shared is not None else new_partition()


def _input(given: Any, partition: str) -> list[Record]:
    if given is None:
        return []
    if isinstance(given, str):
        return [text_item(given, partition)]
    return checked_items(given, partition, "input")


def _face(asked: Asked, settings: Settings, reference: Record | None) -> Record:
    body = asked.body
    return {
        "agent_reference": reference,
        "background": asked.background,
        "stream": asked.stream,
        "store": asked.stored,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": settings.reasoning or {"effort": None, "summary": None},
        "text": settings.shown_text,
        "tools": shown_tools(settings.tools),
        "tool_choice": body.get("tool_choice") or settings.tool_choice or "auto",
        "truncation": body.get("truncation") or "disabled",
        "instructions": settings.instructions,
        "max_tool_calls": body.get("max_tool_calls"),
    }


def _engine_agent(settings: Settings, tools: EngineTools) -> Record:
    return {
        "id": None,
        "model": settings.model,
        "instructions": settings.instructions,
        "tools": tools.tools,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "response_format": engine_format(settings.text),
        "tool_resources": {},
    }


def _engine_request(body: Record, settings: Settings, tools: EngineTools) -> Record:
    return {
        "metadata": body.get("metadata"),
        "max_completion_tokens": validation.check_count(body, "max_output_tokens"),
        "parallel_tool_calls": body.get("parallel_tool_calls"),
        "tool_choice": engine_choice(body.get("tool_choice") or settings.tool_choice, tools.tools),
    }


def _last_user_text(items: list[Record]) -> str:
    for item in reversed(items):
        body = item["body"]
        if body["type"] == "message" and body["role"] == "user":
            return "\n".join(part["text"] for part in body["content"] if part.get("text"))
    return ""


def _approved(before: list[Record], given: list[Record]) -> list[tuple[str, Record]]:
    """Return the calls that the input approves, each behind the id of its request."""
    waiting = approval_requests(before)
    approved: list[tuple[str, Record]] = []
    for item in given:
        body = item["body"]
        if body["type"] != "mcp_approval_response":
            continue
        request = waiting.pop(body["approval_request_id"], None)
        if request is None:
            raise bad_request(
                f"No approval request found for approval response with approval_request_id "
                f"{body['approval_request_id']}.",
                param="input",
            )
        if body["approve"]:
            approved.append((request["body"]["id"], request))
    return approved


def _add_approved(db: sqlite3.Connection, run: Record, approved: list[tuple[str, Record]]) -> None:
    """Add the step of approved calls: the run begins by making them."""
    work: list[Record] = []
    bodies: list[Record] = []
    for request_id, request in approved:
        asked = request["body"]
        call = (request.get("engine") or {}).get("call") or {"id": request_id}
        place = next(
            (
                index
                for index, tool in enumerate(run["tools"])
                if tool["type"] == "mcp" and tool["server_label"] == asked["server_label"]
            ),
            None,
        )
        if place is None:
            raise bad_request(
                f"The approved call needs the MCP server '{asked['server_label']}', which is none of the "
                "tools.",
                param="tools",
            )
        named = {"name": asked["name"], "arguments": asked["arguments"]}
        work.append(
            {"id": call["id"], "tool": place, **named, "state": "ready", "approval_request_id": request_id}
        )
        bodies.append(
            {"id": call["id"], "type": "mcp", **named, "server_label": asked["server_label"], "output": ""}
        )
    if work:
        lifecycle.open_step(db, run, "tool_calls", bodies, None, work)


def _index(db: sqlite3.Connection, asked: Asked, run: Record, conversation: Record | None) -> None:
    """Add what lists are made of, and note whose conversation it is."""
    reference = run["response"]["agent_reference"]
    name = reference and reference["name"]
    if conversation is not None and name and not conversation["agent_name"]:
        CONVERSATIONS.put(db, {**conversation, "agent_name": name})
    if not asked.stored:
        return
    row = {
        "id": run["id"],
        "thread_id": run["thread_id"],
        "conversation_id": run["response"]["conversation"],
        "agent_name": name,
        "agent_id": reference and f"{name}:{reference['version']}",
        "listed_at": run["created_at"] + asked.listed_after,
    }
    RESPONSES.insert(db, row)


def forget_response(db: sqlite3.Connection, run: Record) -> None:
    """Remove a response that was not to be stored."""
    RUNS.delete(db, run["id"], run["thread_id"])
