"""An agent with typed answers, asked durably."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Literal, TypeVar, cast, overload

from agent_tasks.errors import AnswerInvalidError, ConfigurationError
from agent_tasks.operations import AgentSpec
from agent_tasks.pending import Pending
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.redaction import redacted
from agent_tasks.steps.answer_types import AnswerType, answer_type
from agent_tasks.steps.answers import Answer
from agent_tasks.steps.asking import Question, ask, check_question, repair_text
from agent_tasks.steps.checks import check_callable, check_count, check_kind, check_number, check_text
from agent_tasks.steps.connected import ConnectedAgent
from agent_tasks.steps.hosted import made, planned
from agent_tasks.steps.session import OnText, Session, current_session
from agent_tasks.steps.streams import Stream
from agent_tasks.tools import FileSearchTool, Tool, ToolSet

__all__ = ["Agent", "ConnectedAgent"]

T = TypeVar("T")

_SHOWN_CHARS = 200
"""How much of an answer that does not fit an error shows."""


class Agent(Generic[T]):
    """An agent: who it is, what it may use, and what it answers with.

    It is made on the service when it is first asked in a session, and released with that.

    Example:
        ```python
        class Plan(BaseModel):
            questions: list[str]

        planner = Agent("planner", instructions="Split the task into questions.", answer=Plan)
        plan = await planner.ask("What does the law say about swans?")
        for question in plan.value.questions: ...
        ```

    Args:
        name: its name, which is also that of its steps.
        instructions: who it is and what it does.
        model: the model deployment; the session's if not given.
        tools: what it may use: typed functions, and the tools of `agent_tasks.tools`.
        answer: the type of its answers: `str`, a pydantic model, a dataclass, a `TypedDict`, `list[...]`, ...
        temperature: of the model.
        top_p: of the model.
        tool_choice: which tool it has to use, as the service takes it; None: as it likes.
        max_completion_tokens: of each turn.
        repair_turns: how often it is shown what is wrong with an answer.
        repair_prompt: what it is told then; takes the errors.
        fallback_models: deployments that are asked, one after the other, where the model gives no valid
            answer.
        deadline: seconds until a turn is given up.

    Raises:
        ConfigurationError: something of it is not possible; names the argument.
    """

    @overload
    def __init__(
        self: Agent[str],
        name: str,
        *,
        instructions: str = "",
        model: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: dict[str, Any] | str | None = None,
        max_completion_tokens: int | None = None,
        repair_turns: int = 1,
        repair_prompt: Callable[[Sequence[str]], str] = repair_text,
        fallback_models: Sequence[str] = (),
        deadline: float = 600.0,
    ) -> None: ...

    @overload
    def __init__(
        self: Agent[dict[str, Any]],
        name: str,
        *,
        answer: OutputSchema,
        instructions: str = "",
        model: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: dict[str, Any] | str | None = None,
        max_completion_tokens: int | None = None,
        repair_turns: int = 1,
        repair_prompt: Callable[[Sequence[str]], str] = repair_text,
        fallback_models: Sequence[str] = (),
        deadline: float = 600.0,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        *,
        answer: type[T] | AnswerType[T],
        instructions: str = "",
        model: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: dict[str, Any] | str | None = None,
        max_completion_tokens: int | None = None,
        repair_turns: int = 1,
        repair_prompt: Callable[[Sequence[str]], str] = repair_text,
        fallback_models: Sequence[str] = (),
        deadline: float = 600.0,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        *,
        answer: Any = str,
        instructions: str = "",
        model: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        temperature: float | None = None,
        top_p: float | None = None,
        tool_choice: dict[str, Any] | str | None = None,
        max_completion_tokens: int | None = None,
        repair_turns: int = 1,
        repair_prompt: Callable[[Sequence[str]], str] = repair_text,
        fallback_models: Sequence[str] = (),
        deadline: float = 600.0,
    ) -> None:
        check_text("Agent(...)", name=name)
        whose = f"Agent({name!r}, ...)"
        check_text(whose, may_be_empty=True, instructions=instructions)
        check_text(whose, optional=True, model=model)
        check_number(whose, temperature=temperature, top_p=top_p)
        check_number(whose, positive=True, deadline=deadline)
        check_kind(whose, (dict, str), "as the service takes it (a dict or a str)", tool_choice=tool_choice)
        check_count(whose, least=1, max_completion_tokens=max_completion_tokens)
        check_count(whose, least=0, repair_turns=repair_turns)
        check_callable(whose, repair_prompt=repair_prompt)
        check_kind(whose, (list, tuple), "a list of model deployments", fallback_models=fallback_models)
        for fallback in fallback_models:
            check_text(whose, fallback_models=fallback)
        self.name = name
        self.instructions = instructions
        self.model = model
        self.tools = _tools(name, tools)
        self.kind: Any = answer
        """The type of its answers, as it was given."""
        self.answer: AnswerType[T] = answer_type(answer)
        self.temperature = temperature
        self.top_p = top_p
        self.tool_choice = tool_choice
        self.max_completion_tokens = max_completion_tokens
        self.repair_turns = repair_turns
        self.repair_prompt = repair_prompt
        self.fallback_models = tuple(fallback_models)
        self.deadline = deadline

    def __repr__(self) -> str:
        return f"Agent({self.name!r}, answer={self.answer.name})"

    @overload
    def ask(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_text: OnText | None = None,
        on_invalid: Literal["raise"] = "raise",
    ) -> Pending[Answer[T]]: ...

    @overload
    def ask(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_text: OnText | None = None,
        on_invalid: Literal["return"],
    ) -> Pending[Answer[T | None]]: ...

    def ask(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_text: OnText | None = None,
        on_invalid: Literal["raise", "return"] = "raise",
    ) -> Any:
        """Ask the agent, and wait for its answer.

        The same question (session, step, agent as it is described, prompt, conversation) is asked once in a
        run: a second call gives the same answer, and so does one after a crash. Name another `step` for
        another sample.

        Args:
            prompt: what it is asked.
            session: whose work it is; the one of the block around if not given.
            step: the step's name; the agent's if not given.
            follows: the answer, of this agent or another one, whose conversation goes on.
            reuse: whether the answer that another run of the owner got may be taken.
            on_text: called with each piece of the answer as it is written; not for one from the journal, and
                not for what comes after an answer that does not fit: repairs, other models.
            on_invalid: what happens to an answer that does not fit its type after all repairs and models.

        Returns:
            The answer, with its value, text, usage, citations and tool calls.

        Raises:
            AnswerInvalidError: the answer does not fit; it carries the text.
            RunFailedError: the turn ended without an answer.
            ServiceError: the service refused something.
            TransportError: the service could not be reached; the next call goes on with the turn.
            JournalError: nothing could be committed, so nothing was risked.
        """
        call = f"{self.name}.ask(...)"
        check_question(call, prompt, session, step, follows, on_text, on_invalid)
        asked = self._ask(prompt, session, step, follows, reuse, on_text, on_invalid)
        return Pending(asked, call, warned="Agent.ask")

    async def _ask(
        self,
        prompt: str,
        session: Session | None,
        step: str | None,
        follows: Answer[Any] | None,
        reuse: bool,
        on_text: OnText | None,
        on_invalid: Literal["raise", "return"],
    ) -> Any:
        async def asked(there: Session) -> Answer[Any]:
            return await ask(there, await self._question(there, prompt, step, follows, reuse, on_text))

        here = session or current_session()
        answer = await here.do(asked)
        if answer.errors and on_invalid == "raise":
            raise self._invalid(here.step(step or self.name), answer)
        return cast("Answer[T]", answer)

    def _invalid(self, step: str, answer: Answer[Any]) -> AnswerInvalidError:
        shown = redacted(answer.text)
        more = f" ... ({len(shown):,} characters)" if len(shown) > _SHOWN_CHARS else ""
        return AnswerInvalidError(
            f"The answer of {self.name} in step {step!r} is not a {self.answer.name}, also after "
            f"{len(answer.turns)} turn(s): {'; '.join(answer.errors[:10])}. It wrote: "
            f"{shown[:_SHOWN_CHARS]!r}{more}. The whole text is in `answer`.",
            model=self.answer.name,
            problems=answer.errors,
            agent=self.name,
            answer=answer.text,
        )

    @overload
    def ask_sync(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_text: OnText | None = None,
        on_invalid: Literal["raise"] = "raise",
    ) -> Answer[T]: ...

    @overload
    def ask_sync(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_text: OnText | None = None,
        on_invalid: Literal["return"],
    ) -> Answer[T | None]: ...

    def ask_sync(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_text: OnText | None = None,
        on_invalid: Literal["raise", "return"] = "raise",
    ) -> Any:
        """The same for blocking code: a flow or task without `async`, a thread, a cell of a notebook.

        Arguments and errors are those of `ask`. Functions of the agent run in the portal's event loop,
        blocking ones in threads.
        """
        check_question(f"{self.name}.ask_sync(...)", prompt, session, step, follows, on_text, on_invalid)

        async def asked(there: Session) -> Any:
            return await self._ask(prompt, there, step, follows, reuse, on_text, on_invalid)

        return (session or current_session()).wait(asked)

    @overload
    def stream(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_invalid: Literal["raise"] = "raise",
    ) -> Stream[T]: ...

    @overload
    def stream(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_invalid: Literal["return"],
    ) -> Stream[T | None]: ...

    def stream(
        self,
        prompt: str,
        *,
        session: Session | None = None,
        step: str | None = None,
        follows: Answer[Any] | None = None,
        reuse: bool = False,
        on_invalid: Literal["raise", "return"] = "raise",
    ) -> Any:
        """Ask the agent, and read its answer as it is written; arguments and errors are those of `ask`.

        Example:
            ```python
            async with writer.stream("Summarise it.") as stream:
                async for piece in stream:
                    print(piece, end="", flush=True)
            print(stream.answer.usage)
            ```
        """
        call = f"{self.name}.stream(...)"
        check_question(call, prompt, session, step, follows, None, on_invalid)

        def asked(on_text: OnText) -> Any:
            return self._ask(prompt, session, step, follows, reuse, on_text, on_invalid)

        return Stream(asked, call)

    def changed(self, **changes: Any) -> Agent[Any]:
        """A copy with other arguments: `agent.changed(model="gpt-4o")`. Raises what `Agent` raises."""
        given = {
            "instructions": self.instructions,
            "model": self.model,
            "tools": self.tools,
            "answer": self.kind,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "tool_choice": self.tool_choice,
            "max_completion_tokens": self.max_completion_tokens,
            "repair_turns": self.repair_turns,
            "repair_prompt": self.repair_prompt,
            "fallback_models": self.fallback_models,
            "deadline": self.deadline,
        }
        return Agent(changes.pop("name", self.name), **(given | changes))

    def as_tool(self, description: str, *, name: str | None = None) -> ConnectedAgent:
        """This agent as a tool of another one: the service asks it, in a conversation of its own.

        Args:
            description: what it is for: the other agent decides by this text when to ask it.
            name: the name that the model calls it by; the agent's, with `_` for what can't stand in one.

        Raises:
            ConfigurationError: it has functions, which the service can't call there; or an empty description.
        """
        return ConnectedAgent(self, name or re.sub(r"\W+", "_", self.name, flags=re.ASCII), description)

    async def planned(self, session: Session, model: str | None = None) -> AgentSpec:
        """Its specification; what it needs on the service is described by keys. Made once in a session.

        Args:
            session: whose model is taken where the agent names none.
            model: the model deployment; the agent's own if not given.

        Raises:
            ConfigurationError: neither the agent nor the session names a model; a file can't be read.
        """
        deployment = model or self.model or session.model
        if deployment is None:
            raise ConfigurationError(
                f"The agent {self.name} names no model, and neither does the session. Give it "
                "`model=DEPLOYMENT`, or set MODEL_DEPLOYMENT_NAME.",
                setting="model",
            )
        return await session.once(self, deployment, lambda: self._planned(session, deployment))

    async def _planned(self, session: Session, model: str) -> AgentSpec:
        spec = AgentSpec(
            name=self.name,
            model=model,
            instructions=self.instructions,
            tools=[
                definition
                for tool in self.tools
                if not isinstance(tool, ConnectedAgent)
                for definition in tool.definitions
            ],
            tool_resources={
                kind: resource for kind, resource in self.tools.resources.items() if kind != "mcp"
            },
            temperature=self.temperature,
            top_p=self.top_p,
            response_format=self.answer.response_format,
            approvals={
                one.label: one.require_approval
                for one in self.tools.servers
                if one.require_approval is not None
            },
        )
        return await planned(session, self.tools, spec)

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """A planned specification with all that it needs made on the service."""
        return await made(session, self.tools, spec)

    async def _question(
        self,
        session: Session,
        prompt: str,
        step: str | None,
        follows: Answer[Any] | None,
        reuse: bool,
        on_text: OnText | None,
    ) -> Question:
        first = await self.planned(session)
        others = {model: await self.planned(session, model) for model in self.fallback_models}
        return Question(
            name=self.name,
            specs={first.model: first, **others},
            made=self.made,
            answer=self.answer,
            prompt=prompt,
            step=session.step(step or self.name),
            tools=self.tools,
            follows=follows,
            tool_choice=self.tool_choice,
            max_completion_tokens=self.max_completion_tokens,
            deadline=self.deadline,
            repair_turns=self.repair_turns,
            repair_prompt=self.repair_prompt,
            reuse=reuse,
            on_text=on_text,
        )


def _tools(agent: str, tools: Iterable[Tool | Callable[..., Any]]) -> ToolSet:
    if isinstance(tools, (str, bytes)) or callable(tools) or not isinstance(tools, Iterable):
        raise ConfigurationError(
            f"`tools` of the agent {agent} must be a list of functions and tools: tools=[...].",
            setting="tools",
        )
    found = ToolSet(tools)
    for tool in found:
        if isinstance(tool, FileSearchTool) and not (tool.vector_store_ids or tool.data_sources):
            raise ConfigurationError(
                f"The agent {agent} has a FileSearchTool without a store: it would never find anything. Use "
                "FileSearch(store), or FileSearch(files).",
                setting="tools",
            )
    return found
