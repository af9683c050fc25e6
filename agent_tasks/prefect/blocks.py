"""Prefect blocks: where the agents are, and how to sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from azure.core.credentials import TokenCredential
from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block, schema_extra
from pydantic import ConfigDict, Field, HttpUrl, SecretStr, field_validator, model_validator

from agent_tasks.backends.opening import LIVE, known_service, read_live
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.credentials import make_credential
from agent_tasks.errors import ConfigurationError
from agent_tasks.journal import Journal
from agent_tasks.known_names import refuse_unknown
from agent_tasks.local.servers import local_service
from agent_tasks.operations import Prices, TranscriptRules, Workspace, read_prices
from agent_tasks.pool import Pool
from agent_tasks.redaction import has_secret
from agent_tasks.settings import CredentialKind, ServiceKind, Settings


def local_scope(settings: Settings) -> str:
    """The scope under which the journal knows the local service of a state folder, whatever its port is."""
    return f"local service in {settings.state_dir}"


_OF_PREFECT = frozenset({"block_type_slug", "_block_document_id", "_block_document_name", "_is_anonymous"})
"""What Prefect adds to the fields of a block when it writes one down."""


_SETTINGS = {
    "endpoint": "PROJECT_ENDPOINT",
    "model": "MODEL_DEPLOYMENT_NAME",
    "journal_url": "AGENT_TASKS_JOURNAL_URL",
    "token": "AGENT_TASKS_TOKEN",
    "credential": "AGENT_TASKS_CREDENTIAL",
}
"""The setting in whose place a field stands."""


def _closed_schema(schema: dict[str, Any], model: type[Block]) -> None:
    """Prefect's schema of a block, closed: the server then refuses flow parameters with unknown fields."""
    schema_extra(schema, model)
    schema["additionalProperties"] = False
    schema["patternProperties"] = {f"^({'|'.join(sorted(_OF_PREFECT))})$": {}}


def _mistaken(why: str, field: str) -> ConfigurationError:
    return ConfigurationError(f"The project block is not usable: {why}. Nothing was started.", setting=field)


class AgentsProject(CredentialsBlock):
    """An Azure AI agents project and the journal of what was done in it.

    What is not given comes from the environment (`PROJECT_ENDPOINT`, `MODEL_DEPLOYMENT_NAME`, ...). Where
    that names no endpoint either, the project is the local Agents service, started when it is needed and
    stopped afterwards. A field that is not known is refused, and so is an empty one: neither may leave
    another project in force.

    Attributes:
        endpoint: Address of the project.
        credential: How to sign in.
        token: Bearer token for the credential kind `token`.
        model: Model deployment for agents that name none.
        journal_url: Database of the journal.

    Example:
        Run an agent in a flow:

        ```python
        import asyncio

        from agent_tasks import AgentsProject, AgentSpec, TurnSpec
        from agent_tasks.prefect import tasks
        from prefect import flow

        project = AgentsProject.load("BLOCK_NAME")

        @flow
        async def ask(question: str) -> str:
            spec = AgentSpec(name="helper", model="gpt-4o-mini", instructions="Answer briefly.")
            agent = await tasks.ensure_agent(project, spec, owner="ask")
            turn = TurnSpec(step="ask", agent=agent, prompt=question, owner="ask")
            return (await tasks.run_turn(project, turn)).text

        asyncio.run(ask("What is a delivery note?"))
        ```
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = "Azure AI Agents Project"
    _block_type_slug: ClassVar[str | None] = "azure-agents-project"
    _description: ClassVar[str | None] = (
        "Connects durable agent tasks to an Azure AI agents project, or to the local Agents service."
    )
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/ai-services/agents/")
    _logo_url = HttpUrl(
        "https://cdn.sanity.io/images/3ugk85nk/production/54e3fa7e00197a4fbd1d82ed62494cb58d08c96a-250x250.png"
    )

    model_config = ConfigDict(json_schema_extra=_closed_schema, hide_input_in_errors=True)

    endpoint: str | None = Field(
        default=None,
        description="Address of the project, https://RESOURCE.services.ai.azure.com/api/projects/PROJECT; "
        "left out for PROJECT_ENDPOINT or else the local service.",
    )
    credential: CredentialKind | None = Field(
        default=None,
        description="How to sign in: the usual Azure chain or one link of it, or a token; left out for "
        "AGENT_TASKS_CREDENTIAL or else the chain.",
    )
    token: SecretStr | None = Field(
        default=None, description="Bearer token for the credential kind `token`; not needed otherwise."
    )
    model: str | None = Field(
        default=None,
        description="Model deployment for agents that name none; left out for MODEL_DEPLOYMENT_NAME.",
    )
    journal_url: SecretStr | None = Field(
        default=None,
        description="Database of the journal, as sqlite+aiosqlite:///PATH or "
        "postgresql+asyncpg://USER@HOST/DB; left out for AGENT_TASKS_JOURNAL_URL or a file in the state "
        "folder.",
    )

    @field_validator("endpoint")
    @classmethod
    def _without_secrets(cls, value: str | None) -> str | None:
        """The server keeps this field in clear text, and shows it."""
        if value is not None and has_secret(value):
            raise ValueError(
                "the endpoint holds a password or a key: leave it out, and sign in by `credential`"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, values: Any) -> Any:
        if isinstance(values, dict):
            refuse_unknown(
                values.keys() - _OF_PREFECT, cls.model_fields.keys(), where="A field of the project block"
            )
        return values

    @model_validator(mode="after")
    def _says_one_thing(self) -> AgentsProject:
        for name in type(self).model_fields:
            value = getattr(self, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            if text is not None and not text.strip():
                raise _mistaken(
                    f"its `{name}` is empty. Leave it out for the environment's, or give a value", name
                )
        if self.token is not None and self.credential is not CredentialKind.TOKEN:
            raise _mistaken(
                "it has a `token`, which only the `credential` token uses. Set that too", "credential"
            )
        return self

    def settings(self) -> Settings:
        """The environment's settings with what this block says on top of them.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        given: dict[str, Any] = {
            "project_endpoint": self.endpoint,
            "model_deployment_name": self.model,
            "journal_url": self.journal_url,
            "token": self.token,
            "credential": self.credential,
        }
        named = {name: value for name, value in given.items() if value is not None}
        try:
            return Settings(**named)
        except ConfigurationError as error:
            field = next((own for own, setting in _SETTINGS.items() if setting == error.setting), "")
            if field and getattr(self, field) is not None:
                raise _mistaken(f"its `{field}`, used as {error}", field) from None
            raise

    def get_client(self, *args: Any, **kwargs: Any) -> AsyncAgentsClient:
        """A client for the project's endpoint, to be closed by the caller.

        Keyword arguments go to `AsyncAgentsClient`.

        Raises:
            ConfigurationError: there is no endpoint; the local service is reached through `workspace`.
        """
        settings = self.settings()
        if settings.project_endpoint is None:
            raise ConfigurationError(
                "The block names no endpoint and PROJECT_ENDPOINT is not set. Set one of them; the local "
                "service is reached through `workspace()`.",
                setting="PROJECT_ENDPOINT",
            )
        credential = _credential(settings, settings.project_endpoint)
        return AsyncAgentsClient(settings.project_endpoint, credential, *args, **kwargs)

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Workspace]:
        """The project's service and journal, open.

        It is one for all tasks of this process that use it at the same time.

        Raises:
            ConfigurationError: a setting is not valid.
            JournalError: the journal can't be read.
            EmbeddedServiceError: the local service did not start.
        """
        settings = self.settings()
        key = tuple(settings.model_dump().items())
        async with _workspaces.use(key, lambda: open_workspace(settings)) as workspace:
            yield workspace


_workspaces: Pool[Workspace] = Pool("workspaces")
"""Workspaces in use; the last user closes."""


def _credential(settings: Settings, endpoint: str) -> TokenCredential | SecretStr | None:
    return make_credential(settings.credential, settings.token, endpoint=endpoint)


async def load_project(project: AgentsProject | str | None) -> AgentsProject:
    """A project given as a block, as the name of a saved block, or not at all (the environment's).

    Raises:
        ConfigurationError: there is no block of that name, or it does not say where the project is.
    """
    if project is None:
        return AgentsProject()
    if isinstance(project, AgentsProject):
        return project
    if not isinstance(project, str):
        raise ConfigurationError(
            f"`project` takes a project block, the name of a saved one, or nothing; this is a "
            f"{type(project).__name__}.",
            setting="project",
        )
    try:
        loaded: Any = await AgentsProject.aload(project)
    except (ValueError, RuntimeError) as error:  # Prefect's words for: none there; its content is not valid
        known = "does not fit" if isinstance(error, RuntimeError) else "cannot be found"
        raise ConfigurationError(
            f"The project block {project!r} {known} on the Prefect server. Save it: "
            f"AgentsProject(endpoint=...).save({project!r}).",
            setting="project",
        ) from error
    assert isinstance(loaded, AgentsProject)  # noqa: S101 - `aload` is typed too loosely
    # Saving writes every field; one that is missing was lost, or left out in a form.
    if "endpoint" not in loaded.model_fields_set:
        raise ConfigurationError(
            f"The saved project block {project!r} has no field `endpoint`, so another project would be used. "
            f"Save it again: AgentsProject(endpoint=...).save({project!r}, overwrite=True).",
            setting="endpoint",
        )
    return loaded


@asynccontextmanager
async def open_workspace(settings: Settings) -> AsyncIterator[Workspace]:
    """The service and the journal that the settings name; without an endpoint the local service is started.

    Raises:
        JournalError: the journal can't be read.
        EmbeddedServiceError: the local service did not start.
    """
    journal_url = settings.journal_url.get_secret_value()
    prices = read_prices(settings.prices)
    service, endpoint = settings.service_kind, settings.service_endpoint
    if endpoint:
        is_inline = service is ServiceKind.INLINE
        credential = settings.openai_api_key if is_inline else _credential(settings, endpoint)
        if service is ServiceKind.AUTO:
            service = await known_service(endpoint, credential, settings.state_dir / "services.json")
        async with Workspace.open(
            endpoint,
            credential,
            journal_url,
            lease_seconds=settings.lease_seconds,
            service=service,
            told=read_live(endpoint, settings.state_dir / LIVE),
        ) as workspace:
            _take(settings, workspace, prices)
            yield workspace
        return
    async with (
        Journal(journal_url, lease_seconds=settings.lease_seconds) as journal,  # before anything is started
        local_service(settings) as local,
        Workspace.over(journal, local, None, scope=local_scope(settings), service=service) as workspace,
    ):
        _take(settings, workspace, prices)
        yield workspace


def _take(settings: Settings, workspace: Workspace, prices: Prices) -> None:
    """Give a workspace what settings say and no service needs."""
    workspace.prices = prices
    workspace.transcripts = TranscriptRules(settings.transcript_days, settings.show_content)
