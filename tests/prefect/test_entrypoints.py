"""Prefect runs our flows from their files too, whatever else lies beside them."""

from __future__ import annotations

import functools
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "agent_tasks" / "prefect"

# Each line: a file's entrypoint, its flow's name, and where Prefect was found.
SCRIPT = """
import sys
from prefect.flows import load_flow_from_entrypoint
for entrypoint in sys.argv[1:]:
    flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    import prefect
    print(entrypoint, flow.name, prefect.__file__)
"""

FLOWS = {
    "flows": ("document_batch", "sweep", "contracts", "tenders", "research", "mails"),
    "agent_tasks/prefect": ("document_batch", "sweep"),
}
ENTRYPOINTS = [(folder, f"{folder}/{name}.py:{name}") for folder, names in FLOWS.items() for name in names]


@functools.cache
def loaded(folder: str) -> dict[str, list[str]]:
    """Name and Prefect's file of each flow of a folder, in a process whose path has this folder alone."""
    entrypoints = [str(ROOT / entrypoint) for owner, entrypoint in ENTRYPOINTS if owner == folder]
    command = [sys.executable, "-c", SCRIPT, *entrypoints]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {entrypoint: found for entrypoint, *found in lines}


@pytest.mark.parametrize(("folder", "entrypoint"), ENTRYPOINTS)
def test_a_flow_is_loaded_from_its_file(folder: str, entrypoint: str) -> None:
    """The file's folder comes first on the path then: nothing in it has the name of a package."""
    name, package = loaded(folder)[str(ROOT / entrypoint)]
    assert name == entrypoint.rpartition(":")[2].replace("_", "-")
    assert str(FOLDER) not in package


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "flows"], ids=["package", "flows"])
def test_nothing_beside_a_flow_has_the_name_of_a_package(folder: Path) -> None:
    names = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    assert not names & (set(sys.stdlib_module_names) | set(packages_distributions()))
