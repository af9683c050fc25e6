"""What the tests of tools share: a service whose scripted model calls the tool that a message names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agents_emulator.service import ServiceConfig
from agents_emulator.tools.sandbox import Limits
from agents_emulator.tools.settings import ToolSettings
from tests.emulator.helpers import Json, get, post, turn, wait_run
from tests.support.service import RunningService, start_in_thread, write_rules

LIMITS = Limits(cpu_seconds=2, wall_seconds=15.0, memory_bytes=1024**3, file_bytes=8 * 1024**2)


def rules_for(*names: str, answer: str = "{{ tool_results[-1] }}") -> Json:
    """Rules by which a message `call NAME {JSON}` makes the model call one of these functions."""
    calls = [
        {
            "when": {"message": rf"(?s)^call {name} (?P<arguments>.*)", "tool_results": False},
            "reply": {"tool_calls": [{"name": name, "arguments": "{{ groups.arguments }}"}]},
        }
        for name in names
    ]
    answers = [{"when": {"tool_results": True}, "reply": {"text": answer}}]
    return {"rules": [*calls, *answers], "default": {"reply": {"text": "Nothing to do."}}}


class Turns:
    """Turns of one agent over HTTP."""

    def __init__(self, client: httpx.Client, agent_id: str) -> None:
        self.client = client
        self.agent_id = agent_id
        self.run: Json = {}

    def call(self, name: str, arguments: Any, **fields: Any) -> Json:
        """Have the model call a function in a new thread; returns the tool call of the step."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        run = post(self.client, "/threads/runs", turn(self.agent_id, f"call {name} {text}", **fields))
        self.run = wait_run(self.client, run)
        return self.tool_call()

    def again(self, name: str, arguments: Any, **fields: Any) -> Json:
        """The same in the thread of the last turn."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        thread = f"/threads/{self.run['thread_id']}"
        post(self.client, f"{thread}/messages", {"role": "user", "content": f"call {name} {text}", **fields})
        run = post(self.client, f"{thread}/runs", {"assistant_id": self.agent_id})
        self.run = wait_run(self.client, run)
        return self.tool_call()

    @property
    def path(self) -> str:
        """Path of the last run."""
        return f"/threads/{self.run['thread_id']}/runs/{self.run['id']}"

    def steps(self) -> list[Json]:
        """Steps of the last run, oldest first."""
        steps: list[Json] = get(self.client, f"{self.path}/steps", order="asc")["data"]
        return steps

    def tool_call(self) -> Json:
        """The first tool call of the last run."""
        assert self.run["status"] in ("completed", "requires_action"), self.run["last_error"]
        found: Json = next(s for s in self.steps() if s["type"] == "tool_calls")["step_details"][
            "tool_calls"
        ][0]
        return found

    def answer(self) -> Json:
        """The newest message."""
        message: Json = get(self.client, f"/threads/{self.run['thread_id']}/messages")["data"][0]
        return message

    def answer_text(self) -> str:
        """The text of the newest message."""
        blocks = [block for block in self.answer()["content"] if block["type"] == "text"]
        text: str = blocks[0]["text"]["value"]
        return text


Start = Callable[..., RunningService]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Starts services for a module; `settings` are those of the tools."""
    started: list[RunningService] = []

    def go(rules: Json, **settings: Any) -> RunningService:
        folder = tmp_path_factory.mktemp("service")
        chosen = ToolSettings(**{"interpreter": LIMITS, **settings})
        running = start_in_thread(folder / "data", write_rules(folder, rules), ServiceConfig(tools=chosen))
        started.append(running)
        return running

    yield go
    for running in started:
        running.stop()


def write_yaml(path: Path, value: Any) -> Path:
    """Write a YAML file."""
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path
