"""What `agent_tasks` offers, and that offering it costs nothing."""

import subprocess
import sys

import pytest

import agent_tasks
from agent_tasks import errors

NAMES = {
    # client
    "AgentEventHandler",
    "AgentsClient",
    "AsyncAgentEventHandler",
    "AsyncAgentsClient",
    "RetryPolicy",
    "StreamEvent",
    "Timeouts",
    # operations
    "AgentSpec",
    "Citation",
    "RemoteAgent",
    "RemoteFile",
    "RemoteStore",
    "TurnResult",
    "TurnSpec",
    "Usage",
    "Workspace",
    "build_vector_store",
    "delete_conversation",
    "delete_resource",
    "ensure_agent",
    "release_owner",
    "run_turn",
    "upload_file",
    # tools
    "FunctionTool",
    "QueueFunctionTool",
    "ToolContext",
    "ToolSet",
    "WhenUnknown",
    "function_tool",
    "queue_tools",
    # configuration
    "AgentsProject",
    "Settings",
    "__version__",
}


def test_public_names_are_these() -> None:
    assert set(agent_tasks.__all__) == NAMES | set(errors.__all__)
    assert set(agent_tasks.__all__) <= set(dir(agent_tasks))


@pytest.mark.parametrize("name", sorted(NAMES | set(errors.__all__)))
def test_public_name_is_there(name: str) -> None:
    assert getattr(agent_tasks, name) is not None


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
