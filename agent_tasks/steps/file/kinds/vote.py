"""`vote`: several agents, or samples of one, answer the same; the majority or another agent decides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, model_validator

from agent_tasks.pipeline.yaml_source import Location
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.kinds.agent import invalid, prompt_of, value_of
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.running import StepContext, together
from agent_tasks.steps.file.sections import FileSection, StepId, StepSection
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import INTEGER, ValueType, join, list_of, mapping

MAJORITY = "majority"
DECIDE_PROMPT = (
    "Several answers were given to the same question. Decide, and give the answer that is right.\n"
    "{% for answer in answers %}\nAnswer {{ loop.index }}: {{ answer | json }}\n{% endfor %}"
)


class Voters(FileSection):
    """Who votes."""

    agent: StepId | None = None
    """One agent, asked `samples` times."""
    samples: int = Field(3, ge=2, le=25)
    agents: tuple[StepId, ...] | None = Field(None, min_length=2, max_length=25)
    """Several agents, asked once each."""
    by: str | None = None
    """The field of their answers that counts; default the whole answer."""
    decide: StepId = MAJORITY
    """``majority``: more than half, else the document needs review; or an agent that gets all answers."""
    at_once: int = Field(8, ge=1, le=32)
    """Voters at a time."""

    @model_validator(mode="after")
    def _one_of(self) -> Voters:
        if (self.agent is None) == (self.agents is None):
            raise ValueError("names an `agent`, with `samples`, or `agents`, one of the two")
        return self


class VoteSection(StepSection):
    """A step in which agents vote."""

    vote: Voters
    prompt: str | None = None
    """Template of the turns; default the agents' own."""
    decide_prompt: str = DECIDE_PROMPT
    """Template for the agent that decides; `answers` is the list of answers."""


@dataclass(frozen=True, kw_only=True)
class VoteStep(Step):
    """Has agents vote."""

    kind: ClassVar[str] = "vote"

    voters: Sequence[tuple[FileAgent, Template]]
    by: str | None
    decider: FileAgent | None
    decide_prompt: Template | None
    at_once: int

    @property
    def agents(self) -> tuple[FileAgent, ...]:
        """The voters, each once, and who decides."""
        found = {agent.key: agent for agent, _ in self.voters}
        return (*found.values(), *((self.decider,) if self.decider is not None else ()))

    @property
    def reads_document(self) -> bool:
        """Whether the whole text goes into a prompt."""
        return any(prompt.prompt.reads_all for _, prompt in self.voters)

    def facts(self) -> Mapping[str, Any]:
        """Who votes on what, and how it is decided."""
        return {
            "voters": [{"agent": agent.facts(), "prompt": prompt.source} for agent, prompt in self.voters],
            "by": self.by,
            "decider": self.decider.facts() if self.decider is not None else None,
            "decide_prompt": self.decide_prompt.source if self.decide_prompt is not None else None,
        }

    def summary(self) -> str:
        """Who votes, and who decides."""
        names = list(dict.fromkeys(agent.key for agent, _ in self.voters))
        who = f"{len(self.voters)} x {names[0]}" if len(names) == 1 else ", ".join(names)
        return f"{who}; {self.decider.key if self.decider is not None else MAJORITY} decides"

    async def run(self, context: StepContext) -> Any:
        """Have all vote, and decide."""
        votes = await together(
            (
                self._vote(context, number, agent, prompt)
                for number, (agent, prompt) in enumerate(self.voters, 1)
            ),
            self.at_once,
        )
        valid = [vote for vote in votes if vote is not None]
        if not valid:
            raise context.stop(f"{context.name}: none of {len(votes)} answers is valid")
        counted = [vote.get(self.by) if self.by is not None else vote for vote in valid]
        counts = Counter(_countable(value) for value in counted)
        first, agreed = counts.most_common(1)[0]
        result = {"agreed": agreed, "of": len(votes), "answers": valid}
        if self.decider is not None and self.decide_prompt is not None:
            told = self.decide_prompt.render({**context.values, "answers": valid})
            answer = await context.ask(self.decider, told, turn="decide")
            return {"value": value_of(self.decider, answer, context), **result}
        if agreed * 2 <= len(votes):
            said = ", ".join(f"{_shown(value)}: {count}" for value, count in counts.most_common(5))
            context.needs_review(f"{context.name}: there is no majority among {len(votes)} ({said})")
            return {"value": None, **result}
        return {"value": next(value for value in counted if _countable(value) == first), **result}

    async def _vote(self, context: StepContext, number: int, agent: FileAgent, prompt: Template) -> Any:
        answer = await context.ask(agent, prompt_of(prompt, agent, context), turn=str(number))
        if answer.errors:
            context.needs_review(invalid(f"{context.name}/{number}", answer))
            return None
        return agent.answer.as_json(answer.value)


def _countable(value: Any) -> str:
    """Equal for answers that are the same; of text, blanks and case do not matter."""
    text = " ".join(value.split()).casefold() if isinstance(value, str) else value
    return json.dumps(text, sort_keys=True, ensure_ascii=False)


def _shown(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:40]}..."


class _Vote:
    keyword = "vote"
    section = VoteSection

    def default_id(self, section: VoteSection) -> str:
        return "vote"

    def plan(self, section: VoteSection, load: LoadContext) -> Step | None:
        chosen = section.vote
        named: list[tuple[Location, str]]
        if chosen.agents is not None:
            named = [(("vote", "agents", n), name) for n, name in enumerate(chosen.agents)]
        else:
            named = [(("vote", "agent"), str(chosen.agent))]
        agents = [load.agent(key, name) for key, name in named]
        known = [agent for agent in agents if agent is not None]
        prompts = [load.agent_prompt(agent, section.prompt) for agent in known]
        decider = load.agent(("vote", "decide"), chosen.decide) if chosen.decide != MAJORITY else None
        found = [pair for pair in zip(known, prompts, strict=True) if pair[1] is not None]
        if len(found) < len(agents) or (chosen.decide != MAJORITY and decider is None):
            return None
        kind = known[0].answer.type
        for agent in known[1:]:
            kind = join(kind, agent.answer.type)
        value = self._counted(chosen, kind, load)
        decide_prompt = None
        if decider is not None:
            decide_prompt = load.template("decide_prompt", section.decide_prompt, {"answers": list_of(kind)})
            value = decider.answer.type
        if value is None or (decider is not None and decide_prompt is None):
            return None
        voters = [(agent, prompt) for agent, prompt in found if prompt is not None]
        if chosen.agent is not None:
            voters *= chosen.samples
        return VoteStep(
            head=load.head,
            type=mapping({"value": value, "agreed": INTEGER, "of": INTEGER, "answers": list_of(kind)}),
            voters=voters,
            by=chosen.by,
            decider=decider,
            decide_prompt=decide_prompt,
            at_once=chosen.at_once,
        )

    def _counted(self, chosen: Voters, kind: ValueType, load: LoadContext) -> ValueType | None:
        """The type of what is counted."""
        if chosen.by is None:
            return kind.or_null()
        try:
            return kind.attribute(chosen.by, "their answer").or_null()
        except LookupError as error:
            load.problem(("vote", "by"), f"{error.args[0].rstrip('.')}.", "Name a field of the answers.")
            return None


VOTE = _Vote()
