"""The project block: Prefect's standards, how it signs in, and one workspace for all who use it at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.testing.standard_test_suites import BlockStandardTestSuite
from pydantic import SecretStr, TypeAdapter

from agent_tasks.credentials import make_credential
from agent_tasks.errors import ConfigurationError
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.settings import CredentialKind
from tests.conftest import ServiceFactory

AZURE = "https://example.services.ai.azure.com/api/projects/p"


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    for name in ("PROJECT_ENDPOINT", "AGENT_TASKS_TOKEN", "AGENT_TASKS_CREDENTIAL"):
        monkeypatch.delenv(name, raising=False)


class TestAgentsProject(BlockStandardTestSuite):
    """Prefect's standard suite for blocks."""

    @pytest.fixture
    def block(self) -> type[Block]:
        return AgentsProject

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """In place of the suite's own, which downloads the logo: tests need no network."""
        assert str(block._logo_url).startswith("https://")


def test_the_slug_never_changes() -> None:
    assert AgentsProject.get_block_type_slug() == "azure-agents-project"


def test_a_token_is_not_shown() -> None:
    project = AgentsProject(endpoint=AZURE, credential=CredentialKind.TOKEN, token=SecretStr("s3cret-token"))
    assert "s3cret-token" not in repr(project) + str(project) + project.model_dump_json()
    assert "s3cret-token" not in repr(project.settings())


def test_the_usual_chain_signs_in_to_azure_but_not_to_this_machine() -> None:
    assert type(make_credential(CredentialKind.DEFAULT, endpoint=AZURE)).__name__ == "DefaultAzureCredential"
    assert make_credential(CredentialKind.DEFAULT, endpoint="http://127.0.0.1:8000/api/projects/p") is None
    assert make_credential(CredentialKind.TOKEN, SecretStr("t"), endpoint=AZURE) == SecretStr("t")
    with pytest.raises(ConfigurationError, match="AGENT_TASKS_TOKEN"):
        make_credential(CredentialKind.TOKEN, endpoint=AZURE)


def test_a_client_needs_an_endpoint() -> None:
    with pytest.raises(ConfigurationError, match="PROJECT_ENDPOINT"):
        AgentsProject().get_client()


async def test_users_at_the_same_time_share_one_workspace(service: ServiceFactory) -> None:
    project = AgentsProject(endpoint=service().endpoint)

    async def use() -> int:
        async with project.workspace() as ws:
            await asyncio.sleep(0.05)
            assert [agent async for agent in ws.backend._client.agents.list()] == []  # type: ignore[attr-defined]
            return id(ws)

    assert len(set(await asyncio.gather(*(use() for _ in range(4))))) == 1
    async with project.workspace() as ws:
        assert await ws.backend.exists("agent", "asst_000000000000000000000000") is False


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"endpiont": AZURE}, "'endpiont' is not known. Did you mean 'endpoint'"),
        ({"journalUrl": "postgresql+asyncpg://me:s3cret@host/db"}, "Did you mean 'journal_url'"),
        ({"endpoint": AZURE, "tokn": "s3cret"}, "Did you mean 'token'"),
        ({"endpoint": ""}, "its `endpoint` is empty"),
        ({"endpoint": AZURE, "journal_url": " "}, "its `journal_url` is empty"),
        ({"endpoint": AZURE, "token": "s3cret"}, "only the `credential` token uses"),
        ({"endpoint": AZURE, "token": "s3cret", "credential": "cli"}, "only the `credential` token uses"),
        ({"endpoint": AZURE, "token": "", "credential": "token"}, "its `token` is empty"),
    ],
)
def test_a_mistaken_field_is_refused_and_not_dropped(values: dict[str, str], said: str) -> None:
    for make in (lambda: AgentsProject(**values), lambda: AgentsProject.model_validate(dict(values))):
        with pytest.raises(ConfigurationError, match=said) as refused:
            make()
        assert "s3cret" not in str(refused.value)


def test_a_field_that_cannot_be_used_is_told_as_that_of_the_block() -> None:
    project = AgentsProject(endpoint=AZURE, journal_url="postgresql+asyncpg://me:s3cret@host/db?sslmode=on")
    with pytest.raises(ConfigurationError, match=r"its `journal_url`.*ssl=require") as refused:
        project.settings()
    assert "s3cret" not in str(refused.value)
    assert refused.value.setting == "journal_url"
    with pytest.raises(ConfigurationError, match=r"its `endpoint`.*is not a web address"):
        AgentsProject(endpoint="my-project").settings()


def test_what_a_block_says_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_CREDENTIAL", "token")
    monkeypatch.setenv("AGENT_TASKS_TOKEN", "s3cret-of-the-environment")
    assert AgentsProject(endpoint=AZURE).settings().credential is CredentialKind.TOKEN
    assert AgentsProject(endpoint=AZURE, credential="default").settings().credential is CredentialKind.DEFAULT


def test_the_schema_is_closed_but_for_what_prefect_adds() -> None:
    import jsonschema

    schema = TypeAdapter(AgentsProject).json_schema()  # as it stands in the parameters of a flow
    jsonschema.validate({"endpoint": AZURE, "block_type_slug": "azure-agents-project"}, schema)
    jsonschema.validate(AgentsProject(endpoint=AZURE).model_dump(mode="json"), schema)
    with pytest.raises(jsonschema.ValidationError, match="tokn"):
        jsonschema.validate({"endpoint": AZURE, "tokn": "x"}, schema)


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_saved_blocks_are_loaded_whole_or_not_at_all() -> None:
    await AgentsProject(endpoint=AZURE, credential="managed_identity").asave("whole", overwrite=True)
    assert (await load_project("whole")).endpoint == AZURE
    await AgentsProject().asave("of-the-environment", overwrite=True)  # said on purpose
    assert (await load_project("of-the-environment")).endpoint is None
    for name, data, said in (
        ("lost", {"model": "m"}, "no field `endpoint`"),
        ("misspelt", {"endpiont": AZURE, "endpoint": AZURE}, "Did you mean 'endpoint'"),
        ("of-another-kind", {"endpoint": AZURE, "credential": "passport"}, "does not fit"),
    ):
        block = AgentsProject(endpoint=AZURE)
        await block.asave(name, overwrite=True)
        async with get_client() as client:
            assert block._block_document_id is not None
            update = BlockDocumentUpdate(
                block_schema_id=block._block_schema_id, data=data, merge_existing_data=False
            )
            await client.update_block_document(block._block_document_id, update)
        with pytest.raises(ConfigurationError, match=said):
            await load_project(name)
    for name in ("never-saved", ""):
        with pytest.raises(ConfigurationError, match="cannot be found"):
            await load_project(name)
    with pytest.raises(ConfigurationError, match="this is a dict"):
        await load_project({"endpoint": AZURE})  # type: ignore[arg-type]
