"""What is pinned: packages with their hashes, as they are installed, and Prefect knows our settings."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent_tasks.local.idling import LOOK_SECONDS
from agent_tasks.local.servers import BATCH_SETTINGS, IDLE_SETTINGS, prefect_server
from agent_tasks.settings import Settings

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements"
TOGETHER = ("run.txt", "functions.txt", "dev.txt")
_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def pinned(file: str) -> dict[str, str]:
    """The packages that a file has installed on this machine, with their versions."""
    here = {}
    for line in (PINS / file).read_text().splitlines():
        found = _PIN.match(line)
        if found and (found["marker"] is None or Marker(found["marker"]).evaluate()):
            here[canonicalize_name(found["name"])] = found["version"]
    return here


@pytest.mark.parametrize("file", sorted(path.name for path in PINS.iterdir()))
def test_every_package_is_pinned_with_hashes_and_no_file_names_a_host(file: str) -> None:
    lines = (PINS / file).read_text().splitlines()
    assert lines
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert _PIN.match(line) or _HASH.match(line), line
        assert not line.endswith("\\") or _HASH.match(following), line


def test_what_is_installed_is_what_is_pinned() -> None:
    wanted = {name: version for file in TOGETHER for name, version in pinned(file).items()}
    wanted |= pinned("weights.txt")
    assert len(wanted) > 150
    installed = {}
    for name in wanted:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "missing"
    assert installed == wanted


def test_the_pins_satisfy_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    versions = {name: version for file in TOGETHER for name, version in pinned(file).items()}
    extras = project["project"]["optional-dependencies"]
    asked = [*project["project"]["dependencies"], *(one for extra in extras.values() for one in extra)]
    assert asked
    for text in [*asked, *project["dependency-groups"]["build"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text


def test_the_bounds_exclude_pairs_that_schedule_nothing() -> None:
    """Prefect 3.8 with SQLAlchemy 2.1; 3.9 with whenever 0.10 on Python 3.11 and 3.12."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    bounds = {one.name: one.specifier for one in map(Requirement, project["project"]["dependencies"])}
    assert not bounds["prefect"].contains("3.8.8")
    assert bounds["prefect"].contains("3.9.1")
    assert not bounds["whenever"].contains("0.10.5")


def test_every_setting_of_our_server_is_one_that_prefect_knows_and_takes_whole(tmp_path: Path) -> None:
    from prefect.settings import Settings as PrefectSettings
    from prefect.settings import get_current_settings

    server = prefect_server(Settings(state_dir=tmp_path / "state", prefect_api_url=None))
    environment = server.spec.environment  # type: ignore[attr-defined]
    known = get_current_settings().to_environment_variables(exclude_unset=False)
    aliases = {"PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_UI_STATIC_DIRECTORY"}
    aliases |= {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "PREFECT_SERVER_UI_API_URL"}
    unknown = {name for name in environment if name.startswith("PREFECT_")} - set(known) - aliases
    secret_or_empty = {"PREFECT_SERVER_API_AUTH_STRING"}
    assert unknown <= secret_or_empty
    assert {int(value) for value in BATCH_SETTINGS.values()} == {1, 100, 200}  # Prefect cuts fractions off
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (BATCH_SETTINGS | IDLE_SETTINGS).items():
            patch.setenv(name, value)
        taken = PrefectSettings().server
    services = taken.services
    looks = [services.late_runs, services.pause_expirations, services.cancellation_cleanup]
    looks += [services.cleanup_reconciler, services.foreman, services.repossessor]
    seconds = [services.scheduler.recent_deployments_loop_seconds, *(one.loop_seconds for one in looks)]
    assert seconds == [9.5, 9.5, 14.5, 29.5, 29.5, 29.5, 29.5]
    assert {(each + 0.5) % LOOK_SECONDS for each in seconds} == {0}, "found by the look that comes then"
    assert taken.events.proactive_granularity.total_seconds() == 9.5
    assert int(services.task_run_recorder.flush_interval) == services.task_run_recorder.flush_interval == 1
