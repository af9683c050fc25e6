"""The floors of the house: each imports from its own floor or below, never above (docs/architecture.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.imports import Import, Imports

ROOT = Path(__file__).parents[1]

FLOORS: dict[str, tuple[str, ...]] = {
    "ground": (
        *("ahead", "bounded", "callables", "crashpoints", "credentials", "detaching", "display", "errors"),
        *(
            "field_types",
            "file_locks",
            "known_names",
            "logs",
            "loopback",
            "pauses",
            "pending",
            "base_environment",
            "pool",
            "redaction",
            "secret_arguments",
            "settings",
        ),
        # The check of a setting: it parses text and imports from the ground only, so `settings` may ask it.
        "journal.address",
    ),
    # `telemetry` watches the client's operations and reads their models: it stands beside, not below them.
    "wire": ("client", "wire", "telemetry"),
    "services": ("backends", "documents"),
    "durable operations": ("operations", "tools", "queues", "journal"),
    # The file is read into steps, and steps need of it how answers, prompts and places in it are described.
    "steps": (
        "pipeline",
        "steps",
        "confidence",
        "pipeline.merging",
        "pipeline.output_schema",
        "pipeline.parts",
        "pipeline.topics",
        "pipeline.vision",
        "pipeline.prompt_bounds",
        "pipeline.prompts",
        "pipeline.yaml_source",
        "pipeline.schema",
    ),
    "jobs": ("batch", "evaluation"),
    # Processes of this machine, which the faces start and no floor below knows.
    "this machine": ("local",),
    # `""` is `agent_tasks` itself: it offers names of all floors, so nothing may import from it.
    "faces": ("cli", "review", "prefect", "doctor", "testing", ""),
}

SERVICE_MAY_IMPORT = frozenset((*FLOORS["ground"], "wire", "documents", "queues"))
"""The local service speaks the wire, reads documents and serves queues; of the client it is the opposite."""
SERVICE_FOR = frozenset(("local",))
"""Who may import the service: it looks at the service's settings before starting it."""

FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS.values()) for unit in units}
NAMES = tuple(FLOORS)


def unit_of(module: str) -> str:
    """The entry of the table for a module of `agent_tasks`."""
    parts = module.split(".")[1:]
    for length in range(len(parts), -1, -1):
        unit = ".".join(parts[:length])
        if unit in FLOOR_OF and (unit or not parts):
            return unit
    raise AssertionError(f"{module} is on no floor: give it a place in FLOORS of tests/test_floors.py")


def upward(imports: Imports) -> list[str]:
    """Imports from a higher floor."""
    found = []
    for one in imports.all:
        if not (_of_us(one.source) and _of_us(one.target)):
            continue
        below, above = FLOOR_OF[unit_of(one.source)], FLOOR_OF[unit_of(one.target)]
        if above > below:
            found.append(f"{one} (from {NAMES[below]} up to {NAMES[above]})")
    return found


def forbidden_to_the_service(imports: Imports) -> list[str]:
    """Imports between the local service and the library that the table doesn't allow."""
    found = []
    for one in imports.all:
        if _of_the_service(one.source) and _of_us(one.target):
            allowed = unit_of(one.target) in SERVICE_MAY_IMPORT
        else:
            allowed = not (_of_us(one.source) and _of_the_service(one.target)) or (
                unit_of(one.source) in SERVICE_FOR
            )
        found += [] if allowed else [str(one)]
    return found


def private(imports: Imports) -> list[str]:
    """Imports of another package's private modules and names."""
    return [f"{one}: {one.private} is private" for one in imports.all if _ours(one) and one.private]


def circle_of_packages(imports: Imports) -> list[str]:
    """A circle among the packages of the house."""
    return imports.cycle({module: _package(module) for module in imports.modules})


def _package(module: str) -> str:
    return f"agent_tasks.{unit_of(module)}" if _of_us(module) else ".".join(module.split(".")[:2])


def _of_us(module: str) -> bool:
    return module.partition(".")[0] == "agent_tasks"


def _of_the_service(module: str) -> bool:
    return module.partition(".")[0] == "agents_emulator"


def _ours(one: Import) -> bool:
    return _of_us(one.target) or _of_the_service(one.target)


@pytest.fixture(scope="module")
def imports() -> Imports:
    return Imports(ROOT, "agent_tasks", "agents_emulator")


def test_every_module_is_on_a_floor(imports: Imports) -> None:
    assert all(unit_of(module) in FLOOR_OF for module in imports.modules if _of_us(module))
    rooms = {unit_of(module) for module in imports.modules if _of_us(module)}
    assert not set(FLOOR_OF) - rooms, "the table names what is not there"


def test_no_import_runs_upward(imports: Imports) -> None:
    assert not upward(imports)


def test_the_local_service_imports_what_it_may(imports: Imports) -> None:
    assert not forbidden_to_the_service(imports)


def test_nobody_reaches_for_what_is_private_in_another_package(imports: Imports) -> None:
    assert not private(imports)


def test_there_is_no_circle(imports: Imports) -> None:
    assert not imports.cycle(), "among modules"
    assert not circle_of_packages(imports), "among packages"


def test_what_is_deployed_alone_imports_nothing_of_the_house() -> None:
    assert [str(one) for one in Imports(ROOT, "azure_functions").all if _ours(one)] == []


def test_nothing_imports_the_folders_that_are_not_installed(imports: Imports) -> None:
    folders = {"flows", "deployments", "azure_functions", "tests", "examples"}
    assert [str(one) for one in imports.all if one.target.partition(".")[0] in folders] == []


def test_flows_to_copy_import_the_faces_and_what_agents_are_given() -> None:
    """Beside the faces: the top of the package, the text of documents, tools and their queues."""
    ours = [one for one in Imports(ROOT, "flows").all if _of_us(one.target)]
    assert ours
    others = [one.target for one in ours if FLOOR_OF[unit_of(one.target)] != NAMES.index("faces")]
    assert {".".join(target.split(".")[:2]) for target in others} <= {
        "agent_tasks.documents",
        "agent_tasks.queues",
        "agent_tasks.tools",
    }


def test_no_module_is_longer_than_600_lines() -> None:
    packages = ("agent_tasks", "agents_emulator", "azure_functions", "flows", "deployments")
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in packages
        for path in (ROOT / package).rglob("*.py")
    }
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > 600} == {}


@pytest.mark.parametrize(
    ("line", "check", "said"),
    [
        ("def f():\n    from agent_tasks.batch import run", upward, "from ground up to jobs"),
        ("if TYPE_CHECKING:\n    import agent_tasks.cli", upward, "from ground up to faces"),
        ("import_module('agent_tasks.cli')", upward, "from ground up to faces"),
        ("from ..cli import app", upward, "from ground up to faces"),
        ("from agent_tasks import AgentsProject", upward, "from ground up to faces"),
        ("from agent_tasks.batch._hidden import it", private, "agent_tasks.batch._hidden is private"),
        ("from agent_tasks.batch.run import _it", private, "agent_tasks.batch.run._it is private"),
        ("from agent_tasks.batch import run\nrun._it()", private, "agent_tasks.batch.run._it is private"),
        ("import agents_emulator.server", forbidden_to_the_service, "imports agents_emulator.server"),
        ("from agent_tasks.journal import table", circle_of_packages, "agent_tasks.settings"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, line: str, check, said: str) -> None:
    files = {
        "agent_tasks/__init__.py": "",
        "agent_tasks/settings/__init__.py": line,
        "agent_tasks/batch/__init__.py": "",
        "agent_tasks/batch/run.py": "",
        "agent_tasks/cli/__init__.py": "",
        "agent_tasks/journal/__init__.py": "from agent_tasks.settings import Settings",
        "agents_emulator/server.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert said in str(check(Imports(tmp_path, "agent_tasks", "agents_emulator")))
