"""The checks of `agent-tasks doctor`, against the local service and Azurite: what works and what does not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas
from pydantic import SecretStr
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from agent_tasks.doctor import Finding, Status, examine
from agent_tasks.doctor import service as service_checks
from agent_tasks.doctor.findings import as_json
from agent_tasks.doctor.local import check_journal, check_state_folder
from agent_tasks.doctor.service import RETIREMENT, Target, check_credential, check_retirement, check_service
from agent_tasks.doctor.storage import check_storage
from agent_tasks.journal import Journal
from agent_tasks.local import parts as local_parts
from agent_tasks.local.azurite import ACCOUNT, ACCOUNT_KEY, StorageAddresses
from agent_tasks.queues import Storage, StorageConnection
from agent_tasks.settings import CredentialKind, Settings
from tests.conftest import ServiceFactory

CLOUD = "https://example.services.ai.azure.com/api/projects/papers"
SECRET = "secret-token-0123456789"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("PROJECT_ENDPOINT", "MODEL_DEPLOYMENT_NAME", "PREFECT_API_URL", "STORAGE"):
        monkeypatch.delenv(name, raising=False)
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
def over_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests over httpx's own connections, whose answers respx gives."""
    monkeypatch.setattr("agent_tasks.client._async._runtime.direct_transport", lambda *_, **__: None)


async def by_check(findings: AsyncIterator[Finding]) -> dict[str, Finding]:
    found = {finding.check: finding async for finding in findings}
    for finding in found.values():
        if finding.status is Status.FAILED:
            assert finding.remedy, finding
    return found


async def test_everything_works_offline(
    settings: Settings, service: ServiceFactory, azurite: StorageAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = service()
    monkeypatch.setenv("STORAGE", azurite.connection_string.get_secret_value())
    here = Settings(
        state_dir=settings.state_dir, project_endpoint=running.endpoint, model_deployment_name="test-model"
    )
    found = await by_check(examine(here))
    assert {check: finding.status for check, finding in found.items()} | {"tool queues": Status.OK} == {
        "state folder": Status.OK,
        "journal": Status.OK,
        "approvals": Status.OK,
        "local model": Status.NOT_CONFIGURED,
        "pipeline file": Status.NOT_CONFIGURED,
        "prefect server": Status.NOT_CONFIGURED,
        "service": Status.OK,
        "retirement": Status.OK,
        "credential": Status.OK,
        "endpoint": Status.OK,
        "model deployment": Status.OK,
        "setup tier": Status.OK,
        "quota": Status.OK,
        "storage queues": Status.OK,
        "storage blobs": Status.OK,
        "tool queues": Status.OK,
    }
    assert "Eby8vdM02x" not in as_json(list(found.values()))  # the key of the account
    # Nothing is left behind.
    with running.http() as http:
        assert http.get("/assistants").json()["data"] == []
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as storage:
        assert await storage.queue_names("agent-tasks-doctor-") == []


async def test_what_is_not_configured_is_no_failure(settings: Settings) -> None:
    found = await by_check(examine(settings, start_service=False))
    assert {check: finding.status for check, finding in found.items()} == {
        "state folder": Status.OK,
        "journal": Status.OK,
        "approvals": Status.OK,
        "local model": Status.OK,
        "pipeline file": Status.NOT_CONFIGURED,
        "prefect server": Status.NOT_CONFIGURED,
        "endpoint": Status.NOT_CONFIGURED,
        "storage queues": Status.NOT_CONFIGURED,
    }


def test_a_state_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    finding = check_state_folder(Settings(state_dir=tmp_path / "state"))
    assert finding.status is Status.FAILED
    assert "AGENT_TASKS_STATE_DIR" in (finding.remedy or "")


async def test_journals_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "damaged.db").write_bytes(b"not a database at all" * 100)
    with sqlite3.connect(tmp_path / "foreign.db") as other:
        other.execute("CREATE TABLE invoices (id INTEGER)")
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute("CREATE TABLE alembic_version (version_num TEXT)")
        newer.execute("INSERT INTO alembic_version VALUES ('9999')")
    for name, said in (("damaged", "not a database"), ("foreign", "not a journal"), ("newer", "9999")):
        finding = await check_journal(Settings(journal_url=f"sqlite+aiosqlite:///{tmp_path}/{name}.db"))
        assert finding.status is Status.FAILED
        assert said in finding.detail


async def test_a_journal_is_left_as_it_was(settings: Settings) -> None:
    async with Journal(settings.journal_url.get_secret_value()):
        pass
    finding = await check_journal(settings)
    assert finding.status is Status.OK
    assert "takes what is written" in finding.detail
    async with Journal(settings.journal_url.get_secret_value()) as journal:
        assert await journal.documents.counts("agent-tasks doctor", "doctor") == {}


async def test_missing_weights_and_a_wrong_pipeline_file(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_parts, "weights_path", lambda: None)
    (tmp_path / "p.yaml").write_text("name: papers\nagent: {}\n")
    found = await by_check(examine(settings, start_service=True, pipeline=tmp_path / "p.yaml"))
    assert found["local model"].status is Status.FAILED
    assert "agent-tasks weights" in found["local model"].detail
    assert found["endpoint"].status is Status.NOT_CONFIGURED  # it was not started
    assert found["pipeline file"].status is Status.FAILED
    assert "Did you mean 'agents'" in found["pipeline file"].detail


@pytest.mark.parametrize(
    ("day", "status", "said"),
    [(date(2026, 11, 27), Status.WARNING, "in 124 days"), (date(2027, 4, 2), Status.WARNING, "2 days ago")],
)
def test_the_day_of_the_services_end(settings: Settings, day: date, status: Status, said: str) -> None:
    finding = check_retirement(Target(CLOUD, settings), day)
    assert (finding.status, said in finding.detail) == (status, True)
    local = check_retirement(Target("http://127.0.0.1:8700/api/projects/local", settings), day)
    assert local.status is Status.OK
    assert str(RETIREMENT) in local.detail


async def test_a_credential_that_gives_a_token_or_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SignedIn:
        def get_token(self, scope: str) -> AccessToken:
            assert scope == "https://ai.azure.com/.default"
            return AccessToken(SECRET, 2_000_000_000)

    class Nobody:
        def get_token(self, scope: str) -> AccessToken:
            raise ClientAuthenticationError("Please run 'az login'.\nMore.")

    target = Target(CLOUD, settings)
    monkeypatch.setattr(service_checks, "make_credential", lambda *_, **__: SignedIn())
    good = await check_credential(target)
    assert good.status is Status.OK
    assert SECRET not in as_json([good])
    monkeypatch.setattr(service_checks, "make_credential", lambda *_, **__: Nobody())
    bad = await by_check(check_service(target))
    assert bad["credential"].status is Status.FAILED
    assert "az login" in bad["credential"].detail
    assert "endpoint" not in bad  # there is nothing to ask it with


def cloud(settings: Settings) -> Target:
    signed_in = Settings(
        state_dir=settings.state_dir,
        project_endpoint=CLOUD,
        model_deployment_name="gpt-4o",
        credential=CredentialKind.TOKEN,
        token=SecretStr(SECRET),
    )
    return Target(CLOUD, signed_in)


EMPTY = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.usefixtures("over_httpx")
@respx.mock
async def test_a_basic_setup_refuses_queue_tools(settings: Settings) -> None:
    def create(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if body["tools"]:
            message = "Invalid tool value(s): azure_function"
            return httpx.Response(400, json={"error": {"message": message, "code": "invalid_value"}})
        agent = {"id": "asst_1", "object": "assistant", "created_at": 1, "model": "gpt-4o", "tools": []}
        return httpx.Response(200, json=agent)

    respx.get(f"{CLOUD}/assistants").respond(json=EMPTY)
    respx.post(f"{CLOUD}/assistants").mock(side_effect=create)
    gone = {"id": "asst_1", "object": "assistant.deleted", "deleted": True}
    deleted = respx.delete(f"{CLOUD}/assistants/asst_1").respond(json=gone)
    found = await by_check(check_service(cloud(settings)))
    assert found["setup tier"].status is Status.WARNING
    assert "drive: pipeline" in (found["setup tier"].remedy or "")
    assert found["model deployment"].status is Status.OK
    assert found["quota"].status is Status.NOT_CONFIGURED
    assert deleted.called
    assert SECRET not in as_json(list(found.values()))


@pytest.mark.usefixtures("over_httpx")
@respx.mock
async def test_a_model_that_is_not_deployed(settings: Settings) -> None:
    respx.get(f"{CLOUD}/assistants").respond(json=EMPTY)
    error = {"error": {"message": "The requested model 'gpt-4o' does not exist.", "code": "invalid_value"}}
    respx.post(f"{CLOUD}/assistants").respond(400, json=error)
    found = await by_check(check_service(cloud(settings)))
    assert found["model deployment"].status is Status.FAILED
    assert "does not exist" in found["model deployment"].detail
    assert found["setup tier"].status is Status.NOT_CONFIGURED


@pytest.mark.usefixtures("over_httpx")
@respx.mock
@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (httpx.Response(401, json={"error": {"message": "no"}}), "fresh token"),
        (httpx.Response(403, json={"error": {"message": "no"}}), "Azure AI User"),
        (httpx.Response(404, json={"error": {"message": "no"}}), "/api/projects/PROJECT"),
        (httpx.ConnectError("no route"), "network"),
    ],
)
async def test_an_endpoint_that_refuses(
    settings: Settings, answer: httpx.Response | Exception, remedy: str
) -> None:
    respx.get(f"{CLOUD}/assistants").mock(side_effect=[answer] * 3)
    found = await by_check(check_service(cloud(settings)))
    assert found["endpoint"].status is Status.FAILED
    assert remedy in (found["endpoint"].remedy or "")
    assert "model deployment" not in found


async def test_a_probe_that_was_left_behind_is_deleted(settings: Settings, service: ServiceFactory) -> None:
    running = service()
    with running.http() as http:
        http.post("/assistants", json={"model": "test-model", "name": service_checks.PROBE_NAME})
        await by_check(check_service(Target(running.endpoint, settings)))
        assert http.get("/assistants").json()["data"] == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"STORAGE": "AccountName=x"}, "is no connection string"),
        ({"STORAGE__queueServiceUri": "http://account.queue.core.windows.net"}, "plain http"),
        (
            {
                "STORAGE": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=AAAA;"
                "QueueEndpoint=http://127.0.0.1:9/devstoreaccount1"
            },
            "does not answer",
        ),
    ],
)
async def test_storage_that_cannot_be_used(values: dict[str, str], said: str) -> None:
    found = await by_check(check_storage("STORAGE", values))
    assert found["storage queues"].status is Status.FAILED
    assert said in found["storage queues"].detail
    assert "AAAA" not in as_json(list(found.values()))


async def test_a_connection_that_leads_to_queues_only(azurite: StorageAddresses) -> None:
    signature = generate_account_sas(
        *(ACCOUNT, ACCOUNT_KEY, ResourceTypes(service=True, container=True, object=True)),
        AccountSasPermissions(
            read=True, write=True, delete=True, list=True, add=True, create=True, update=True, process=True
        ),
        datetime.now(UTC) + timedelta(hours=1),
    )
    values = {"STORAGE": f"QueueEndpoint={azurite.queue};SharedAccessSignature={signature}"}
    found = await by_check(check_storage("STORAGE", values))
    assert found["storage queues"].status is Status.OK
    assert found["storage blobs"].status is Status.FAILED
    assert found["storage blobs"].detail.startswith("STORAGE cannot be used for blobs: ")
    assert "tool queues" in found


async def test_storage_that_refuses(azurite: StorageAddresses) -> None:
    wrong = azurite.connection_string.get_secret_value().replace("AccountKey=Eby8", "AccountKey=AAAA")
    found = await by_check(check_storage("STORAGE", {"STORAGE": wrong}))
    assert found["storage queues"].status is Status.FAILED
    assert "Queue Data Contributor" in (found["storage queues"].remedy or "")


def test_the_command_shows_json_and_an_exit_code(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    good = CliRunner().invoke(app, ["doctor", "--offline", "--json"])
    assert good.exit_code == 0
    assert {finding["check"] for finding in json.loads(good.stdout)} >= {"journal", "endpoint"}
    monkeypatch.setenv("STORAGE", "nonsense")
    bad = CliRunner().invoke(app, ["doctor", "--offline"])
    assert bad.exit_code == 1
    assert "failed          storage queues: " in bad.stdout
    assert "nonsense" not in bad.output
