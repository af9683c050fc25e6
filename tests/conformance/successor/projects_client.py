"""Drives a service with azure-ai-projects: `python -m tests.conformance.successor.projects_client ...`.

The client refuses to send its token over plain http; the local service on loopback needs neither, so each
call says `enforce_https=False`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
from azure.ai.projects import AIProjectClient, models
from azure.ai.projects import __version__ as projects_version
from azure.ai.projects.aio import AIProjectClient as AsyncAIProjectClient
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest

from tests.conformance.checks import Checks, entered, every, settled
from tests.conformance.rules import ANSWER
from tests.conformance.successor.catalogue import TOOLS
from tests.conformance.successor.credential import AsyncNoCredential, NoCredential
from tests.conformance.successor.openai_scenarios import FUNCTION, MODEL, OpenAIOperations
from tests.conformance.successor.report import report
from tests.conformance.successor.tool_scenarios import Tools
from tests.conformance.tool_scenarios import Surroundings

VERSION = f"azure-ai-projects {projects_version}"
HTTP = {"enforce_https": False}


class ProjectOperations:
    """Scenarios over agents and their versions, and over responses that agents make."""

    def __init__(self, project: Any, folder: Path, checks: Checks) -> None:
        self.project = project
        self.folder = folder
        self.checks = checks

    def covered(self, name: str) -> Any:
        """Check an operation."""
        return self.checks.covered("operation", name)

    async def play(self) -> None:
        """Go through all scenarios; those of the openai client with an agent in place of the model."""
        for scenario in (
            self.versions,
            self.by_name,
            self.agent_endpoint,
            self.structured_inputs,
            self.owned,
        ):
            await self.checks.play(scenario)
        tool = models.FunctionTool(
            name="stock_level", parameters=FUNCTION["parameters"], description="Counts.", strict=True
        )
        made = await self.version("seller", tools=[tool])
        async with entered(await self.client()) as client:
            by_agent = {"extra_body": {"agent_reference": reference_to(made)}}
            await OpenAIOperations(client, openai, self.folder, self.checks, **by_agent).play()
        async with entered(await self.client()) as client:
            scenarios = OpenAIOperations(client, openai, self.folder, self.checks)
            await self.checks.play(scenarios.conveniences)

    async def client(self, **fields: Any) -> Any:
        """The openai client of the project, as it comes."""
        return await settled(self.project.get_openai_client(max_retries=0, timeout=30, **fields))

    async def version(self, name: str, **fields: Any) -> Any:
        """Create a version of an agent."""
        definition = models.PromptAgentDefinition(model=MODEL, **fields)
        return await settled(
            self.project.agents.create_version(name, definition=definition, metadata={"a": "b"}, **HTTP)
        )

    async def fails(self, error: type[Exception], method: Any, *given: Any) -> Any:
        """Call a method that has to fail; returns the error."""
        try:
            await settled(method(*given, **HTTP))
        except error as raised:
            return raised
        raise AssertionError(f"{method} did not raise {error.__name__}")

    async def versions(self) -> None:
        agents = self.project.agents
        with self.covered("agent_versions.create"):
            first = await self.version("clerk", instructions="First.", temperature=0.5)
            second = await self.version("clerk", instructions="Second.")
            assert (first.version, second.version, first.id) == ("1", "2", "clerk:1")
            assert isinstance(first, models.AgentVersionDetails)
            assert first.definition.instructions == "First."
            assert first.metadata == {"a": "b"}
            assert first.status == "active"
        with self.covered("agent_versions.get"):
            again = await settled(agents.get_version("clerk", "1", **HTTP))
            assert again.as_dict() == first.as_dict()
        with self.covered("agent_versions.list"):
            # The pager follows `last_id` past the end, where a page has none (recorded).
            found = await every(agents.list_versions("clerk", limit=1, **HTTP))
            assert [one.version for one in found] == ["2", "1"]
        with self.covered("agent_versions.delete"):
            gone = await settled(agents.delete_version("clerk", "1", **HTTP))
            assert (gone.name, gone.version, gone.deleted) == ("clerk", "1", True)
            await self.fails(ResourceNotFoundError, agents.get_version, "clerk", "1")

    async def by_name(self) -> None:
        agents = self.project.agents
        body = {"definition": {"kind": "prompt", "model": MODEL}}
        with self.covered("named_agents.create"):
            assert (await self.send("POST", "/agents", {"name": "raw", **body}))["name"] == "raw"
        with self.covered("named_agents.update"):
            body["definition"]["instructions"] = "Other."
            assert (await self.send("POST", "/agents/raw", body))["versions"]["latest"]["version"] == "2"
        with self.covered("named_agents.get"):
            found = await settled(agents.get("raw", **HTTP))
            assert isinstance(found, models.AgentDetails)
            assert found.versions.latest.version == "2"
        with self.covered("named_agents.list"):
            listed = await every(agents.list(limit=1, **HTTP))
            assert {"raw", "clerk"} <= {one.name for one in listed}
        with self.covered("named_agents.disable"):
            await settled(agents.disable("raw", **HTTP))
            async with entered(await self.client()) as client:
                reference = {"type": "agent_reference", "name": "raw"}
                scenarios = OpenAIOperations(client, openai, self.folder, self.checks)
                refused = await scenarios.fails(
                    openai.PermissionDeniedError,
                    client.responses.create,
                    input="Hello",
                    extra_body={"agent_reference": reference},
                )
                assert refused.code == "AgentDisabled"
        with self.covered("named_agents.enable"):
            await settled(agents.enable("raw", **HTTP))
        with self.covered("named_agents.delete"):
            assert (await settled(agents.delete("raw", **HTTP))).deleted
            missing = await self.fails(ResourceNotFoundError, agents.get, "raw")
            assert "Agent not found" in str(missing)

    async def send(self, method: str, path: str, body: Any) -> Any:
        """Send what the client has no method for, through its pipeline."""
        request = HttpRequest(method, path, params={"api-version": "v1"}, json=body)
        response = await settled(self.project.send_request(request, **HTTP))
        if response.status_code >= 300:
            raise HttpResponseError(response=response)
        return response.json()

    async def agent_endpoint(self) -> None:
        first = await self.version("guide", instructions="one")
        await self.version("guide", instructions="two")
        with self.covered("named_agents.patch"):
            rule = models.FixedRatioVersionSelectionRule(agent_version=first.version, traffic_percentage=100)
            endpoint = models.AgentEndpointConfig(
                version_selector=models.VersionSelector(version_selection_rules=[rule])
            )
            patched = await settled(
                self.project.agents.update_details("guide", agent_endpoint=endpoint, **HTTP)
            )
            assert patched.agent_endpoint.version_selector.version_selection_rules[0].agent_version == "1"
        with self.checks.covered("convenience", "agent endpoint"):
            async with entered(await self.client(agent_name="guide")) as client:
                made = await settled(client.responses.create(input="who are you"))
                assert made.output_text == "one"
                assert (await settled(client.responses.retrieve(made.id))).output_text == "one"
                conversation = await settled(client.conversations.create())
                again = await settled(
                    client.responses.create(input="who are you", conversation=conversation.id)
                )
                assert again.output_text == "one"

    async def structured_inputs(self) -> None:
        with self.checks.covered("convenience", "structured inputs"):
            declared = {"place": models.StructuredInputDefinition(description="Where.", required=True)}
            made = await self.version("host", instructions="From {{place}}.", structured_inputs=declared)
            async with entered(await self.client()) as client:
                body = {"agent_reference": reference_to(made), "structured_inputs": {"place": "Oslo"}}
                answer = await settled(client.responses.create(input="who are you", extra_body=body))
                assert answer.output_text == "From Oslo."

    async def owned(self) -> None:
        """What an agent has settled may not be asked for beside it."""
        made = await self.version("owner")
        async with entered(await self.client()) as client:
            scenarios = OpenAIOperations(client, openai, self.folder, self.checks)
            refused = await scenarios.fails(
                openai.BadRequestError,
                client.responses.create,
                input="Hello",
                temperature=1,
                extra_body={"agent_reference": reference_to(made)},
            )
            assert refused.body["details"][0]["message"] == "Not allowed when agent is specified."
            answer = await settled(
                client.responses.create(
                    input="Hello", extra_body={"agent_reference": reference_to(made)}, max_output_tokens=50
                )
            )
            assert answer.output_text == ANSWER


def reference_to(version: Any) -> dict[str, str]:
    """The reference to a version of an agent."""
    return {"type": "agent_reference", "name": version.name, "version": version.version}


def classed(plain: dict[str, Any]) -> Any:
    """A tool as an instance of the client's class for it."""
    tool = models.Tool._deserialize(plain, [])
    assert type(tool) is not models.Tool, f"the client has no class for {plain['type']}"
    return tool


async def _tools(project: Any, folder: Path, checks: Checks) -> None:
    around = Surroundings.read(folder)
    operations = ProjectOperations(project, folder, checks)
    async with entered(await operations.client()) as client:
        tools = Tools(client, folder, checks)
        await tools.prepare()
        given = {}
        for kind in TOOLS:
            plain = tools.plain(kind, around)
            made = await operations.version(f"user-of-{kind}".replace("_", "-"), tools=[classed(plain)])
            assert type(made.definition.tools[0]) is type(classed(plain))
            given[kind] = (plain, {"extra_body": {"agent_reference": reference_to(made)}})
        await tools.play(given)


async def drive(endpoint: str, style: str, part: str, folder: Path, checks: Checks) -> None:
    """Play all scenarios of a part (`operations`, `tools`)."""
    blocking = style == "blocking"
    kind: Any = AIProjectClient if blocking else AsyncAIProjectClient
    credential = NoCredential() if blocking else AsyncNoCredential()
    project = kind(endpoint=endpoint, credential=credential, allow_preview=True, retry_total=0)
    async with entered(project) as opened:
        if part == "operations":
            await ProjectOperations(opened, folder, checks).play()
        else:
            await _tools(opened, folder, checks)


if __name__ == "__main__":
    report(VERSION, drive)
