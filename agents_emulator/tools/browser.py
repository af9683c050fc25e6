"""Browser automation: the run's model operates a Chromium, one action at a time.

The real tool drives a browser of an Azure Playwright workspace; here it is one of this machine (see
`chromium`), and the definition's connection is not used. Within the call the model is asked again and again
for its next action, with the page as text; the actions are functions offered to it alone there: open, click,
type, read, done. Each is a step of the call, in the published shape.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from agents_emulator.models.base import ChatMessage, ChatRequest, ToolCall, ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.base import (
    CallContext,
    Tool,
    ToolCallResult,
    ToolError,
    ToolSetupError,
    error_output,
    json_arguments,
    shortened,
    text_argument,
)
from agents_emulator.tools.chromium import (
    Browser,
    BrowserError,
    MissingBrowserError,
    browsing,
    find_chromium,
)

ACTION_TOKENS = 600
MAX_SHOWN = 2000
"""Characters of a text in a step."""
INSTRUCTIONS = (
    "You operate a web browser for a task. Call one function at a time; you then see the page. Elements have "
    "numbers. When the task is done, or cannot be done, call done with what you found out."
)
STARTED = "The browser was started."


def _spec(name: str, description: str, **properties: Record) -> ToolSpec:
    required = [key for key, schema in properties.items() if "default" not in schema]
    parameters = {"type": "object", "properties": properties, "required": required}
    return ToolSpec(name, description, {**parameters, "additionalProperties": False})


_NUMBER = {"type": "integer", "description": "Number of the element"}
ACTIONS = (
    _spec("open", "Opens an address.", url={"type": "string"}),
    _spec("click", "Clicks on an element.", element=_NUMBER),
    _spec(
        "type",
        "Types into a field, or chooses in a list.",
        element=_NUMBER,
        text={"type": "string"},
        submit={"type": "boolean", "description": "Press enter afterwards", "default": False},
    ),
    _spec(
        "read",
        "Reads the page's text from a character on.",
        start={"type": "integer", "default": 0},
    ),
    _spec("done", "Ends the task.", result={"type": "string", "description": "What was found out"}),
)


class BrowserAutomation(Tool):
    """`browser_automation`: one function, `browser_automation(query)`."""

    type = "browser_automation"
    _executable: Path

    @override
    async def prepare(self, steps: Sequence[Record]) -> list[Record]:
        try:
            self._executable = await find_chromium(self.services.settings.browser)
        except MissingBrowserError as error:
            raise ToolSetupError(
                "unsupported_tool",
                f"For the tool '{self.type}' the local service drives a Chromium of this machine: {error}.",
            ) from None
        return []

    @override
    def specs(self) -> list[ToolSpec]:
        query = {"type": "string", "description": "What to do, with the address to begin at"}
        parameters = {"type": "object", "properties": {"query": query}, "required": ["query"]}
        return [ToolSpec(self.type, "Carries out a task in a web browser.", parameters)]

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        details = {"input": _task_of(arguments), "output": "", "steps": []}
        return {"id": call_id, "type": self.type, self.type: details}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        task = text_argument(json_arguments(call), "query", "input", "task")
        settings = self.services.settings.browser
        steps: list[Record] = []
        try:
            async with (
                self.services.processes,
                asyncio.timeout(settings.seconds),
                browsing(self._executable, settings) as browser,
            ):
                output = await _work(browser, call, task, steps, settings.max_steps)
        except TimeoutError:
            output = error_output(f"The task took more than {settings.seconds:g} s.")
        except (BrowserError, ToolError) as error:
            output = error_output(str(error))
        return self._result(call.body, output, steps)

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        return self._result(body, error_output(message), [])

    def _result(self, body: Record, output: str, steps: list[Record]) -> ToolCallResult:
        details = {"input": body[self.type]["input"], "output": output, "steps": steps}
        finished = {**body, self.type: details}
        return ToolCallResult(output, finished, [finished])


async def _work(browser: Browser, call: CallContext, task: str, steps: list[Record], max_steps: int) -> str:
    """Let the model act until it is done; returns what it found out. Each action is added to `steps`."""
    messages = [ChatMessage("system", INSTRUCTIONS), ChatMessage("user", task)]
    outcome = STARTED
    for _ in range(max_steps):
        answer = await call.ask(
            ChatRequest(
                "",
                tuple(messages),
                tools=ACTIONS,
                tool_choice="required",
                max_tokens=ACTION_TOKENS,
                parallel_tool_calls=False,
            )
        )
        # A model that answers instead of acting has nothing more to do.
        done = json.dumps({"result": answer.text.strip()})
        action = answer.tool_calls[0] if answer.tool_calls else ToolCall("", "done", done)
        arguments = _parsed(action.arguments)
        steps.append(
            {
                "last_step_result": outcome[:MAX_SHOWN],
                "current_state": (await _state(browser))[:MAX_SHOWN],
                "next_step": f"{action.name} {json.dumps(arguments, ensure_ascii=False)}"[:MAX_SHOWN],
            }
        )
        if action.name == "done":
            return shortened(str(arguments.get("result", "")))
        outcome, page = await _acted(browser, action.name, arguments)
        messages = _without_pages(messages)
        messages.append(ChatMessage("assistant", "", tool_calls=(action,)))
        messages.append(
            ChatMessage("tool", f"{outcome}\n\n{page}".strip(), tool_call_id=action.id, name=action.name)
        )
    raise BrowserError(f"The task was not done after {max_steps} steps.")


async def _acted(browser: Browser, name: str, arguments: Record) -> tuple[str, str]:
    """Carry out an action; returns how it went and the page afterwards."""
    start = 0
    browser.refused.clear()
    try:
        if name == "open":
            await browser.open(_text(arguments, "url"))
            outcome = "The page was opened."
        elif name == "click":
            await browser.click(_number(arguments, "element"))
            outcome = "The element was clicked."
        elif name == "type":
            submit = arguments.get("submit") is True
            await browser.type(_number(arguments, "element"), _text(arguments, "text"), submit=submit)
            outcome = "The text was typed."
        elif name == "read":
            start = max(0, _number(arguments, "start")) if "start" in arguments else 0
            outcome = "The page was read."
        else:
            raise BrowserError(f"There is no function {name}.")
    except BrowserError as error:
        outcome = f"Failed: {error}"
    if browser.refused:
        outcome += f" Not allowed, so not loaded: {', '.join(dict.fromkeys(browser.refused[:5]))}."
    try:
        return outcome, await browser.view(start)
    except BrowserError as error:
        return outcome, f"The page cannot be read: {error}"


def _without_pages(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the conversation with only the outcomes of earlier actions: the page has changed since."""
    return [
        ChatMessage("tool", m.content.partition("\n\n")[0], tool_call_id=m.tool_call_id, name=m.name)
        if m.role == "tool"
        else m
        for m in messages
    ]


async def _state(browser: Browser) -> str:
    try:
        return await browser.state()
    except BrowserError as error:
        return str(error)


def _parsed(arguments: str) -> Record:
    try:
        parsed: Any = json.loads(arguments or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _text(arguments: Record, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise BrowserError(f"The argument '{name}' must be a text.")
    return value


def _number(arguments: Record, name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BrowserError(f"The argument '{name}' must be a whole number.")
    return value


def _task_of(arguments: str) -> str:
    task = next((value for value in _parsed(arguments).values() if isinstance(value, str)), None)
    return arguments if task is None else task
