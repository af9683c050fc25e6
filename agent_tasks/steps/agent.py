"""An agent with typed answers, asked durably."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Literal, TypeVar, cast, overload

from agent_tasks.errors import AnswerInvalidError, ConfigurationError
from agent_tasks.operations import AgentSpec
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.steps.answer_types import AnswerType, answer_type
from agent_tasks.steps.answers import Answer
from agent_tasks.steps.asking import Question, ask, repair_text
from agent_tasks.steps.session import OnText, Session, current_session
from agent_tasks.tools import Tool, ToolSet

__all__ = ["Agent"]

T = TypeVar("T")


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
        if not name.strip():
            raise ConfigurationError("An agent needs a name: its steps are named after it.", setting="name")
        self.name = name
        self.instructions = instructions
        self.model = model
        self.tools = ToolSet(tools)
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
    async def ask(
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
    async def ask(
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

    async def ask(
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
            on_text: called with each piece of the answer as it is written; not for one from the journal.
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
        there = session or current_session()
        answer = await ask(there, self._question(there, prompt, step, follows, reuse, on_text))
        if answer.errors and on_invalid == "raise":
            raise AnswerInvalidError(
                f"The answer of {self.name} in step {answer.step!r} is not a {self.answer.name}, also after "
                f"{len(answer.turns)} turn(s): {'; '.join(answer.errors[:10])}. The text is in `answer`.",
                model=self.answer.name,
                problems=answer.errors,
                agent=self.name,
                answer=answer.text,
            )
        return cast("Answer[T]", answer)

    def _question(
        self,
        session: Session,
        prompt: str,
        step: str | None,
        follows: Answer[Any] | None,
        reuse: bool,
        on_text: OnText | None,
    ) -> Question:
        model = self.model or session.model
        if model is None:
            raise ConfigurationError(
                f"The agent {self.name} names no model, and neither does the session. Give it "
                "`model=DEPLOYMENT`, or set MODEL_DEPLOYMENT_NAME.",
                setting="model",
            )
        return Question(
            name=self.name,
            models=(model, *self.fallback_models),
            spec=self._spec,
            made=_nothing_to_make,
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

    def _spec(self, model: str) -> AgentSpec:
        return AgentSpec(
            name=self.name,
            model=model,
            instructions=self.instructions,
            tools=self.tools.definitions,
            temperature=self.temperature,
            top_p=self.top_p,
            response_format=self.answer.response_format,
        )


async def _nothing_to_make(session: Session, spec: AgentSpec) -> AgentSpec:
    return spec
