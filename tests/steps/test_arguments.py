"""What is of the wrong type is refused where it is given, by its name."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from agent_tasks import session as block
from agent_tasks.errors import ConfigurationError
from agent_tasks.steps import Agent, Session, approve, each, parallel, repeat
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import session

AGENT: Any = Agent("helper")
WRONG_AGENTS: dict[str, Any] = {
    "name": {"name": None},
    "instructions": {"instructions": 5},
    "model": {"model": 5},
    "tools": {"tools": print},
    "temperature": {"temperature": "hot"},
    "max_completion_tokens": {"max_completion_tokens": 0},
    "repair_turns": {"repair_turns": 1.5},
    "repair_prompt": {"repair_prompt": "Again!"},
    "fallback_models": {"fallback_models": "gpt-4o"},
    "deadline": {"deadline": None},
}
WRONG_QUESTIONS: dict[str, Any] = {
    "None": ({"prompt": None}, "prompt"),
    "number": ({"prompt": 5}, "prompt"),
    "bytes": ({"prompt": b"x"}, "prompt"),
    "surrogate": ({"prompt": "a\ud800"}, "prompt"),
    "follows": ({"prompt": "?", "follows": "text"}, "follows"),
    "session": ({"prompt": "?", "session": "mine"}, "session"),
    "step": ({"prompt": "?", "step": ""}, "step"),
    "on_text": ({"prompt": "?", "on_text": "print"}, "on_text"),
    "on_invalid": ({"prompt": "?", "on_invalid": "ignore"}, "on_invalid"),
}
WRONG_SESSIONS: dict[str, Any] = {
    "owner empty": {"owner": ""},
    "owner number": {"owner": 5},
    "run empty": {"run": ""},
    "run blank": {"run": " "},
    "run number": {"run": 5},
    "model empty": {"model": ""},
    "ttl number": {"ttl": 3600},
    "project number": {"project": 5},
}


def refused(setting: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match=setting) as caught:
        call()
    assert caught.value.setting == setting


@pytest.mark.parametrize("setting", WRONG_AGENTS)
def test_an_agent_that_is_not_possible_is_refused(setting: str) -> None:
    if setting != "deadline":
        refused(setting, lambda: Agent(**({"name": "x"} | WRONG_AGENTS[setting])))
    refused("deadline", lambda: Agent("x", deadline=0))


@pytest.mark.parametrize("case", WRONG_QUESTIONS)
def test_a_question_that_is_not_possible_is_refused(case: str) -> None:
    arguments, setting = WRONG_QUESTIONS[case]
    refused(setting, lambda: AGENT.ask(**arguments))
    refused(setting, lambda: AGENT.ask_sync(**arguments))
    if case != "on_text":
        refused(setting, lambda: AGENT.stream(**arguments))


@pytest.mark.parametrize("case", WRONG_SESSIONS)
def test_a_session_that_is_not_possible_is_refused(case: str) -> None:
    arguments = {"owner": "w"} | WRONG_SESSIONS[case]
    refused(case.split()[0], lambda: block(**arguments))


async def test_functions_that_are_not_async_are_refused() -> None:
    def blocking(item: object) -> int:
        return 5

    wrong: Any = blocking
    with Session(None, owner="w").entered():
        for call in (
            each(["x"], wrong),
            repeat(wrong, until=bool),
            parallel(wrong(1)),
            each(["x"], 5),  # type: ignore[arg-type]
        ):
            with pytest.raises(ConfigurationError, match="`work`"):
                await call


async def test_what_can_not_be_shown_to_a_person_is_refused() -> None:
    with Session(None, owner="w").entered(), pytest.raises(ConfigurationError, match="`shown`"):
        await approve("Well?", shown=object())


async def test_a_call_gives_its_result_once(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    async with open_workspace(service()) as ws:
        call = AGENT.ask("?", session=session(ws))
        await call
        with pytest.raises(ConfigurationError, match=r"helper\.ask.* second time"):
            await call
        stream = AGENT.stream("?", session=session(ws))
        async with stream:
            [piece async for piece in stream]
        with pytest.raises(ConfigurationError, match="entered once"):
            async with stream:
                pass


def test_python_warns_of_a_call_by_its_name() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        AGENT.ask("?")
        gc.collect()
    # What an earlier test has left open is collected here too, and is not what this one is about.
    told = [str(one.message) for one in seen if one.category is RuntimeWarning]
    assert told == ["coroutine 'Agent.ask' was never awaited"]


class Reading(BaseModel):
    kind: str


def test_tools_are_a_list() -> None:
    for wrong in (print, "print", 5, Reading):
        refused("tools", lambda wrong=wrong: Agent("x", tools=wrong))  # type: ignore[misc]
