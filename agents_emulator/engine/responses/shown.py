"""Items of an answer: what the engine's records look like on the successor's wire.

`outputs` makes them of what is stored, `feed` of events as they happen: both with the functions of this
module, so that a stream and a later answer agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from agents_emulator.engine.responses.ids import made_id
from agents_emulator.store import Record
from agents_emulator.tools.code_interpreter import PREFIX
from agents_emulator.tools.computer_use import COMPUTER_USE

FILE_SEARCH_RESULTS = "file_search_call.results"
CODE_OUTPUTS = "code_interpreter_call.outputs"
_SINGLE = {"mcp": "mcp", "code_interpreter": "ci", "web_search": "ws"}
"""Tools whose call and outcome are one item, with the prefix of its id."""


@dataclass(frozen=True)
class Shown:
    """Of which response items are, and how they are to be shown."""

    response_id: str
    partition: str
    agent_reference: Record | None = None
    include: Sequence[str] = ()
    container_id: str | None = None

    @classmethod
    def of(cls, run: Record) -> Shown:
        """Return how the items of a run are shown."""
        face = run["response"]
        return cls(
            run["id"],
            face["partition"],
            face["agent_reference"],
            tuple(run["include"]),
            run.get("container_id"),
        )

    def item(self, kind: str, prefix: str, created_at: int, made_of: str, fields: Record) -> Record:
        """Return an item, in the recorded key order."""
        body: Record = {"type": kind, "id": made_id(prefix, self.partition, created_at, made_of)}
        if self.agent_reference is not None:
            body["agent_reference"] = self.agent_reference
        return {**body, "response_id": self.response_id, **fields}


@dataclass
class Wording:
    """A text and its annotations, as it grows.

    The engine writes marks of citations into its texts; here a citation is only an annotation at a place.
    """

    shown: Shown
    names: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    annotations: list[Record] = field(default_factory=list)

    def add(self, value: str, annotation: Record | None = None) -> tuple[str, Record | None]:
        """Add a piece, which is the place of an annotation if there is one; returns what is new of both."""
        if annotation is None:
            self.text += value
            return value, None
        place = len(self.text)
        kind = annotation["type"]
        if kind == "file_path":
            self.text += value
            name = unquote(value.removeprefix(PREFIX))
            made = self._of_container(annotation["file_path"]["file_id"], name, place, len(self.text))
        elif kind == "file_citation":
            value, file_id = "", annotation["file_citation"]["file_id"]
            made = {"type": kind, "file_id": file_id, "filename": self.names.get(file_id, ""), "index": place}
        else:
            value, cited = "", annotation["url_citation"]
            made = {"type": kind, "url": cited["url"], "start_index": place, "end_index": place}
            made["title"] = cited["title"]
        self.annotations.append(made)
        return value, made

    def add_image(self, file_id: str) -> Record:
        """Add a picture that code has made: it has no place in the text (recorded)."""
        made = self._of_container(file_id, f"{file_id}.png", 0, 0)
        self.annotations.append(made)
        return made

    def _of_container(self, file_id: str, name: str, start: int, end: int) -> Record:
        return {
            "type": "container_file_citation",
            "container_id": self.shown.container_id,
            "end_index": end,
            "file_id": file_id,
            "filename": name,
            "start_index": start,
        }

    def part(self) -> Record:
        """Return the content part of the text so far."""
        return {
            "type": "output_text",
            "text": self.text,
            "annotations": list(self.annotations),
            "logprobs": [],
        }


def wording_of(shown: Shown, blocks: Sequence[Record], names: Mapping[str, str]) -> Wording:
    """Return the content of one of the engine's messages."""
    wording = Wording(shown, names)
    for block in blocks:
        if block["type"] == "image_file":
            wording.add_image(block["image_file"]["file_id"])
            continue
        value, at = block["text"]["value"], 0
        for annotation in block["text"]["annotations"]:
            wording.add(value[at : annotation["start_index"]])
            wording.add(annotation["text"], annotation)
            at = annotation["end_index"]
        wording.add(value[at:])
    return wording


def message_item(shown: Shown, message: Record, content: Sequence[Record], status: str) -> Record:
    """Return the item of a message of the engine; `message` needs its id and time only."""
    fields = {"role": "assistant", "content": list(content), "status": status}
    return shown.item("message", "msg", message["created_at"], message["id"], fields)


def search_item(shown: Shown, step_id: str, created_at: int, call: Record, query: str) -> Record:
    """Return the item of a file search. Results are shown where `include` asks for them (recorded)."""
    found = [
        {
            "file_id": result["file_id"],
            "filename": result["file_name"],
            "score": result["score"],
            "attributes": result["attributes"],
            "text": "\n".join(part["text"] for part in result.get("content") or []),
        }
        for result in call["file_search"]["results"]
    ]
    fields = {
        "status": "completed",
        "queries": [query] if query else [],
        "results": found if FILE_SEARCH_RESULTS in shown.include else None,
    }
    return shown.item("file_search_call", "fs", created_at, step_id, fields)


def listing_item(shown: Shown, activity: Record, created_at: int) -> Record:
    """Return the item of the tools that an MCP server has."""
    tools = [
        {
            "name": name,
            "description": tool["description"],
            "input_schema": tool["parameters"],
            "annotations": {},
        }
        for name, tool in activity["tools"].items()
    ]
    fields = {"server_label": activity["server_label"], "tools": tools}
    return shown.item("mcp_list_tools", "mcpl", created_at, activity["id"], fields)


def call_item(shown: Shown, work: Record, body: Record, created_at: int) -> Record:
    """Return the item of a call: of a function, of an approval asked for, or of a tool of the service.

    Args:
        shown: how it is shown.
        work: the engine's record of the call (see `engine.toolwork`).
        body: the call as the engine's step has it.
        created_at: time of the step.
    """
    kind, call_id = body["type"], work["id"]
    done = work["state"] == "done"
    if kind == "function":
        fields = {
            "call_id": call_id,
            "name": work["name"],
            "arguments": work["arguments"],
            "status": "completed",
        }
        return shown.item("function_call", "fc", created_at, call_id, fields)
    if kind == COMPUTER_USE:
        details = body[COMPUTER_USE]
        fields = {"call_id": call_id, "action": details["action"], "status": "completed"}
        fields["pending_safety_checks"] = details["pending_safety_checks"]
        return shown.item("computer_call", "cu", created_at, call_id, fields)
    if kind == "mcp":
        return _mcp_item(shown, work, body, created_at)
    status = "completed" if done else "in_progress"
    if kind == "code_interpreter":
        fields = {"status": status, "container_id": shown.container_id, "code": body[kind]["input"]}
        fields["outputs"] = (
            _code_outputs(shown, body[kind]["outputs"]) if CODE_OUTPUTS in shown.include else None
        )
        return shown.item("code_interpreter_call", "ci", created_at, call_id, fields)
    if kind == "web_search":
        action = {"type": "search", "query": _query(work["arguments"])}
        return shown.item("web_search_call", "ws", created_at, call_id, {"status": status, "action": action})
    arguments = work["arguments"]
    fields = {"call_id": call_id, "name": work["name"], "arguments": arguments, "status": "completed"}
    if kind == "azure_function":
        # Recorded: the name stands in the arguments.
        del fields["name"]
        fields["arguments"] = json.dumps(
            {"function_name": work["name"], "function_args": _parsed(arguments)}, separators=(",", ":")
        )
    return shown.item(f"{kind}_call", "fc", created_at, call_id, fields)


def output_item(shown: Shown, work: Record, body: Record, created_at: int) -> Record | None:
    """Return the item of a call's outcome, for the tools that have one of its own."""
    kind = body["type"]
    if work["state"] != "done" or kind in _SINGLE or kind in ("function", COMPUTER_USE):
        return None
    fields = {"call_id": work["id"], "output": work.get("output") or "", "status": "completed"}
    if kind != "azure_function":
        fields = {"name": work["name"], **fields}
    return shown.item(f"{kind}_call_output", "fco", created_at, f"{work['id']}:output", fields)


def _mcp_item(shown: Shown, work: Record, body: Record, created_at: int) -> Record:
    named = {"server_label": body["server_label"], "name": work["name"], "arguments": work["arguments"]}
    if work["state"] == "approval":
        return shown.item("mcp_approval_request", "mcpr", created_at, work["id"], named)
    done = work["state"] == "done"
    fields = {
        "status": "completed" if done else "in_progress",
        "approval_request_id": work.get("approval_request_id"),
        **named,
        "output": work.get("output") if done else None,
        "error": None,
    }
    return shown.item("mcp_call", "mcp", created_at, f"{work['id']}:call", fields)


def _code_outputs(shown: Shown, outputs: Sequence[Record]) -> list[Record]:
    found: list[Record] = []
    for output in outputs:
        if output["type"] == "image":
            file_id = output["image"]["file_id"]
            found.append(
                {"type": "image", "url": f"/containers/{shown.container_id}/files/{file_id}/content"}
            )
        else:
            found.append({"type": "logs", "logs": output["logs"]})
    return found


def _query(arguments: str) -> str:
    parsed = _parsed(arguments)
    return str(parsed.get("query") or "") if isinstance(parsed, dict) else ""


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
