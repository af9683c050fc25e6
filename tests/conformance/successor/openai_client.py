"""Drives a service with the openai client: `python -m tests.conformance.successor.openai_client ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai

from tests.conformance.checks import Checks, entered
from tests.conformance.successor.catalogue import MODEL_TOOLS
from tests.conformance.successor.openai_scenarios import MODEL, OpenAIOperations
from tests.conformance.successor.report import report
from tests.conformance.successor.tool_scenarios import Tools
from tests.conformance.successor.validated import Validated
from tests.conformance.tool_scenarios import Surroundings

VERSION = f"openai {openai.__version__}"


class Blocking(Validated, openai.OpenAI):
    """The blocking client, its answers validated."""


class Async(Validated, openai.AsyncOpenAI):
    """The async client, its answers validated."""


def opened(endpoint: str, style: str) -> Any:
    """A client that sends each request once."""
    kind: Any = Blocking if style == "blocking" else Async
    return kind(base_url=f"{endpoint}/openai/v1", api_key="none", max_retries=0, timeout=30)


async def drive(endpoint: str, style: str, part: str, folder: Path, checks: Checks) -> None:
    """Play all scenarios of a part (`operations`, `tools`)."""
    async with entered(opened(endpoint, style)) as client:
        if part == "operations":
            await OpenAIOperations(client, openai, folder, checks).play()
        else:
            await _tools(client, folder, checks)
        await checks.play(client.are_of_their_classes)


async def _tools(client: Any, folder: Path, checks: Checks) -> None:
    tools = Tools(client, folder, checks)
    await tools.prepare()
    around = Surroundings.read(folder)
    defined = {kind: tools.plain(kind, around) for kind in MODEL_TOOLS}
    await tools.play({kind: (tool, {"model": MODEL, "tools": [tool]}) for kind, tool in defined.items()})


if __name__ == "__main__":
    report(VERSION, drive)
