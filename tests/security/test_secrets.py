"""Secrets are planted in every place that takes one, and looked for wherever they could be seen.

Three whole processes are watched: a batch that succeeds, one whose model refuses and repeats what it was sent
(with --debug), and the doctor. Looked through are the arguments and environments of all processes that they
start, what they print, all their logs at DEBUG, their spans, and every file of the state folder, the results
and the home folder: Prefect's database (events, artifacts, logs, parameters), the journal, the service's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import SecretStr, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from typer.testing import CliRunner

from agent_tasks import logs, redaction
from agent_tasks.backends.base import ServerAccess, TurnRequest
from agent_tasks.cli.app import app
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.client._requests import ServiceRequest
from agent_tasks.doctor.findings import failed
from agent_tasks.errors import AgentTasksError, ConfigurationError, RunFailedError, ServiceError
from agent_tasks.journal import Journal
from agent_tasks.journal.databases import database_at
from agent_tasks.local.azurite import Azurite
from agent_tasks.local.child_environment import for_azurite, for_npm
from agent_tasks.local.functions_host import AppFolder
from agent_tasks.local.functions_host.worker import AppWorker
from agent_tasks.local.servers import local_service, prefect_server
from agent_tasks.operations import AgentSpec
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.queues import StorageConnection
from agent_tasks.settings import CredentialKind, Settings
from agent_tasks.tools import McpTool
from agent_tasks.wire import CreateAgentRequest, ToolApproval
from agents_emulator.models import ChatMessage, ChatRequest, load_model
from agents_emulator.server import main as emulator_main
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.base import ToolError, ToolServices, ToolSetupError
from agents_emulator.tools.settings import Secret
from tests.batch.support import SMALL
from tests.emulator.tools.test_openapi import serve
from tests.support.azurite import STATE_DIR
from tests.support.postgresql import find_programs, postgres_server
from tests.support.secret_search import Watch, files_below, places_of

SECRET = "pl4nted-s3cret-0f9e8d7c6b"
ACCOUNT = "DefaultEndpointsProtocol=https;AccountName=papers;AccountKey={};EndpointSuffix=core.windows.net"

# --- whole processes ---------------------------------------------------------------------------------------


def planted(name: str) -> str:
    """The secret of a place; no other has it."""
    return f"pl4nted-{name.replace(' ', '-')}-7c6b"


PLACES: dict[str, tuple[str, ...]] = {
    "token of the service": (),
    "password of the journal": (),
    "password of the model address": ("service",),
    "key in the model address": ("service",),
    "key of the model": ("service",),
    "value in the tools file": (),
    "variable of the tools file": ("service",),
    "connection in the tools file": (),
    "identity token in the tools file": (),
    "storage account in the tools file": (),
    "storage account of queue tools": (),
    "prefect key of another server": (),
    "prefect auth string of another server": (),
    "http proxy": ("service", "prefect"),
    "https proxy": ("service", "prefect"),
    "azure client secret": (),
    "token of another emulator": (),
    "headers of the telemetry exporter": (),
    "secret of some other program": (),
}
"""Each place, and which children may have it in their environment."""

WRAPPER = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, filename="everything.log")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=open("spans.json", "w"))))
trace.set_tracer_provider(provider)
from agent_tasks.cli import main
main()
"""


async def _answers(request: Request) -> Response:
    """An endpoint that extracts, and one that refuses and repeats all that it was sent."""
    if request.path_params["mood"] == "broken":
        told = f"refused {request.url} with {dict(request.headers)}"
        return JSONResponse({"error": {"message": told, "code": "invalid_api_key"}}, 401)
    chunk = {"choices": [{"delta": {"content": '{"number": "P-1"}'}, "finish_reason": "stop"}]}
    lines = [f"data: {json.dumps(chunk)}\n\n", "data: [DONE]\n\n"]
    return StreamingResponse(iter(lines), media_type="text/event-stream")


@dataclass
class World:
    """A folder in which commands run, with secrets in all places."""

    folder: Path
    endpoint: str
    journal: str | None
    seen: Watch = field(default_factory=lambda: Watch(0))
    contents: list[tuple[str, bytes]] = field(default_factory=list)

    def environment(self, mood: str) -> dict[str, str]:
        proxy = "http://someone:{}@proxy.invalid:3128"
        model = f"{planted('password of the model address')}@{self.endpoint}/{mood}/v1"
        key = planted("key in the model address")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "AGENT_TASKS_STATE_DIR": str(self.folder / "state"),
            "AGENT_TASKS_KEEP_SERVERS": "0",
            "AGENT_TASKS_LOCAL_MODEL": f"openai:http://me:{model}?key={key}#m",
            "AGENT_TASKS_LOCAL_TOOLS_FILE": str(self.folder / "tools.yaml"),
            "AGENT_TASKS_CREDENTIAL": "token",
            "AGENT_TASKS_TOKEN": planted("token of the service"),
            **({"AGENT_TASKS_JOURNAL_URL": self.journal} if self.journal else {}),
            "AGENTS_EMULATOR_OPENAI_API_KEY": planted("key of the model"),
            "AGENTS_EMULATOR_TOKEN": planted("token of another emulator"),
            "SHOP_KEY": planted("variable of the tools file"),
            "STORAGE": ACCOUNT.format(planted("storage account of queue tools")).replace("https", "http", 1)
            + ";QueueEndpoint=http://127.0.0.1:9/papers",
            "PREFECT_API_KEY": planted("prefect key of another server"),
            "PREFECT_API_AUTH_STRING": f"me:{planted('prefect auth string of another server')}",
            "HTTP_PROXY": proxy.format(planted("http proxy")),
            "HTTPS_PROXY": proxy.format(planted("https proxy")),
            "NO_PROXY": "127.0.0.1,localhost",
            "AZURE_CLIENT_SECRET": planted("azure client secret"),
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={planted('headers of the telemetry exporter')}",
            "DEPLOY_PASSWORD": planted("secret of some other program"),
        }

    def prepare(self) -> None:
        for name in ("documents", "home"):
            (self.folder / name).mkdir()
        (self.folder / "documents" / "a.txt").write_text("Paper P-1")
        (self.folder / "pipeline.yaml").write_text(SMALL)
        (self.folder / "wrapper.py").write_text(WRAPPER)
        hosts: dict[str, Any] = {"hosts": ["shop.example"]}
        tools = {
            "connections": {
                "shop": {"value": planted("connection in the tools file"), "header": "x-api-key", **hosts},
                "depot": {"value_env": "SHOP_KEY", "query": "code", **hosts},
                "store": {"value": planted("value in the tools file"), "query": "key", **hosts},
            },
            "managed_identity": {
                "https://shop": {"value": planted("identity token in the tools file"), **hosts}
            },
            "storage": {"default": {"value": ACCOUNT.format(planted("storage account in the tools file"))}},
        }
        (self.folder / "tools.yaml").write_text(yaml.safe_dump(tools))

    def run(self, mood: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and keep whatever could be seen of it."""
        process = subprocess.Popen(
            [sys.executable, "wrapper.py", *arguments],
            cwd=self.folder,
            env=self.environment(mood),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with Watch(process.pid, self.seen.processes):
            out, err = process.communicate(timeout=240)
        name = " ".join(arguments)
        self.contents += [(f"output of {name}", out.encode()), (f"errors of {name}", err.encode())]
        for file in ("everything.log", "spans.json"):
            self.contents.append((f"{file} of {name}", (self.folder / file).read_bytes()))
            (self.folder / file).unlink()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    async def journal_rows(self) -> str:
        """All rows of all tables of the journal, where it is not a file of the state folder."""
        import sqlalchemy as sa

        def rows(connection: sa.Connection) -> list[Any]:
            tables = sa.inspect(connection).get_table_names()
            return [
                connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all()
                for name in tables
            ]

        database = database_at(self.journal or "")
        try:
            return repr(await database.read(rows))
        finally:
            await database.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All three commands have been run."""
    endpoint = Starlette(routes=[Route("/{mood}/v1/chat/completions", _answers, methods=["POST"])])
    programs = find_programs()
    with serve(endpoint) as origin:
        if programs is None:
            yield _ran(World(tmp_path_factory.mktemp("secrets"), origin.removeprefix("http://"), None))
            return
        with postgres_server(programs) as server:
            address = asyncio.run(server.new_database())
            plain = f"&user=tests&password={planted('password of the journal')}"
            address = address.replace("tests@/", "/") + plain
            yield _ran(World(tmp_path_factory.mktemp("secrets"), origin.removeprefix("http://"), address))


def _ran(world: World) -> World:
    world.prepare()
    arguments = ("run", "documents", "--pipeline", "pipeline.yaml", "--quiet")
    good = world.run("good", *arguments, "--out", "out", "--fail-on", "needs_review")
    assert good.returncode == 0, good.stderr
    bad = world.run("broken", "--debug", *arguments, "--out", "out-bad", "--fail-on", "failed")
    assert bad.returncode == 0 or "All" in bad.stderr or "failed" in bad.stdout, bad.stderr
    for options in ((), ("--json",)):
        examined = world.run("good", "doctor", *options)
        assert '"endpoint"' in examined.stdout or "endpoint" in examined.stdout, examined.stderr
    if world.journal:
        world.contents.append(("rows of the journal", asyncio.run(world.journal_rows()).encode()))
    names = ("state", "home", "out", "out-bad")
    world.contents += files_below(*(world.folder / name for name in names))
    return world


@pytest.mark.timeout(600)
@pytest.mark.attack(long=True)
@pytest.mark.parametrize("place", PLACES)
def test_planted_in_a_whole_run(world: World, place: str) -> None:
    if place == "password of the journal" and world.journal is None:
        pytest.skip("there is no PostgreSQL server on this machine (Debian's package: postgresql)")
    kinds = {seen.kind for seen in world.seen.processes}
    assert {"service", "prefect"} <= kinds
    found = places_of(planted(place), world.seen.processes, world.contents, allowed=PLACES[place])
    assert found == []


@pytest.mark.skipif(not os.environ.get("AGENT_TASKS_ALL_ATTACKS"), reason="long: tried by `make security`")
@pytest.mark.timeout(600)
def test_the_search_looks_where_it_says(world: World) -> None:
    """What is known to be there is found: a document's text, the service's key, a variable of every child."""
    searched = places_of("Paper P-1", [], world.contents)
    assert any("service" in name for name in searched)
    assert places_of("papers", [], world.contents)
    assert any("prefect.db" in name for name, _ in world.contents)
    if world.journal:
        assert "rows of the journal" in places_of("a.txt", [], world.contents)
    assert any(content for name, content in world.contents if name.startswith("spans.json"))
    key = planted("key of the model")
    assert places_of(key, world.seen.processes, []) == ["environment of service"] * len(
        {seen for seen in world.seen.processes if seen.kind == "service"}
    )


@pytest.mark.parametrize("form", ["printed", "in base64", "in an address", "argument", "environment"])
def test_a_planted_leak_is_found(form: str, tmp_path: Path) -> None:
    import base64
    import time

    leak = {
        "printed": SECRET,
        "in base64": base64.b64encode(f"me:{SECRET}".encode()).decode(),
        "in an address": f"http://me:{SECRET}@host",
    }.get(form, "nothing")
    arguments = [SECRET] if form == "argument" else []
    variables = {"NAME": SECRET} if form == "environment" else {}
    inner = [sys.executable, "-c", "import time; time.sleep(1)", *arguments]
    code = f"import subprocess; subprocess.run({inner!r}, env={variables!r}); print({leak!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with Watch(process.pid) as seen:
        output, _ = process.communicate(timeout=60)
        time.sleep(0.1)
    assert len(places_of(SECRET, seen.processes, [("output", output)])) == 1


# --- refused: addresses and arguments that would be shown ---------------------------------------------------

REFUSED_SETTINGS = {
    "user in PROJECT_ENDPOINT": ("PROJECT_ENDPOINT", f"https://me:{SECRET}@host/api/projects/p"),
    "key in PROJECT_ENDPOINT": ("PROJECT_ENDPOINT", f"https://host/api/projects/p?code={SECRET}"),
    "token as user in PROJECT_ENDPOINT": ("PROJECT_ENDPOINT", f"https://{SECRET}@host/api/projects/p"),
    "user in PREFECT_API_URL": ("PREFECT_API_URL", f"http://me:{SECRET}@host:4200/api"),
    "no address in PROJECT_ENDPOINT": ("PROJECT_ENDPOINT", f"me:{SECRET}"),
    "no model": ("AGENT_TASKS_LOCAL_MODEL", f"opnai:http://me:{SECRET}@host/v1"),
    "journal with a password in its port": (
        "AGENT_TASKS_JOURNAL_URL",
        f"postgresql+asyncpg://me:x@host:{SECRET}/db",
    ),
    "journal of another kind": ("AGENT_TASKS_JOURNAL_URL", f"mysql://me:{SECRET}@host/db"),
    "journal that does not answer": (
        "AGENT_TASKS_JOURNAL_URL",
        f"postgresql+asyncpg://127.0.0.1:9/db?user=u&password={SECRET}",
    ),
    "journal with a password of odd signs": (
        "AGENT_TASKS_JOURNAL_URL",
        f"postgresql+asyncpg://me:a/b?c{SECRET}@127.0.0.1:9/db",
    ),
    "key of a storage account": ("STORAGE", f"AccountName;AccountKey={SECRET}"),
    "signature in a storage address": (
        "STORAGE__queueServiceUri",
        f"https://a.queue.core.windows.net?sv=1&sig={SECRET}",
    ),
}


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An empty folder and environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("AGENT_TASKS_", "AGENTS_EMULATOR_", "PREFECT_API", "PROJECT_", "STORAGE")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.attack
@pytest.mark.parametrize("command", [["doctor", "--offline"], ["doctor", "--offline", "--json"]])
@pytest.mark.parametrize("place", REFUSED_SETTINGS)
def test_a_setting_that_cannot_be_used(
    place: str, command: list[str], person: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name, value = REFUSED_SETTINGS[place]
    person.setenv(name, value)
    monkey_seconds = "agent_tasks.journal.postgresql.OPEN_SECONDS"
    person.setattr(monkey_seconds, 0.1)
    with caplog.at_level(logging.DEBUG):
        shown = CliRunner().invoke(app, command)
    assert shown.exit_code in (1, 2), shown.output
    assert name.partition("__")[0] in shown.output
    assert SECRET not in shown.output + caplog.text


@pytest.mark.attack
@pytest.mark.parametrize(
    "options",
    [["--token", SECRET], [f"--token={SECRET}"], ["--model", f"openai:http://me:{SECRET}@127.0.0.1/v1"]],
    ids=["token", "token with =", "password of the model"],
)
@pytest.mark.parametrize("program", ["agent-tasks emulator", "agents_emulator"])
def test_a_secret_among_arguments_is_refused(
    program: str,
    options: list[str],
    person: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    person.setattr(os, "execve", lambda *_: pytest.fail("the service was started"))
    if program == "agents_emulator":
        with pytest.raises(SystemExit) as stopped:
            emulator_main(["--data-dir", str(tmp_path), "--model", "smollm2", *options])
        code, shown = stopped.value.code, capsys.readouterr().err
    else:
        invoked = CliRunner().invoke(app, ["emulator", *options])
        code, shown = invoked.exit_code, invoked.output
    assert code == 2
    assert ("--token-file" if "token" in options[0] else "AGENTS_EMULATOR_MODEL") in shown
    assert SECRET not in shown


@pytest.mark.attack
def test_a_token_file_that_others_may_read_is_refused(
    person: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(SystemExit):
        emulator_main(
            ["--data-dir", str(tmp_path), "--model", "smollm2", "--token-file", str(tmp_path / "token")]
        )
    shown = capsys.readouterr().err
    assert "chmod 600" in shown
    assert SECRET not in shown


def test_a_token_comes_from_standard_input(person: pytest.MonkeyPatch) -> None:
    import io

    handed: list[dict[str, str]] = []
    person.setattr(os, "execve", lambda program, command, environment: handed.append(environment))
    person.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    from agent_tasks.cli.emulator import become_emulator

    become_emulator("127.0.0.1", 0, None, "smollm2", "-", "warning")
    assert handed[0]["AGENTS_EMULATOR_TOKEN"] == SECRET


# --- texts --------------------------------------------------------------------------------------------------

TEXTS = {
    "connection string": ACCOUNT.format(SECRET),
    "shared access signature": f"SharedAccessSignature=sv=2026&sig={SECRET}%3D",
    "callback address of a Logic App": f"https://prod.logic.azure.com/w?api-version=1&sp=%2F&sig={SECRET}",
    "function key": f"https://app.azurewebsites.net/api/f?code={SECRET}",
    "password in an address": f"postgresql+asyncpg://me:{SECRET}@host/db",
    "password in a query": f"postgresql+asyncpg://host/db?user=u&password={SECRET}&ssl=require",
    "token as user": f"https://{SECRET}@host/x",
    "password with @ / and ?": f"postgresql://me:p@a/b?c{SECRET}@host/db",
    "proxy": f"Cannot connect to proxy http://someone:{SECRET}@proxy:3128.",
    "Authorization header": f"headers {{'Authorization': 'Bearer {SECRET}', 'accept': '*/*'}}",
    "Authorization in bytes": f"[(b'Authorization', b'Basic {SECRET}')]",
    "bearer token in a sentence": f"The token Bearer {SECRET} is expired.",
    "api-key header": f"api-key: {SECRET}",
    "JSON": json.dumps({"token": SECRET, "other": 1}),
    "DSN": f"host=db user=u password={SECRET} dbname=x",
    "JSON Web Token": f"eyJhbGciOiJSUzI1NiJ9.{SECRET}.c2lnbmF0dXJl",
}


@pytest.mark.attack
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_secret_in_a_text_is_hidden_by_its_form(text: str) -> None:
    errors: list[BaseException] = [
        AgentTasksError(text),
        ConfigurationError(text),
        ServiceError(text, status=400),
        RunFailedError(text),
        ToolError(text),
        ToolSetupError("server_error", text),
    ]
    told = [redaction.redacted(text), repr(failed("check", text, "Nothing."))]
    for error in errors:
        told += [str(error), repr(error), str(vars(error))]
    assert SECRET not in "\n".join(told)
    assert redaction.redacted(text) == redaction.redacted(redaction.redacted(text))


@pytest.mark.parametrize(
    "text",
    [
        "PROJECT_ENDPOINT is not set; sign in (`az login`) or set AGENT_TASKS_TOKEN.",
        "http://127.0.0.1:4200/api answers, version 3.9.1; ask me@example.com",
        "http://127.0.0.1:8700/api/projects/local?api-version=v1&limit=20&after=asst_1",
        "Basic authentication and bearer tokens are refused; 12 prompt_tokens=5 code=400.",
        "sqlite+aiosqlite:////srv/state/journal.db",
        "postgresql+asyncpg://me@host/journal",
        "Keys: monkey=1, key figures, password of the person",
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redaction.redacted(text) == text


def test_texts_that_are_made_to_be_slow_take_no_time() -> None:
    import time

    for part in ("://", "a://b:", "Bearer ", "password=", "?a-", "eyJaaaaaaa.", "token", "authorization:"):
        started = time.process_time()
        redaction.redacted(part * (60_000 // len(part)) + " key")
        assert time.process_time() - started < 2, part


@pytest.mark.attack
@pytest.mark.parametrize(
    "name", [*logs.GUARDED, "agent_tasks.journal", "agents_emulator", "agent_tasks.batch.context"]
)
def test_a_record_is_looked_through_with_its_traceback(name: str, caplog: pytest.LogCaptureFixture) -> None:
    try:
        try:
            raise ValueError(f"Invalid port: http://me:{SECRET}@host")
        except ValueError as cause:
            raise RuntimeError("no connection") from cause
    except RuntimeError:
        with caplog.at_level(logging.DEBUG, logger=name):
            logger = logging.getLogger(name) if name in logs.GUARDED else logs.get_logger(name)
            logger.error("at %s", f"https://logic/x?sig={SECRET}", exc_info=True)
    assert SECRET not in caplog.text
    if logging.getLogger(name).propagate:
        assert "no connection" in caplog.text


@pytest.mark.attack
def test_an_address_in_the_log_of_httpx(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with caplog.at_level(logging.DEBUG), httpx.Client(transport=transport) as http:
        http.post(f"https://me:{SECRET}@logic.example/x?sig={SECRET}")
    assert "logic.example" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.attack
async def test_the_address_of_a_model_in_logs_and_errors(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": f"no {request.url} {request.headers}"})

    model: Any = load_model(f"openai:http://me:{SECRET}@127.0.0.1:9/v1?key={SECRET}#m")
    model._client._transport = httpx.MockTransport(refuse)
    model._client._mounts = {}
    request = ChatRequest("m", [ChatMessage("user", "Hello")])
    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="answered 401") as raised:
        async for _ in model.generate(request):
            pass
    assert SECRET not in str(raised.value) + repr(raised.value) + caplog.text + model.name
    await model.aclose()


# --- objects as text ---------------------------------------------------------------------------------------


def _settings() -> Settings:
    return Settings(
        credential=CredentialKind.TOKEN,
        token=SecretStr(SECRET),
        journal_url=f"postgresql+asyncpg://host/db?user=u&password={SECRET}",
        local_model=f"openai:http://me:{SECRET}@127.0.0.1/v1?key={SECRET}",
    )


def _project() -> AgentsProject:
    return AgentsProject(
        credential=CredentialKind.TOKEN,
        token=SecretStr(SECRET),
        journal_url=SecretStr(f"postgresql+asyncpg://u:{SECRET}@host/db"),
    )


_RESOURCES: dict[str, Any] = {"mcp": [{"server_label": "docs", "headers": {"x-key": SECRET}}]}

OBJECTS: dict[str, Callable[[], Any]] = {
    "settings": _settings,
    "block": _project,
    "block as JSON": lambda: _project().model_dump_json(),
    "settings of a block": lambda: _project().settings(),
    "storage connection": lambda: StorageConnection.from_string(ACCOUNT.format(SECRET)),
    "MCP tool": lambda: McpTool("docs", "https://mcp.example", headers={"x-key": SECRET}),
    "configuration of the service": lambda: ServiceConfig(token=SECRET),
    "value of a tools file": lambda: Secret(value=SecretStr(SECRET)),
    "client": lambda: AsyncAgentsClient("http://127.0.0.1:1/api/projects/p", SecretStr(SECRET)),
    "local service to start": lambda: vars(local_service(_settings()))["spec"],
    "agent": lambda: AgentSpec(name="a", model="m", instructions="i", tool_resources=_RESOURCES),
    "agent on the wire": lambda: CreateAgentRequest.model_validate(
        {"model": "m", "tool_resources": _RESOURCES}
    ),
    "approval on the wire": lambda: ToolApproval(
        tool_call_id="call_1", approve=True, headers={"x-key": SECRET}
    ),
    "turn to be started": lambda: TurnRequest(
        "asst_1", "Hello", servers=(ServerAccess("docs", headers={"x-key": SECRET}),)
    ),
    "request of the client": lambda: ServiceRequest(
        "POST", "/threads/runs", body={"tool_resources": _RESOURCES}
    ),
    "journal": lambda: Journal(_settings().journal_url.get_secret_value()),
}


@pytest.mark.attack
@pytest.mark.parametrize("thing", OBJECTS)
def test_an_object_as_text(thing: str, person: pytest.MonkeyPatch) -> None:
    made = OBJECTS[thing]()
    assert SECRET not in f"{made!r} {made}"


@pytest.mark.attack
def test_a_block_that_would_be_stored_with_a_password_is_refused() -> None:
    with pytest.raises(ValidationError) as raised:
        AgentsProject(endpoint=f"https://me:{SECRET}@host/api/projects/p")
    assert SECRET not in str(raised.value)


@pytest.mark.attack
def test_headers_of_runs_in_the_tools_of_the_service() -> None:
    names = {field.name: field.repr for field in ToolServices.__dataclass_fields__.values()}
    assert names["secrets"] is False


@pytest.mark.attack
async def test_the_address_of_the_journal_in_its_messages() -> None:
    database = database_at(f"postgresql+asyncpg://127.0.0.1:9/db?user=u&password={SECRET}")
    assert "127.0.0.1:9/db" in database.address
    assert SECRET not in database.address
    await database.close()


@pytest.mark.attack
def test_a_password_in_an_unknown_option_of_the_journal_s_address() -> None:
    with pytest.raises(ConfigurationError, match="unknown option 'sslpassword'") as raised:
        database_at(f"postgresql+asyncpg://u:{SECRET}@127.0.0.1:9/db?sslpassword={SECRET}")
    assert SECRET not in f"{raised.value} {raised.value!r}"


# --- children ----------------------------------------------------------------------------------------------


@pytest.fixture
def secretive(person: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment full of secrets that no child has anything to do with."""
    for name in (
        *("AGENT_TASKS_TOKEN", "AGENTS_EMULATOR_TOKEN", "AGENTS_EMULATOR_OPENAI_API_KEY", "PREFECT_API_KEY"),
        *("AZURE_CLIENT_SECRET", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DATABASE_URL"),
    ):
        person.setenv(name, SECRET)
    person.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    return person


@pytest.mark.attack
@pytest.mark.parametrize("child", ["prefect server", "local service", "azurite", "npm"])
def test_the_environment_of_a_child(child: str, secretive: pytest.MonkeyPatch) -> None:
    secretive.delenv("AGENT_TASKS_TOKEN")
    settings = Settings()
    secretive.setenv("AGENT_TASKS_TOKEN", SECRET)
    server: Any = prefect_server(settings) if child == "prefect server" else local_service(settings)
    environment = {"azurite": for_azurite, "npm": for_npm}.get(child, lambda: dict(server.environment))()
    assert shutil.which("sh", path=environment["PATH"])  # it is not empty for another reason
    assert SECRET not in repr(environment) + repr(server.spec.environment) + repr(server.spec.command)


@pytest.mark.attack
async def test_the_process_of_a_function_app(secretive: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "function_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    (folder / "host.json").write_text("{}")
    (folder / "local.settings.json").write_text('{"Values": {"STORAGE": "", "WANTED": "", "SET": "1"}}')
    secretive.setenv("WANTED", "for the app")
    secretive.setenv("STORAGE__queueServiceUri", "https://papers.queue.core.windows.net")
    found = AppFolder.read(folder)
    secretive.setenv("AZURE_CLIENT_ID", "an identity")
    worker = AppWorker(
        folder, found.settings(dict(os.environ) | {"AZURE_CLIENT_SECRET": "of it"}), plain=True
    )
    await worker.start()
    try:
        process = Path(f"/proc/{worker.pid}")
        seen = process.joinpath("environ").read_bytes() + process.joinpath("cmdline").read_bytes()
    finally:
        await worker.close()
    assert SECRET.encode() not in seen
    for wanted in (b"WANTED=for the app", b"SET=1", b"STORAGE__queueServiceUri=", b"AZURE_CLIENT_ID="):
        assert wanted in seen


@pytest.mark.attack(long=True)
def test_the_processes_of_azurite(secretive: pytest.MonkeyPatch) -> None:
    azurite = Azurite(state_dir=STATE_DIR)
    with Watch(os.getpid()) as seen, azurite:
        pass
    ours = {one for one in seen.processes if b"azurite" in one.arguments}
    assert ours
    assert places_of(SECRET, ours, []) == []
