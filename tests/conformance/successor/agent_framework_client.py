"""Drives a service with agent-framework: `python -m tests.conformance.successor.agent_framework_client ...`.

It drops what an agent owns (`model`, `tools`, `tool_choice`, ...) before it sends: the service's strictness
about these fields is a check of that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import agent_framework_foundry
from agent_framework import tool
from agent_framework_foundry import FoundryAgent, FoundryChatClient
from azure.ai.projects.aio import AIProjectClient
from azure.ai.projects.models import FunctionTool, PromptAgentDefinition

from tests.conformance.checks import Checks
from tests.conformance.rules import ANSWER, COUNT, COUNTED
from tests.conformance.rules import stock_level as counted
from tests.conformance.successor.credential import AsyncNoCredential
from tests.conformance.successor.openai_scenarios import FUNCTION, MODEL, price_class
from tests.conformance.successor.report import report

VERSION = f"agent-framework-foundry {agent_framework_foundry.__version__}"


@tool(approval_mode="never_require")
def stock_level(item: Annotated[str, "The item."]) -> str:
    """Tells how many pieces are in stock."""
    return counted(item)


class AgentFramework:
    """Scenarios with an agent of the service, and with the model alone."""

    def __init__(self, project: Any, checks: Checks) -> None:
        self.project = project
        self.checks = checks

    async def play(self) -> None:
        """Go through all scenarios."""
        function = FunctionTool(name="stock_level", parameters=FUNCTION["parameters"], strict=True)
        definition = PromptAgentDefinition(model=MODEL, tools=[function], temperature=0.5)
        made = await self.project.agents.create_version("keeper", definition=definition, enforce_https=False)
        self.version = made.version
        for scenario in (self.run, self.session, self.stream, self.chat_client):
            await self.checks.play(scenario)

    def agent(self) -> Any:
        """The agent of the service, with our function."""
        return FoundryAgent(
            project_client=self.project,
            agent_name="keeper",
            agent_version=self.version,
            tools=[stock_level],
            timeout=30,
        )

    async def run(self) -> None:
        with self.checks.covered("convenience", "agent run"):
            assert (await self.agent().run("Hello")).text == ANSWER
            assert (await self.agent().run(COUNT)).text == COUNTED

    async def session(self) -> None:
        with self.checks.covered("convenience", "agent session"):
            agent = self.agent()
            session = agent.create_session()
            first = await agent.run(COUNT, session=session)
            second = await agent.run("what did I say", session=session)
            assert (first.text, second.text) == (COUNTED, "what did I say")
            assert session.service_session_id

    async def stream(self) -> None:
        with self.checks.covered("convenience", "agent stream"):
            running = self.agent().run("Hello", stream=True)
            # The last piece is the whole text: it stands in the place of those before it.
            *pieces, whole = [update.text async for update in running if update.text]
            assert len(pieces) > 1
            assert "".join(pieces) == whole == ANSWER
            assert (await running.get_final_response()).text == ANSWER

    async def chat_client(self) -> None:
        with self.checks.covered("convenience", "chat client"):
            client = FoundryChatClient(project_client=self.project, model=MODEL)
            agent = client.as_agent(instructions="Count.", tools=[stock_level])
            assert (await agent.run(COUNT)).text == COUNTED
            answer = await client.as_agent().run("price as JSON", options={"response_format": price_class()})
            assert answer.value.euros == 40


async def drive(endpoint: str, style: str, part: str, folder: Path, checks: Checks) -> None:
    """Play all scenarios."""
    async with AIProjectClient(endpoint=endpoint, credential=AsyncNoCredential()) as project:
        await AgentFramework(project, checks).play()


if __name__ == "__main__":
    report(VERSION, drive)
