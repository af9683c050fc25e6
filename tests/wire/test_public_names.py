"""What `agent_tasks` offers, and that offering it costs nothing."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agent_tasks

NAMES = {
    # client
    "AgentEventHandler",
    "AgentsClient",
    "AsyncAgentEventHandler",
    "AsyncAgentsClient",
    "RetryPolicy",
    "Timeouts",
    # agents in Python
    "Agent",
    "Answer",
    "CodeInterpreter",
    "FileSearch",
    "Session",
    "approve",
    "each",
    "hand_off",
    "parallel",
    "repeat",
    "session",
    "vote",
    # operations
    "AgentSpec",
    "TurnResult",
    "TurnSpec",
    "Workspace",
    "build_vector_store",
    "ensure_agent",
    "release_owner",
    "run_turn",
    "upload_file",
    # tools
    "FunctionTool",
    "ToolContext",
    "ToolSet",
    "function_tool",
    "queue_tools",
    # the errors that a program catches
    "AgentTasksError",
    "ConfigurationError",
    "DocumentError",
    "JournalError",
    "PipelineError",
    "RunFailedError",
    "ServiceError",
    "ToolError",
    "TransportError",
    # configuration
    "AgentsProject",
    "Settings",
    "__version__",
}
ROOT = Path(__file__).parents[2]


def test_public_names_are_these() -> None:
    assert set(agent_tasks.__all__) == NAMES
    assert set(agent_tasks.__all__) <= set(dir(agent_tasks))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_name_is_there(name: str) -> None:
    assert getattr(agent_tasks, name) is not None


def test_pages_and_examples_take_from_the_top_what_is_there() -> None:
    """A name, or a module: `from agent_tasks import telemetry`."""
    taken = {
        name.strip()
        for folder in ("docs", "examples", "flows", "deployments")
        for path in [*(ROOT / folder).rglob("*.md"), *(ROOT / folder).rglob("*.py"), ROOT / "README.md"]
        for line in re.findall(r"from agent_tasks import ([\w, ]+)", path.read_text(encoding="utf-8"))
        for name in line.split(",")
    }
    assert "AgentsProject" in taken
    modules = {name for name in taken - NAMES if importlib.util.find_spec(f"agent_tasks.{name}")}
    assert taken - NAMES - modules == set()


def test_other_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = agent_tasks.Nonsense  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("agent_tasks", {"prefect", "httpx", "sqlalchemy", "azure", "pydantic"}),
        ("agent_tasks.wire", {"prefect", "httpx", "sqlalchemy", "azure", "tenacity"}),
        ("agent_tasks.errors", {"prefect", "httpx", "sqlalchemy", "azure", "pydantic"}),
        ("agent_tasks.client", {"prefect", "sqlalchemy"}),
    ],
)
def test_importing_one_part_does_not_load_the_others(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; sys.exit(', '.join(sorted({heavy} & set(sys.modules))) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
