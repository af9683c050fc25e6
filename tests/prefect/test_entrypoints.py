"""Prefect runs our flows from their files too, whatever else lies beside them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "agent_tasks" / "prefect"

SCRIPT = """
import sys
from prefect.flows import load_flow_from_entrypoint
flow = load_flow_from_entrypoint(sys.argv[1], use_placeholder_flow=False)
import prefect
print(flow.name, prefect.__file__)
"""


@pytest.mark.parametrize(
    ("entrypoint", "name"),
    [
        ("flows/document_batch.py:document_batch", "document-batch"),
        ("flows/sweep.py:sweep", "sweep"),
        *((f"flows/{name}.py:{name}", name) for name in ("contracts", "tenders", "research", "mails")),
        ("agent_tasks/prefect/document_batch.py:document_batch", "document-batch"),
        ("agent_tasks/prefect/sweep.py:sweep", "sweep"),
    ],
)
def test_a_flow_is_loaded_from_its_file(entrypoint: str, name: str, tmp_path: Path) -> None:
    """The file's folder comes first on the path then: nothing in it has the name of a package."""
    command = [sys.executable, "-c", SCRIPT, str(ROOT / entrypoint)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    loaded, package = done.stdout.split()
    assert loaded == name
    assert str(FOLDER) not in package


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "flows"], ids=["package", "flows"])
def test_nothing_beside_a_flow_has_the_name_of_a_package(folder: Path) -> None:
    names = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    assert not names & (set(sys.stdlib_module_names) | set(packages_distributions()))
