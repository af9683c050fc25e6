"""The project block: Prefect's standards, how it signs in, and one workspace for all who use it at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites import BlockStandardTestSuite
from pydantic import SecretStr

from agent_tasks.blocks import AgentsProject
from agent_tasks.credentials import make_credential
from agent_tasks.errors import ConfigurationError
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
