"""The tools that an agent of a pipeline file may name, each by the key that says its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, SecretStr, model_validator

from agent_tasks.credentials import make_credential
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import content_hash, operation_key
from agent_tasks.pipeline.schema import QueueToolsSection
from agent_tasks.queues import StorageConnection
from agent_tasks.settings import CredentialKind, environment
from agent_tasks.steps.file.agents import FileAgent, read_mapping
from agent_tasks.steps.file.corpus_search import CORPUS, CorpusSearch
from agent_tasks.steps.file.sections import FileSection, StepId, TimeLimit
from agent_tasks.steps.hosted import CodeInterpreter, FileSearch
from agent_tasks.tools import (
    ApprovalPerTool,
    AskPerson,
    AzureAISearchTool,
    BingCustomSearchTool,
    BingGroundingTool,
    BrowserAutomationTool,
    CodeInterpreterTool,
    DeepResearchTool,
    FabricTool,
    FileSearchTool,
    LogicAppTool,
    McpTool,
    OpenApiAnonymousAuth,
    OpenApiConnectionAuth,
    OpenApiManagedAuth,
    OpenApiTool,
    QueueFunctionTool,
    QueueToolDefinition,
    SharepointTool,
    Tool,
    load_function,
    load_object,
    queue_tools,
)
from agent_tasks.wire import RequiredMcpToolCall

MAX_FILE_BYTES = 100_000_000
MAX_FILES = 500
MANAGEMENT = "https://management.azure.com"

SectionT = TypeVar("SectionT", bound=FileSection)


@dataclass
class ToolContext:
    """What a kind of tool may ask for while the file is loaded."""

    folder: Path
    """The pipeline file's."""
    agent: str
    """The agent that is to have the tool."""
    other_agent: Callable[[str], FileAgent]
    """Another agent of the file. Raises ConfigurationError."""
    needs: list[str]
    """Takes the key of each thing that has to be made on the service for the tool."""
    queue_section: QueueToolsSection | None
    queue_definitions: Callable[[], list[QueueToolDefinition]]


@dataclass(frozen=True)
class ToolKind(Generic[SectionT]):
    """A kind of tool: its key in the file, what may stand beside it, and the tool that it becomes."""

    keyword: str
    section: type[SectionT]
    make: Callable[[SectionT, ToolContext], Tool]
    """Makes the tool. Raises ConfigurationError for what cannot be."""


class FunctionSection(FileSection):
    """A Python function."""

    function: str
    """``module:function``; the module lies next to the pipeline file or is installed."""
    name: str | None = None
    """Name for the model; default the function's."""
    idempotent: bool | None = None
    """Whether an interrupted call may be repeated."""
    timeout: float | None = Field(None, gt=0)
    """Seconds a call may take."""
    max_output_chars: int | None = Field(None, gt=0)
    """Characters a call may return."""


def _function(section: FunctionSection, context: ToolContext) -> Tool:
    return load_function(section.function, context.folder).configured(
        name=section.name,
        idempotent=section.idempotent,
        timeout=section.timeout,
        max_output_chars=section.max_output_chars,
    )


class QueueSection(FileSection):
    """A function of a Function App behind storage queues."""

    queue: str
    """One of `queue_tools.definitions`."""
    timeout: float | None = Field(None, gt=0)
    """Seconds until its answer has to be there."""
    max_output_chars: int | None = Field(None, gt=0)


def _queue(section: QueueSection, context: ToolContext) -> Tool:
    settings = context.queue_section
    if settings is None:
        raise ConfigurationError("there are no queue tools: add `queue_tools` with their `definitions`")
    known = {one.name: one for one in context.queue_definitions()}
    if section.queue not in known:
        raise ConfigurationError(f"{settings.definitions} has no {section.queue}; it has: {', '.join(known)}")
    (tool,) = queue_tools(
        [known[section.queue]],
        drive=settings.drive,
        connection=StorageConnection.from_settings(settings.connection, environment()),
        deadline=settings.deadline,
        idempotent=settings.idempotent,
        container=settings.container,
    )
    if isinstance(tool, QueueFunctionTool):
        return tool.configured(deadline=section.timeout, max_output_chars=section.max_output_chars)
    return tool


class FileSearchSection(FileSection):
    """Search in files that are given, or in a store that is there."""

    file_search: tuple[str, ...] = ()
    """Files, or patterns such as ``rules/*.pdf``, relative to the pipeline file, of which a store is built;
    ``corpus``: all documents of the batch, for agents of `corpus` steps."""
    store: str | None = None
    """Id of a vector store that is there already, in place of files."""
    max_num_results: int | None = None
    ranker: str | None = None
    score_threshold: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        found = value.get("file_search") if isinstance(value, Mapping) else None
        return {**value, "file_search": [found]} if isinstance(found, str) else value


def _file_search(section: FileSearchSection, context: ToolContext) -> Tool:
    options: dict[str, Any] = {
        "max_num_results": section.max_num_results,
        "ranker": section.ranker,
        "score_threshold": section.score_threshold,
    }
    if (section.store is None) == (not section.file_search):
        raise ConfigurationError("file_search names files, or `store`, one of the two")
    if section.store is not None:
        return FileSearchTool([section.store], **options)
    if section.file_search == (CORPUS,):
        return CorpusSearch(**options)
    files = _files(section.file_search, context)
    return FileSearch(files, context.agent, **options)


class CodeInterpreterSection(FileSection):
    """Python in the service's sandbox."""

    code_interpreter: bool | tuple[str, ...]
    """Files for it, relative to the pipeline file; ``true``: none."""


def _code_interpreter(section: CodeInterpreterSection, context: ToolContext) -> Tool:
    given = section.code_interpreter
    if given is False:
        raise ConfigurationError("code_interpreter is a list of files, or true; leave it out otherwise")
    if given is True or not given:
        return CodeInterpreterTool()
    files = _files(given, context)
    CodeInterpreterTool(file_ids=list(files))  # it says how many there may be
    return CodeInterpreter(files)


def _files(patterns: tuple[str, ...], context: ToolContext) -> dict[str, bytes | str]:
    """The files of some patterns, by name."""
    found: dict[str, bytes | str] = {}
    for pattern in patterns:
        if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts:
            raise ConfigurationError(f"{pattern} leads out of the folder of the pipeline file")
        paths = sorted(path for path in context.folder.glob(pattern) if path.is_file())
        if not paths:
            raise ConfigurationError(f"there is no file {pattern} in the folder of the pipeline file")
        for path in paths:
            name = path.relative_to(context.folder).as_posix().replace("/", "_")
            if len(found) >= MAX_FILES or path.stat().st_size > MAX_FILE_BYTES:
                raise ConfigurationError(
                    f"{pattern}: at most {MAX_FILES} files of {MAX_FILE_BYTES:,} bytes are allowed"
                )
            found[name] = path.read_bytes()
    context.needs.append(operation_key("files", **{name: content_hash(one) for name, one in found.items()}))
    return found


class OpenApiSection(FileSection):
    """HTTP operations that the service calls itself."""

    openapi: str
    """The OpenAPI document (JSON or YAML), relative to the pipeline file."""
    name: str
    description: str | None = None
    connection: str | None = None
    """Id of the project's connection whose key signs in."""
    audience: str | None = None
    """Whom the token of the project's managed identity is for. Neither: nobody signs in."""
    default_params: tuple[str, ...] = ()


def _openapi(section: OpenApiSection, context: ToolContext) -> Tool:
    if section.connection and section.audience:
        raise ConfigurationError("openapi signs in by `connection` or for an `audience`, not by both")
    auth: OpenApiAnonymousAuth | OpenApiConnectionAuth | OpenApiManagedAuth = OpenApiAnonymousAuth()
    if section.connection:
        auth = OpenApiConnectionAuth(section.connection)
    elif section.audience:
        auth = OpenApiManagedAuth(section.audience)
    spec = read_mapping(section.openapi, context.folder)
    return OpenApiTool(section.name, spec, section.description, auth, section.default_params)


class ToolNames(FileSection):
    """Which tools of an MCP server stop for approval."""

    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


class McpSection(FileSection):
    """Tools of an MCP server."""

    mcp: str
    """Address of the server."""
    label: str
    """Name of the server, once for each agent."""
    allowed_tools: tuple[str, ...] = ()
    """The tools that may be used; none named: all."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers, each the name of a setting that holds its value: secrets do not stand in the file."""
    require_approval: Literal["always", "never"] | ToolNames = "always"
    """Which calls stop for approval."""
    approve: Literal["all", "none", "person"] | tuple[str, ...] | str = "none"
    """Which of those are approved: ``all``, ``none``, some tools, what ``module:function`` decides, or what a
    ``person`` does."""
    time_limit: TimeLimit | None = None
    """How long a call waits for a person, such as ``2 days``; default for ever."""
    at_limit: Literal["approve", "reject", "fail"] | None = None
    """What counts when the time limit is over; default ``reject``."""

    @model_validator(mode="after")
    def _limits_are_for_people(self) -> McpSection:
        if self.approve != "person" and (self.time_limit is not None or self.at_limit is not None):
            raise ValueError("time_limit and at_limit are for `approve: person`; remove them")
        return self


def _mcp(section: McpSection, context: ToolContext) -> Tool:
    needed = section.require_approval
    if isinstance(needed, ToolNames):
        approval: Any = ApprovalPerTool(never=needed.never, always=needed.always)
    else:
        approval = needed
    return McpTool(
        server_label=section.label,
        server_url=section.mcp,
        allowed_tools=section.allowed_tools,
        headers={name: _secret(setting) for name, setting in section.headers.items()},
        require_approval=approval,
        approve=_policy(section, context),
    )


def _policy(section: McpSection, context: ToolContext) -> Callable[[RequiredMcpToolCall], Any] | AskPerson:
    approve = section.approve
    if approve == "person":
        return AskPerson(section.time_limit, section.at_limit or "reject")
    if approve in ("all", "none"):
        return lambda call: approve == "all"
    if isinstance(approve, tuple):
        return lambda call: call.name in approve
    decider = load_object(approve, context.folder)
    if not callable(decider):
        raise ConfigurationError(f"{approve} is not a function")
    return decider  # type: ignore[no-any-return]  # callable: it was just looked at


def _secret(setting: str) -> SecretStr:
    value = environment().get(setting)
    if not value:
        raise ConfigurationError(
            f"the setting {setting} is not set, which is to hold a header's value", setting=setting
        )
    return SecretStr(value)


class ConnectedAgentSection(FileSection):
    """Another agent of the file as a tool."""

    connected_agent: StepId
    """Its key under `agents`."""
    description: str
    """What it is for: the model decides by this text when to call it."""
    name: str | None = None
    """Name that the model calls it by; default its key."""


def _connected_agent(section: ConnectedAgentSection, context: ToolContext) -> Tool:
    other = context.other_agent(section.connected_agent)
    context.needs.append(other.fingerprint())
    return other.asked().as_tool(section.description, name=section.name or section.connected_agent)


class LogicAppSection(FileSection):
    """A workflow of Azure Logic Apps with an HTTP trigger."""

    logic_app: str
    """The workflow's name."""
    name: str
    """Name that the model calls."""
    description: str
    arguments: str
    """``module:Model``: a pydantic model of the JSON object that the trigger takes."""
    subscription_id: str
    resource_group: str
    trigger: str
    idempotent: bool = False
    timeout: float = 60.0
    retries: int = 0
    max_output_chars: int | None = None


def _logic_app(section: LogicAppSection, context: ToolContext) -> Tool:
    model = load_object(section.arguments, context.folder)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ConfigurationError(f"{section.arguments} is not a pydantic model")
    credential = make_credential(CredentialKind.DEFAULT, endpoint=MANAGEMENT)
    if credential is None:
        raise ConfigurationError("nobody is signed in for the management API of Azure")
    given: dict[str, Any] = (
        {} if section.max_output_chars is None else {"max_output_chars": section.max_output_chars}
    )
    return LogicAppTool(
        section.name,
        section.description,
        model,
        section.subscription_id,
        section.resource_group,
        section.logic_app,
        section.trigger,
        credential,
        idempotent=section.idempotent,
        timeout=section.timeout,
        retries=section.retries,
        **given,
    )


class AzureAISearchSection(FileSection):
    """Search in an index of Azure AI Search."""

    azure_ai_search: str
    """Name of the index; with `asset: true` the id of a registered index asset."""
    connection: str | None = None
    """Id of the project's connection to the search service."""
    asset: bool = False
    query_type: str = "simple"
    top_k: int | None = None
    filter: str | None = None


def _azure_ai_search(section: AzureAISearchSection, context: ToolContext) -> Tool:
    where = (
        {"index_asset_id": section.azure_ai_search}
        if section.asset
        else {"index_connection_id": section.connection, "index_name": section.azure_ai_search}
    )
    options: dict[str, Any] = {
        "query_type": section.query_type,
        "top_k": section.top_k,
        "filter": section.filter,
    }
    return AzureAISearchTool(**where, **options)


class BingGroundingSection(FileSection):
    """Search of the web by Bing."""

    bing_grounding: str
    """Id of the project's connection."""
    market: str | None = None
    set_lang: str | None = None
    count: int | None = None
    freshness: str | None = None


def _bing_grounding(section: BingGroundingSection, context: ToolContext) -> Tool:
    options = section.model_dump(exclude={"bing_grounding"})
    return BingGroundingTool(section.bing_grounding, **options)


class BingCustomSearchSection(FileSection):
    """Search in the sites of a Bing custom search instance."""

    bing_custom_search: str
    """Id of the project's connection."""
    instance: str
    """Name of the instance."""
    market: str | None = None
    set_lang: str | None = None
    count: int | None = None
    freshness: str | None = None


def _bing_custom_search(section: BingCustomSearchSection, context: ToolContext) -> Tool:
    options = section.model_dump(exclude={"bing_custom_search", "instance"})
    return BingCustomSearchTool(section.bing_custom_search, **options, instance_name=section.instance)


class FabricSection(FileSection):
    """A Microsoft Fabric data agent."""

    fabric: str
    """Id of the project's connection."""


class SharepointSection(FileSection):
    """Search in SharePoint."""

    sharepoint: str
    """Id of the project's connection."""


class BrowserAutomationSection(FileSection):
    """A browser that the service steers."""

    browser_automation: str
    """Id of the project's connection."""


class DeepResearchSection(FileSection):
    """Research over many web searches, by a model made for it."""

    deep_research: str
    """Deployment of the research model."""
    connection: str
    """Id of the project's connection to Grounding with Bing Search."""


BUILT_IN_TOOLS: tuple[ToolKind[Any], ...] = (
    ToolKind("function", FunctionSection, _function),
    ToolKind("queue", QueueSection, _queue),
    ToolKind("file_search", FileSearchSection, _file_search),
    ToolKind("code_interpreter", CodeInterpreterSection, _code_interpreter),
    ToolKind("openapi", OpenApiSection, _openapi),
    ToolKind("mcp", McpSection, _mcp),
    ToolKind("connected_agent", ConnectedAgentSection, _connected_agent),
    ToolKind("logic_app", LogicAppSection, _logic_app),
    ToolKind("azure_ai_search", AzureAISearchSection, _azure_ai_search),
    ToolKind("bing_grounding", BingGroundingSection, _bing_grounding),
    ToolKind("bing_custom_search", BingCustomSearchSection, _bing_custom_search),
    ToolKind("fabric", FabricSection, lambda section, _: FabricTool(section.fabric)),
    ToolKind("sharepoint", SharepointSection, lambda section, _: SharepointTool(section.sharepoint)),
    ToolKind(
        "browser_automation",
        BrowserAutomationSection,
        lambda section, _: BrowserAutomationTool(section.browser_automation),
    ),
    ToolKind(
        "deep_research",
        DeepResearchSection,
        lambda section, _: DeepResearchTool(section.connection, section.deep_research),
    ),
)
