"""Every tool that the service carries out, named in a pipeline file and given to an `Agent`: each is used.

Really used: OpenAPI operations (of a server on loopback), code (in a jail), a browser (Chromium).
Faked, by stand-ins of the local service, which answer from a folder: Azure AI Search, both Bing tools,
SharePoint, Fabric, deep research. Faked here: the management API of Azure and the workflow of a Logic App.
Functions, queue tools, MCP, file search and connected agents: `test_tools.py`, `test_file_tools.py` and
`tests/batch/test_queue_tools.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from agent_tasks.steps import Agent, CodeInterpreter
from agent_tasks.steps.file import tool_kinds
from agent_tasks.tools import (
    AzureAISearchTool,
    BingCustomSearchTool,
    BingGroundingTool,
    BrowserAutomationTool,
    DeepResearchTool,
    FabricTool,
    LogicAppTool,
    OpenApiTool,
    SharepointTool,
    Tool,
)
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import ToolSettings
from tests.batch.support import Bench
from tests.conftest import ServiceFactory
from tests.emulator.tools.test_browser import OAK, acting, done, served
from tests.emulator.tools.test_openapi import serve
from tests.emulator.tools.test_research import plan, report
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import session
from tests.support.chromium import needs_chromium
from tests.tools.test_logic_app import Azure, Mail

TENT = "The Alpine tent weighs 2300 grams."
QUERY = {"query": "weight of the Alpine tent"}
PROMPT = "How heavy is the Alpine tent?"


@dataclass(frozen=True)
class Case:
    """A tool, as a file and as a program name it."""

    file: str
    """As it stands in the file."""
    tool: Tool
    name: str
    """The function that the model calls."""
    arguments: dict[str, Any] = field(default_factory=lambda: QUERY)
    found: str = TENT
    """What its output has, which is the answer."""
    inner: tuple[dict[str, Any], ...] = ()
    """Rules of what the service asks the model for the tool's sake."""

    def rules(self) -> dict[str, Any]:
        """A model that calls the tool, and answers with what that gave."""
        call = {"name": self.name, "arguments": self.arguments}
        return {
            "rules": [
                *self.inner,
                {"when": {"message": PROMPT, "tool_results": False}, "reply": {"tool_calls": [call]}},
            ],
            "default": {"reply": {"text": "It says: {{ tool_results[-1] }}"}},
        }


RESEARCH = (
    plan(QUERY["query"]),
    plan(stage="You review"),
    report("The tent weighs 2300 grams."),
)
STAND_INS = {
    "azure_ai_search": Case(
        "{azure_ai_search: tents, connection: c, top_k: 1}",
        AzureAISearchTool(index_connection_id="c", index_name="tents", top_k=1),
        "azure_ai_search",
    ),
    "bing_grounding": Case(
        "{bing_grounding: c, count: 1}", BingGroundingTool("c", count=1), "bing_grounding"
    ),
    "bing_custom_search": Case(
        "{bing_custom_search: c, instance: i}",
        BingCustomSearchTool("c", instance_name="i"),
        "bing_custom_search",
    ),
    "sharepoint": Case("{sharepoint: c}", SharepointTool("c"), "sharepoint_grounding"),
    "fabric": Case("{fabric: c}", FabricTool("c"), "fabric_dataagent"),
    "deep_research": Case(
        "{deep_research: o3, connection: c}",
        DeepResearchTool("c", "o3"),
        "deep_research",
        found="The tent weighs 2300 grams.",
        inner=RESEARCH,
    ),
    "code_interpreter": Case(
        "{code_interpreter: true}",
        CodeInterpreter(),
        "code_interpreter",
        {"code": "print(23 * 100, 'grams')"},
        "2300 grams",
    ),
}


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    """Of a local service whose stand-ins answer from a folder."""
    folder = tmp_path / "search"
    folder.mkdir()
    (folder / "tents.md").write_text(f"# Tents\n\n{TENT}\n", encoding="utf-8")
    return ServiceConfig(tools=ToolSettings(search_folder=folder))


PIPELINE = """\
name: tools
model: m
agents:
  helper: {prompt: "How heavy is the Alpine tent?", tools: [TOOL]}
steps:
  - agent: helper
"""


async def _in_a_file(case: Case, service: Any, config: ServiceConfig, folder: Path) -> str:
    """What the agent of a pipeline file answers."""
    folder.mkdir(exist_ok=True)
    made = Bench(
        service(rules=case.rules(), config=config), folder, pipeline=PIPELINE.replace("TOOL", case.file)
    )
    made.write("a.txt", "Hello.")
    summary = await made.run()
    row = made.rows()["a.txt"]
    assert summary.done == 1, row
    assert made.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    return str(row["steps"]["helper"]["value"])


async def _in_a_program(
    case: Case, service: Any, config: ServiceConfig, open_workspace: OpenWorkspace
) -> str:
    """What an agent of a Python program answers."""
    running = service(rules=case.rules(), config=config)
    async with open_workspace(running) as ws:
        answer = await Agent("helper", tools=[case.tool]).ask(PROMPT, session=session(ws))
    return str(answer.value)


@pytest.mark.parametrize("kind", STAND_INS)
async def test_what_the_service_looks_up_reaches_the_answer(
    kind: str,
    service: ServiceFactory,
    config: ServiceConfig,
    open_workspace: OpenWorkspace,
    tmp_path: Path,
) -> None:
    case = STAND_INS[kind]
    assert case.found in await _in_a_file(case, service, config, tmp_path / "file")
    assert case.found in await _in_a_program(case, service, config, open_workspace)


@pytest.fixture
def shop() -> Iterator[str]:
    """A server with one operation."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    tent = Route("/tents/{name}", lambda request: JSONResponse({request.path_params["name"]: "2300 grams"}))
    with serve(Starlette(routes=[tent])) as origin:
        yield origin


async def test_an_operation_is_called(
    shop: str,
    service: ServiceFactory,
    config: ServiceConfig,
    open_workspace: OpenWorkspace,
    tmp_path: Path,
) -> None:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": shop}],
        "paths": {"/tents/{name}": {"get": {"operationId": "weight", "parameters": [name]}}},
    }
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "shop.json").write_text(json.dumps(document))
    case = Case(
        "{openapi: shop.json, name: shop}",
        OpenApiTool("shop", document),
        "shop_weight",
        {"name": "Alpine"},
        "2300 grams",
    )
    assert case.found in await _in_a_file(case, service, config, tmp_path / "file")
    assert case.found in await _in_a_program(case, service, config, open_workspace)


async def test_a_logic_app_is_called(
    service: ServiceFactory,
    config: ServiceConfig,
    open_workspace: OpenWorkspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    azure = Azure()
    azure.answer = httpx.Response(200, json={"sent": "2300 grams"})
    to_azure = partial(LogicAppTool, transport=httpx.MockTransport(azure))
    monkeypatch.setattr(tool_kinds, "LogicAppTool", to_azure)
    monkeypatch.setattr(tool_kinds, "make_credential", lambda *_, **__: SecretStr("token"))
    case = Case(
        "{logic_app: mails, name: send_mail, description: Sends a mail., "
        "arguments: 'tests.tools.test_logic_app:Mail', "
        "subscription_id: s, resource_group: g, trigger: manual}",
        to_azure("send_mail", "Sends a mail.", Mail, "s", "g", "mails", "manual", SecretStr("token")),
        "send_mail",
        {"to": "Ida", "on": "2026-11-29"},
        "2300 grams",
    )
    assert case.found in await _in_a_file(case, service, config, tmp_path / "file")
    assert case.found in await _in_a_program(case, service, config, open_workspace)
    bodies = [json.loads(body)["to"] for host, _, _, body in azure.requests if host != "management.azure.com"]
    assert bodies == ["Ida", "Ida"]


@needs_chromium
@pytest.mark.timeout(240)
async def test_a_browser_is_operated(
    service: ServiceFactory, config: ServiceConfig, open_workspace: OpenWorkspace, tmp_path: Path
) -> None:
    with served({"/": OAK}) as site:
        inner = acting(("open", {"url": f"http://127.0.0.1:{site.port}/"}), done())["rules"][:2]
        case = Case(
            "{browser_automation: c}",
            BrowserAutomationTool("c"),
            "browser_automation",
            {"query": "Find the price of oak."},
            "Oak boards cost 40 euros",
            tuple(inner),
        )
        assert case.found in await _in_a_file(case, service, config, tmp_path / "file")
        assert case.found in await _in_a_program(case, service, config, open_workspace)
