"""The agents of a pipeline file with steps: what may be said of one, and the agent that it becomes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import jsonschema
import yaml
from pydantic import Discriminator, Field, Tag, TypeAdapter

from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import operation_key
from agent_tasks.pipeline.output_schema import FieldName, FieldSpec, OutputSchema, json_schema_format
from agent_tasks.steps.agent import Agent
from agent_tasks.steps.answer_types import AnswerType, answer_type
from agent_tasks.steps.file.corpus_search import CorpusSearch
from agent_tasks.steps.file.sections import FileSection, RawTools
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import FIELDS, TEXT, ValueType, of_fields, of_schema
from agent_tasks.tools import ToolSet, load_object
from agent_tasks.tools.answers import json_of

MAX_SCHEMA_BYTES = 1_000_000


class SchemaFile(FileSection):
    """A JSON Schema in a file, as the shape of an answer."""

    schema_file: str = Field(alias="schema", pattern=r"\.(json|ya?ml)$")
    """The file, relative to the pipeline file."""


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return "(model)"
    # A mapping whose one key is `schema`, with the name of a file, is that file; anything else is fields.
    if isinstance(value, SchemaFile) or (isinstance(value, Mapping) and list(value) == ["schema"]):
        named = value.schema_file if isinstance(value, SchemaFile) else value["schema"]
        if isinstance(named, str) and "." in named:
            return "(schema)"
    return "(fields)"


AnswerShape: TypeAlias = Annotated[
    Annotated[dict[FieldName, FieldSpec], Field(min_length=1), Tag("(fields)")]
    | Annotated[SchemaFile, Tag("(schema)")]
    | Annotated[str, Tag("(model)")],
    Discriminator(_shape),
]


class AgentEntry(FileSection):
    """An agent of a pipeline with steps."""

    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Part of its name on the service; default its key, with hyphens."""
    model: str | None = Field(None, min_length=1)
    """Model deployment; default the pipeline's."""
    fallback_models: tuple[str, ...] = ()
    """Deployments that are asked, one after the other, where the model gives no valid answer."""
    instructions: str = ""
    """Its system prompt; plain text."""
    prompt: str | None = None
    """Template of a turn, for steps that have none of their own."""
    answer: AnswerShape | None = None
    """What it answers with: fields; ``{schema: FILE}``, a JSON Schema; ``module:Model``, a pydantic model or
    another Python type; nothing: text."""
    strict: bool = True
    """Whether the service enforces the shape of the answer; see `OutputSchema.response_format`."""
    repair_turns: int | None = Field(None, ge=0, le=5)
    """How often it may correct an answer that is not valid; default `limits.repair_turns`."""
    repair_prompt: str | None = None
    """Template of such a turn, with `errors`."""
    tools: RawTools = ()
    """What it may use, each by the key that says its kind."""
    tool_choice: str | None = None
    """``auto``, ``none``, ``required``, or the name of one of its functions, which is then called first."""
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    """Tokens of one turn's answers; default `limits.max_completion_tokens`."""


@dataclass(frozen=True)
class AnswerPlan:
    """What an agent answers with."""

    kind: AnswerType[Any]
    type: ValueType
    """The type of its value, for expressions."""
    described: Any
    """The shape as JSON, for what depends on it."""
    fields: OutputSchema | None = None
    """The fields, where the file names them: they can be looked up in the document."""
    as_json: Callable[[Any], Any] = field(default=lambda value: value, compare=False)
    """The value as JSON."""


TEXT_ANSWER = AnswerPlan(answer_type(str), TEXT, None)


@dataclass(frozen=True)
class FileAgent:
    """An agent of the file, ready to be asked."""

    key: str
    """What the file calls it."""
    name: str
    """Its name on the service."""
    model: str
    entry: AgentEntry
    answer: AnswerPlan
    tools: ToolSet = field(default_factory=ToolSet)
    needs: tuple[str, ...] = ()
    """Keys of what its tools need: files, other agents."""
    repair_prompt: Template | None = None

    @property
    def prompt_names(self) -> dict[str, ValueType]:
        """The names that its prompts may use besides those of the step that asks it."""
        return {"fields": FIELDS} if self.answer.fields is not None else {}

    @property
    def models(self) -> tuple[str, ...]:
        """The deployments, in the order in which they are asked."""
        return (self.model, *self.entry.fallback_models)

    @property
    def tool_choice(self) -> dict[str, Any] | str | None:
        """The choice as on the wire."""
        choice = self.entry.tool_choice
        if choice is None or choice in ("auto", "none", "required"):
            return choice
        if choice not in self.tools.functions:
            return "required"  # the service has no way to name a tool that it carries out itself
        return {"type": "function", "function": {"name": choice}}

    def facts(self) -> dict[str, Any]:
        """All that its answers depend on, as JSON; a limit that was not hit does not change an answer."""
        told = self.entry.model_dump(
            mode="json", exclude={"tools", "max_completion_tokens", "answer", "prompt", "repair_prompt"}
        )
        return {
            **told,
            "name": self.name,
            "model": self.model,
            "answer": self.answer.described,
            "tools": self.tools.definitions,
            "needs": list(self.needs),
            "repair_prompt": self.entry.repair_prompt,
        }

    @property
    def searches_corpus(self) -> bool:
        """Whether it searches in all documents of the batch."""
        return any(isinstance(tool, CorpusSearch) for tool in self.tools)

    def tool_names(self) -> list[str]:
        """Its tools for people: their kinds, with the names that the model calls."""
        found = []
        for definition in self.tools.definitions:
            kind, body = definition["type"], definition.get(definition["type"])
            name = body.get("name") if isinstance(body, dict) else definition.get("server_label")
            found.append(f"{kind} {name}" if name else kind)
        return found

    def asked(self, answer: AnswerType[Any] | None = None) -> Agent[Any]:
        """The agent as Python programs have it.

        Args:
            answer: What it is to answer with, in place of its own answer.
        """
        wanted = self.answer.kind if answer is None else answer
        # Each document may bring a type of its own; as long as its form is the same it is the same agent,
        # and a session, which keeps what it finds out about an agent, keeps it once.
        form = json.dumps([wanted.name, wanted.response_format], sort_keys=True)
        if form not in self._by_form:
            self._by_form[form] = self._made(wanted)
        return self._by_form[form]

    @functools.cached_property
    def _by_form(self) -> dict[str, Agent[Any]]:
        return {}

    def _made(self, answer: AnswerType[Any]) -> Agent[Any]:
        entry = self.entry
        return Agent(
            self.name,
            answer=answer,
            instructions=entry.instructions,
            model=self.model,
            tools=self.tools,
            temperature=entry.temperature,
            top_p=entry.top_p,
        )

    def fingerprint(self) -> str:
        """A hash of what its answers depend on."""
        return operation_key("file-agent", **self.facts())

    def repair_text(self, values: Mapping[str, Any]) -> Callable[[Sequence[str]], str] | None:
        """What it is told of errors; None: the usual words."""
        template = self.repair_prompt
        if template is None:
            return None
        return lambda errors: template.render({**values, "errors": list(errors)})


def plan_answer(entry: AgentEntry, name: str, folder: Path) -> AnswerPlan:
    """What an agent of the file answers with.

    Args:
        entry: The agent, as the file has it.
        name: What the answer is called on the service.
        folder: The pipeline file's.

    Raises:
        ConfigurationError: The schema or the model cannot be used.
    """
    answer = entry.answer
    if answer is None:
        return TEXT_ANSWER
    if isinstance(answer, SchemaFile):
        return _of_schema_file(answer.schema_file, name, folder, strict=entry.strict)
    if isinstance(answer, str):
        return _of_python(answer, folder)
    schema = OutputSchema(name, answer, strict=entry.strict)
    described = {key: spec.model_dump(mode="json") for key, spec in answer.items()}
    return AnswerPlan(answer_type(schema), of_fields(answer), described, schema)


def _of_python(reference: str, folder: Path) -> AnswerPlan:
    kind = load_object(reference, folder)
    if not isinstance(kind, type):
        raise ConfigurationError(f"{reference} is {type(kind).__name__}, not a model")
    planned = answer_type(kind)
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = adapter.json_schema()
    return AnswerPlan(
        planned, of_schema(schema), schema, as_json=lambda value: adapter.dump_python(value, mode="json")
    )


def _of_schema_file(file: str, name: str, folder: Path, *, strict: bool) -> AnswerPlan:
    schema = read_mapping(file, folder)
    try:
        validator = jsonschema.Draft202012Validator(schema)
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ConfigurationError(f"{file} is not a JSON Schema: {error.message}") from error
    if schema.get("type") != "object":
        raise ConfigurationError(f"{file}: the schema of an answer describes an object; wrap it in one")

    def parse(text: str) -> tuple[Any, list[str]]:
        try:
            value = json.loads(json_of(text))
        except ValueError as error:
            return None, [f"the answer is not JSON: {error}"]
        found = sorted(validator.iter_errors(value), key=lambda one: list(map(str, one.absolute_path)))
        errors = [f"{one.json_path.removeprefix('$.') or 'answer'}: {one.message[:300]}" for one in found]
        return (None, errors) if errors else (value, [])

    told = json_schema_format(name, schema, strict=strict)
    return AnswerPlan(AnswerType(name, told, parse), of_schema(schema), schema)


def read_mapping(file: str, folder: Path) -> dict[str, Any]:
    """A JSON or YAML file that a pipeline file names, as a mapping.

    Raises:
        ConfigurationError: It cannot be read, or is not one.
    """
    content = read_near(file, folder)
    try:
        found = yaml.safe_load(content) if file.endswith((".yaml", ".yml")) else json.loads(content)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file} is not valid: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is not a mapping")
    return found


def read_near(file: str, folder: Path, most: int = MAX_SCHEMA_BYTES) -> bytes:
    """A file that a pipeline file names, relative to it.

    Raises:
        ConfigurationError: It cannot be read, or is larger than `most` bytes.
    """
    path = folder / file
    try:
        if path.stat().st_size > most:
            raise ConfigurationError(f"{file} is larger than {most:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
