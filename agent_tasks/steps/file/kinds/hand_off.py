"""`hand_off`: an agent answers, or hands the conversation over to another one of a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema
from agent_tasks.steps.answer_types import AnswerType
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.kinds.agent import invalid, prompt_of
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.running import StepContext
from agent_tasks.steps.file.sections import FileSection, StepId, StepSection
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import TEXT, ValueType, join, list_of, mapping

NEXT_PROMPT = "The conversation was handed over to you. Answer, or hand it over to somebody who can."
ANSWER, NEXT = "answer", "hand_off_to"


class HandOver(FileSection):
    """Among whom a conversation goes."""

    first: StepId
    """The agent that begins."""
    among: dict[StepId, str] | tuple[StepId, ...]
    """The agents that may take over; as a mapping, with what each is for."""
    at_most: int = Field(4, ge=1, le=20)
    """Agents that are asked, the first one included."""


class HandOffSection(StepSection):
    """A step in which agents hand over."""

    hand_off: HandOver
    prompt: str | None = None
    """Template of the first turn; default that of the first agent."""
    next_prompt: str = NEXT_PROMPT
    """Template of the turn of each agent that takes over, in the same conversation."""


@dataclass(frozen=True, kw_only=True)
class HandOffStep(Step):
    """Lets agents hand a conversation over."""

    kind: ClassVar[str] = "hand_off"

    first: FileAgent
    among: Mapping[str, FileAgent]
    about: Mapping[str, str]
    at_most: int
    prompt: Template
    next_prompt: Template

    @property
    def agents(self) -> tuple[FileAgent, ...]:
        """All that may be asked."""
        return tuple({agent.key: agent for agent in (self.first, *self.among.values())}.values())

    @property
    def reads_document(self) -> bool:
        """Whether the whole text goes into a prompt."""
        return self.prompt.prompt.reads_all or self.next_prompt.prompt.reads_all

    def facts(self) -> Mapping[str, Any]:
        """Who may be asked what."""
        return {
            "first": self.first.facts(),
            "among": {name: agent.facts() for name, agent in self.among.items()},
            "about": dict(self.about),
            "at_most": self.at_most,
            "prompt": self.prompt.source,
            "next_prompt": self.next_prompt.source,
        }

    def summary(self) -> str:
        """Who may be asked."""
        return f"{self.first.key}, then {' or '.join(self.among)}; at most {self.at_most}"

    async def run(self, context: StepContext) -> Any:
        """Ask one after the other until one answers itself."""
        agent, prompt = self.first, prompt_of(self.prompt, self.first, context)
        asked = [agent.key]
        while True:
            follows = context.given[0] if context.given else None
            answer = await context.ask(
                agent, prompt, follows=follows, turn=str(len(asked)), answer=self._answer(agent)
            )
            context.answered(answer)
            if answer.errors:
                raise context.stop(invalid(f"{context.name} ({agent.key})", answer))
            chosen = answer.value[NEXT]
            if chosen is None:
                return {"agent": agent.key, "answer": answer.value[ANSWER], "asked": asked}
            if len(asked) == self.at_most:
                raise context.stop(
                    f"{context.name}: {agent.key} hands over to {chosen}, after {self.at_most} were asked"
                )
            agent = self.among[chosen]
            asked.append(chosen)
            prompt = self.next_prompt.render(context.values)

    def _answer(self, agent: FileAgent) -> AnswerType[Any]:
        """The agent's own answer, or the name of who takes over."""
        others = [name for name in self.among if name != agent.key]
        listed = [f"{name}: {self.about[name]}" if name in self.about else name for name in others]
        fields = agent.answer.fields
        own = "Your answer; null if somebody else has to take over."
        spec = (
            FieldSpec(optional=True, description=own)
            if fields is None
            else FieldSpec(type="object", fields=dict(fields.fields), optional=True, description=own)
        )
        told = "Null if you answer yourself; else who is to take over. " + "; ".join(listed)
        choice = FieldSpec(enum=tuple(others) or (agent.key,), optional=True, description=told)
        schema = OutputSchema(
            f"{agent.key}_or_hand_off", {ANSWER: spec, NEXT: choice}, strict=agent.entry.strict
        )
        return AnswerType(schema.name, schema.response_format(), _one_of_both(schema.parse))


def _one_of_both(
    parse: Callable[[str], tuple[dict[str, Any] | None, list[str]]],
) -> Callable[[str], tuple[Any, list[str]]]:
    def parsed(text: str) -> tuple[Any, list[str]]:
        value, errors = parse(text)
        if value is None:
            return None, errors
        if (value[ANSWER] is None) == (value[NEXT] is None):
            return None, [f"give either `{ANSWER}` or `{NEXT}`, and null for the other one"]
        return value, []

    return parsed


class _HandOff:
    keyword = "hand_off"
    section = HandOffSection

    def default_id(self, section: HandOffSection) -> str:
        return "hand_off"

    def plan(self, section: HandOffSection, load: LoadContext) -> Step | None:
        chosen = section.hand_off
        first = load.agent(("hand_off", "first"), chosen.first)
        about = dict(chosen.among) if isinstance(chosen.among, dict) else {}
        among: dict[str, FileAgent] = {}
        for position, name in enumerate(chosen.among):
            part = name if about else position
            agent = load.agent(("hand_off", "among", part), name)
            if agent is not None:
                among[name] = agent
        if not set(chosen.among) - {chosen.first}:
            load.problem(
                ("hand_off", "among"), "names nobody else who could take over.", "Add another agent."
            )
        prompt = load.agent_prompt(first, section.prompt) if first is not None else None
        next_prompt = load.template("next_prompt", section.next_prompt)
        everybody = [agent for agent in (first, *among.values()) if agent is not None]
        for agent in everybody:
            if agent.entry.answer is not None and agent.answer.fields is None:
                load.problem(
                    "hand_off", f"the agent {agent.key!r} answers by a schema or a model.",
                    "Agents that hand over answer with text, or with fields.",
                )  # fmt: skip
        if first is None or prompt is None or next_prompt is None or len(among) < len(chosen.among):
            return None
        return HandOffStep(
            head=load.head,
            type=_type(everybody),
            first=first,
            among=among,
            about=about,
            at_most=chosen.at_most,
            prompt=prompt,
            next_prompt=next_prompt,
        )


def _type(agents: list[FileAgent]) -> ValueType:
    kind = agents[0].answer.type
    for agent in agents[1:]:
        kind = join(kind, agent.answer.type)
    names = ValueType("string", enum=tuple(dict.fromkeys(agent.key for agent in agents)))
    return mapping({"agent": names, "answer": kind, "asked": list_of(TEXT)})


HAND_OFF = _HandOff()
