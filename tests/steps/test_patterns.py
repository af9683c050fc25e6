"""Patterns have their steps named by place, so that what was done is not done again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from agent_tasks.errors import ConfigurationError
from agent_tasks.steps import Agent, Answer, each, hand_off, parallel, repeat, vote
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import says, session


class Verdict(BaseModel):
    approved: bool


async def test_parallel_and_each_keep_the_order(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "{{ message }}!"}}})
    agent = Agent("echo")
    async with open_workspace(running) as ws:
        for is_again in (False, True):
            with session(ws).entered():
                one, two = await parallel(agent.ask("one"), agent.ask("two"))
                many = await each(["a", "b", "c"], agent.ask, at_most=2)
            assert [one.value, two.value, *(answer.value for answer in many)] == [
                "one!",
                "two!",
                "a!",
                "b!",
                "c!",
            ]
            assert one.reused is is_again
            assert [answer.step for answer in many] == ["each/0/echo", "each/1/echo", "each/2/echo"]
    assert len(running.requests("runs.create_thread_and_run")) == 5


async def test_all_come_to_their_end_where_one_fails() -> None:
    ended: list[str] = []

    async def works() -> None:
        ended.append("works")

    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await parallel(fails(), works())
    assert ended == ["works"]


async def test_repeat_ends_when_it_will_do(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service(rules=says('{"approved": false}', '{"approved": true}'))
    reviewer = Agent("reviewer", answer=Verdict)
    before: list[Answer[Verdict] | None] = []

    async def review(last: Answer[Verdict] | None) -> Answer[Verdict]:
        before.append(last)
        return await reviewer.ask("Is it good?")

    async with open_workspace(running) as ws:
        with session(ws).entered():
            last = await repeat(review, until=lambda answer: answer.value.approved, at_most=5)
            bad = await repeat(review, until=lambda answer: False, at_most=2, name="never")
    assert last.value.approved
    assert last.step == "repeat/2/reviewer"
    assert before[0] is None
    assert before[1] is not None
    assert bad.step == "never/2/reviewer"


async def test_most_votes_win(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service(rules=says('{"approved": false}', '{"approved": true}', '{"approved": true}'))
    async with open_workspace(running) as ws:
        with session(ws).entered():
            outcome = await vote(Agent("judge", answer=Verdict), "Guilty?", samples=3, at_most=1)
    assert outcome.value == Verdict(approved=True)
    assert (outcome.votes, outcome.is_unanimous) == (2, False)


async def test_a_conversation_is_handed_over(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    def to(name: str | None, answer: str | None) -> dict[str, Any]:
        return {"reply": {"json": {"hand_to": name, "answer": answer}}}

    rules = {
        "rules": [
            {"when": {"instructions": "You sort"}, **to("billing", None)},
            {"when": {"instructions": "You bill"}, **to(None, "It is paid.")},
            {"when": {"instructions": "You loop"}, **to("triage", None)},
        ]
    }
    running = service(rules=rules)
    triage = Agent("triage", instructions="You sort.")
    billing, looping = Agent("billing", instructions="You bill."), Agent("billing", instructions="You loop.")
    async with open_workspace(running) as ws:
        with session(ws).entered():
            done = await hand_off(triage, "Is it paid?", among=[billing, Agent("legal")])
            endless = await hand_off(triage, "Well?", among=[looping], at_most=3, name="endless")
        with pytest.raises(ConfigurationError, match="different names"), session(ws).entered():
            await hand_off(triage, "?", among=[triage])
    assert (done.value, done.path, done.is_done) == ("It is paid.", ["triage", "billing"], True)
    assert done.answers[0].conversation == done.answers[1].conversation
    assert (endless.path, endless.is_done) == (["triage", "billing", "triage"], False)


async def test_bounds_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="at_most"):
        await each([1], parallel, at_most=0)
