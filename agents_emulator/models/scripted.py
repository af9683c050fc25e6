r"""The scripted model: a fake that answers by the rules of a YAML file, for tests and demonstrations.

It understands nothing. The first rule whose conditions all hold gives the reply, so the same requests in the
same order always get the same answers::

    rules:
      - name: extract invoices            # shown in error messages
        when:                             # all given conditions must hold; no conditions: always
          message: 'Invoice (?P<no>\S+)'  # regular expressions, searched for (re.search)
          instructions: extract           #   in all system text
          schema: Invoice                 #   in the name of the response schema
          model: gpt-4o                   #   in the agent's model name
          tool_result: '"found": true'    #   in the tool results since the last user message
          tool_results: true              # whether there are such tool results
          images: 2                       # number of images in the last user message (true: any)
          image_type: image/png           # in their media types, one a line
          call: 1                         # only the nth time the other conditions hold (or a list)
        reply:                            # exactly one of text, json, tool_calls, error
          json: {reference: '{{ groups.no }}', total: '{{ results[0].total }}'}
        delay: 0.2                        # seconds before the first delta
        pause: 0.05                       # seconds between deltas
        chunk: 24                         # characters a delta
        finish: stop                      # or length, content_filter (text and json only)
    default:                              # used when no rule matches; without it that is an error
      reply: {text: 'I have no rule for this.'}

Strings of a reply are Jinja2 templates (sandboxed) over ``message``, ``instructions``, ``schema``, ``model``,
``images`` (media types), ``groups`` (named groups of all the rule's expressions), ``tool_results`` (texts),
``results`` (the same as values, where they are JSON) and ``call`` (how often the other conditions have held,
from 1). A value that is one expression, such as ``'{{ results[0].total }}'``, keeps the type of its result.

Tokens are an estimate: one for each four characters, rounded up, for each message, tool and reply. A reply
longer than ``max_tokens`` is cut and finishes with ``length``. Replies are not checked against the response
schema, so that a test can have an agent answer wrongly.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from agents_emulator.models.base import (
    ChatRequest,
    Finished,
    FinishReason,
    ModelConfigurationError,
    ModelError,
    TextDelta,
    ToolCall,
    new_call_id,
)
from agents_emulator.yaml_files import YamlError, describe, parse

CHARACTERS_PER_TOKEN = 4
_EXPRESSION = re.compile(r"\s*\{\{(?P<expression>(?:(?!\}\}|\{\{).)+)\}\}\s*", re.DOTALL)


def _compiled(value: Any) -> Any:
    try:
        return re.compile(value) if isinstance(value, str) else value
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error


# Compiled once: `re` keeps 512 of those that it is given as texts, and a file may have thousands.
Regex = Annotated[re.Pattern[str], BeforeValidator(_compiled)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Strict):
    """Conditions of a rule; see the module's description."""

    message: Regex | None = None
    instructions: Regex | None = None
    schema_: Regex | None = Field(default=None, alias="schema")
    model: Regex | None = None
    tool_result: Regex | None = None
    tool_results: bool | None = None
    images: bool | Annotated[int, Field(ge=0)] | None = None
    image_type: Regex | None = None
    call: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] | None = None


class ScriptedCall(_Strict):
    """A function call in a reply."""

    name: str
    arguments: dict[str, Any] | str = {}


class ScriptedError(_Strict):
    """A failure in a reply; ``retry_after`` in seconds."""

    code: str = "server_error"
    message: str = "Sorry, something went wrong."
    retry_after: float | None = Field(default=None, ge=0)


class Reply(_Strict):
    """What a rule answers: exactly one of the four."""

    text: str | None = None
    json_: Any = Field(default=None, alias="json")
    tool_calls: list[ScriptedCall] | None = Field(default=None, min_length=1)
    error: ScriptedError | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("a reply is exactly one of text, json, tool_calls, error")
        return self


class Outcome(_Strict):
    """A reply with the way it is delivered."""

    reply: Reply
    delay: float = Field(default=0.0, ge=0, le=3600)
    pause: float = Field(default=0.0, ge=0, le=60)
    chunk: int = Field(default=24, ge=1)
    finish: Literal["stop", "length", "content_filter"] = "stop"


class Rule(Outcome):
    """An outcome with its conditions."""

    name: str = ""
    when: When = When()


class Script(_Strict):
    """A whole rules file."""

    rules: list[Rule] = []
    default: Outcome | None = None


def estimate_tokens(text: str) -> int:
    """The scripted model's estimate of the tokens in a text: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


class ScriptedModel:
    """A fake chat model that follows a :class:`Script`."""

    def __init__(self, script: Script, *, name: str = "scripted") -> None:
        self.name = name
        self.context_tokens = 4000
        self.sees_images = True
        self._script = script
        self._held = [0] * len(script.rules)
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        # The same few replies are given again and again, and each takes a millisecond and more to compile.
        self._expression = lru_cache(1_000)(partial(environment.compile_expression, undefined_to_none=False))
        self._template = lru_cache(1_000)(environment.from_string)

    @classmethod
    def from_file(cls, path: Path) -> ScriptedModel:
        """Read a rules file; raises :class:`ModelConfigurationError` naming the file and each wrong field."""
        try:
            data = parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, YamlError) as error:
            raise ModelConfigurationError(f"cannot read the rules file {path}: {error}") from error
        return cls.from_data(data, source=str(path))

    @classmethod
    def from_data(cls, data: Any, *, source: str = "rules") -> ScriptedModel:
        """The same from already parsed rules; ``source`` is named in error messages."""
        try:
            script = Script.model_validate({} if data is None else data)
        except ValidationError as error:
            raise ModelConfigurationError(
                f"{source} is not a valid rules file: {describe(error, Script)}"
            ) from error
        return cls(script)

    async def generate(self, request: ChatRequest) -> AsyncIterator[TextDelta | Finished]:
        """Answer by the first rule that matches; see the module's description."""
        outcome, context, label = self._choose(request)
        if outcome.delay:
            await asyncio.sleep(outcome.delay)
        reply = outcome.reply
        if reply.error is not None:
            message = str(self._render(reply.error.message, context, label))
            raise ModelError(reply.error.code, message, reply.error.retry_after)

        prompt_tokens = _prompt_tokens(request)
        if reply.tool_calls is not None:
            calls = tuple(self._call(call, context, label) for call in reply.tool_calls)
            spent = sum(estimate_tokens(call.name + call.arguments) for call in calls)
            yield Finished(calls, "tool_calls", prompt_tokens, spent)
            return

        if reply.text is not None:
            text = str(self._render(reply.text, context, label))
        else:
            text = json.dumps(self._render(reply.json_, context, label), ensure_ascii=False)
        finish: FinishReason = outcome.finish
        if request.max_tokens is not None and estimate_tokens(text) > request.max_tokens:
            text = text[: request.max_tokens * CHARACTERS_PER_TOKEN]
            finish = "length"
        for start in range(0, len(text), outcome.chunk):
            if start and outcome.pause:
                await asyncio.sleep(outcome.pause)
            yield TextDelta(text[start : start + outcome.chunk])
        yield Finished((), finish, prompt_tokens, estimate_tokens(text))

    async def aclose(self) -> None:
        """Nothing to release."""

    def _choose(self, request: ChatRequest) -> tuple[Outcome, dict[str, Any], str]:
        texts = [message.content for message in request.tool_results]
        context: dict[str, Any] = {
            "message": request.last_user_message,
            "instructions": request.instructions,
            "schema": request.schema_name or "",
            "model": request.model,
            "tool_results": texts,
            "results": [_parsed(text) for text in texts],
            "images": [image.media_type for image in request.last_user_images],
            "groups": {},
            "call": 1,
        }
        for index, rule in enumerate(self._script.rules):
            groups = _matches(rule.when, context)
            if groups is None:
                continue
            self._held[index] += 1
            times = rule.when.call
            if times is not None and self._held[index] not in ([times] if isinstance(times, int) else times):
                continue
            label = f"rule {index + 1}" + (f" ({rule.name})" if rule.name else "")
            return rule, {**context, "groups": groups, "call": self._held[index]}, label
        if self._script.default is not None:
            return self._script.default, context, "default rule"
        raise ModelError(
            "server_error",
            f"no rule of the scripted model matches the request: message {_short(context['message'])},"
            f" instructions {_short(context['instructions'])}, schema {request.schema_name!r},"
            f" model {request.model!r}, {len(texts)} tool results. Add a rule for it, or a default rule.",
        )

    def _call(self, call: ScriptedCall, context: Mapping[str, Any], label: str) -> ToolCall:
        rendered = self._render(call.arguments, context, label)
        arguments = rendered if isinstance(rendered, str) else json.dumps(rendered, ensure_ascii=False)
        return ToolCall(new_call_id(), call.name, arguments)

    def _render(self, value: Any, context: Mapping[str, Any], label: str) -> Any:
        """The value with every string in it rendered as a template."""
        if isinstance(value, dict):
            return {key: self._render(item, context, label) for key, item in value.items()}
        if isinstance(value, list):
            return [self._render(item, context, label) for item in value]
        if not isinstance(value, str):
            return value
        try:
            if alone := _EXPRESSION.fullmatch(value):
                result = self._expression(alone["expression"])(**context)
                return str(result) if isinstance(result, StrictUndefined) else result
            return self._template(value).render(**context)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise ModelError(
                "server_error", f"{label} of the scripted model: template {_short(value)} failed: {error}"
            ) from error


def _matches(when: When, context: Mapping[str, Any]) -> dict[str, str | None] | None:
    """Named groups of all expressions if every condition but ``call`` holds, else None."""
    has_results = bool(context["tool_results"])
    if when.tool_results is not None and when.tool_results != has_results:
        return None
    images: list[str] = context["images"]
    wanted = when.images
    if wanted is not None and wanted != (bool(images) if isinstance(wanted, bool) else len(images)):
        return None
    groups: dict[str, str | None] = {}
    expressions = (
        (when.message, context["message"]),
        (when.instructions, context["instructions"]),
        (when.schema_, context["schema"]),
        (when.model, context["model"]),
        (when.image_type, "\n".join(images) if images else None),
        (when.tool_result, "\n".join(context["tool_results"]) if has_results else None),
    )
    for expression, text in expressions:
        if expression is None:
            continue
        match = expression.search(text) if text is not None else None
        if match is None:
            return None
        groups.update(match.groupdict())
    return groups


def _prompt_tokens(request: ChatRequest) -> int:
    spent = sum(
        estimate_tokens(message.content + "".join(call.name + call.arguments for call in message.tool_calls))
        for message in request.messages
    )
    return spent + sum(
        estimate_tokens(tool.name + tool.description + json.dumps(tool.parameters)) for tool in request.tools
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _short(text: str, limit: int = 160) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
