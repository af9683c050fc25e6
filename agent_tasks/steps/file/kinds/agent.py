"""`agent`: an agent is asked, and its answer is what later steps read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.steps.answers import Answer
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.running import StepContext
from agent_tasks.steps.file.sections import StepId, StepSection
from agent_tasks.steps.file.templates import Template


class AgentSection(StepSection):
    """A step that asks an agent."""

    agent: StepId
    """One of `agents`."""
    prompt: str | None = None
    """Template of the turn; default the agent's."""
    follows: StepId | None = None
    """An earlier step that asked an agent: this one goes on with its conversation."""


@dataclass(frozen=True, kw_only=True)
class AgentStep(Step):
    """Asks an agent."""

    kind: ClassVar[str] = "agent"

    agent: FileAgent
    prompt: Template
    follows: str | None = None

    @property
    def agents(self) -> tuple[FileAgent, ...]:
        """The one that it asks."""
        return (self.agent,)

    @property
    def answered_fields(self) -> OutputSchema | None:
        """The agent's fields."""
        return self.agent.answer.fields

    @property
    def reads_document(self) -> bool:
        """Whether the whole text goes into the prompt."""
        return self.prompt.prompt.reads_all

    def facts(self) -> Mapping[str, Any]:
        """Agent, prompt, and whose conversation it goes on with."""
        return {"agent": self.agent.facts(), "prompt": self.prompt.source, "follows": self.follows}

    def summary(self) -> str:
        """Whom it asks."""
        return self.agent.key if self.agent.key != self.id else self.agent.model

    async def run(self, context: StepContext) -> Any:
        """Ask; an answer that stays invalid is for a person to look at."""
        answer = await context.ask(
            self.agent, prompt_of(self.prompt, self.agent, context), follows=self.follows
        )
        context.answered(answer)
        return value_of(self.agent, answer, context)


def prompt_of(template: Template, agent: FileAgent, context: StepContext) -> str:
    """The text of a prompt, with the values that the context has."""
    fields = agent.answer.fields
    told = {"fields": fields.described()} if fields is not None else {}
    return template.render({**context.values, **told})


def value_of(agent: FileAgent, answer: Answer[Any], context: StepContext) -> Any:
    """The value of an answer as JSON.

    Raises:
        StepStoppedError: It is not valid.
    """
    if answer.errors:
        raise context.stop(invalid(context.name, answer))
    return agent.answer.as_json(answer.value)


def invalid(what: str, answer: Answer[Any]) -> str:
    """Why an answer is for a person to look at."""
    repairs = len(answer.history) - 1
    after = f" after {repairs} repair turn{'s' if repairs != 1 else ''}" if repairs > 0 else ""
    return f"the answer of {what} is not valid{after}: {'; '.join(answer.errors[:10])}"


class _Agent:
    keyword = "agent"
    section = AgentSection

    def default_id(self, section: AgentSection) -> str:
        return section.agent

    def plan(self, section: AgentSection, load: LoadContext) -> Step | None:
        agent = load.agent("agent", section.agent)
        follows = load.conversation("follows", section.follows)
        prompt = load.agent_prompt(agent, section.prompt) if agent is not None else None
        if agent is None or prompt is None:
            return None
        return AgentStep(head=load.head, type=agent.answer.type, agent=agent, prompt=prompt, follows=follows)


AGENT = _Agent()
