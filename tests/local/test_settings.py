"""Settings: one source a value, and mistakes explained without their values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_tasks.errors import ConfigurationError
from agent_tasks.settings import CredentialKind, Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory, and nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    names = [name for name in os.environ if name.startswith(("AGENT_TASKS_", "PREFECT_API"))]
    for name in [*names, "PROJECT_ENDPOINT", "MODEL_DEPLOYMENT_NAME"]:
        monkeypatch.delenv(name, raising=False)


def test_without_anything_set_all_is_local(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.project_endpoint is None
    assert settings.prefect_api_url is None
    assert settings.state_dir == tmp_path / ".agent-tasks"
    assert (
        settings.journal_url.get_secret_value() == f"sqlite+aiosqlite:///{tmp_path}/.agent-tasks/journal.db"
    )


def test_argument_beats_environment_beats_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MODEL_DEPLOYMENT_NAME=from-file\nAGENT_TASKS_STATE_DIR=state\nOTHER=x\n")
    assert Settings().model_deployment_name == "from-file"
    assert Settings().state_dir == tmp_path / "state"
    monkeypatch.setenv("MODEL_DEPLOYMENT_NAME", "from-environment")
    assert Settings().model_deployment_name == "from-environment"
    assert Settings(model_deployment_name="from-argument").model_deployment_name == "from-argument"


def test_journal_follows_the_state_folder_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", "/srv/state")
    assert Settings().journal_url.get_secret_value() == "sqlite+aiosqlite:////srv/state/journal.db"
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", "postgresql+asyncpg://host/journal")
    assert Settings().journal_url.get_secret_value() == "postgresql+asyncpg://host/journal"


@pytest.mark.parametrize("name", ["PROJECT_ENDPOINT", "AGENT_TASKS_JOURNAL_URL", "AGENT_TASKS_TOKEN"])
def test_an_empty_variable_does_not_stand_for_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError, match=f"{name} is set, but empty"):
        Settings()


def test_an_empty_line_of_the_env_file_is_refused_unless_the_environment_has_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PROJECT_ENDPOINT=\nMODEL_DEPLOYMENT_NAME\n")
    with pytest.raises(ConfigurationError, match="MODEL_DEPLOYMENT_NAME is set, but empty"):
        Settings()
    monkeypatch.setenv("MODEL_DEPLOYMENT_NAME", "m")
    monkeypatch.setenv("PROJECT_ENDPOINT", "http://127.0.0.1:9/api/projects/p")
    assert Settings().model_deployment_name == "m"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AGENT_TASKS_JOURNALURL", "AGENT_TASKS_JOURNAL_URL"),
        ("AGENT_TASKS_PROJECT_ENDPOINT", "PROJECT_ENDPOINT"),
        ("AGENT_TASK_STATE_DIR", "AGENT_TASKS_STATE_DIR"),
        ("PROJECT_ENDPIONT", "PROJECT_ENDPOINT"),
        ("PROJECT_ENDPOINTS", "PROJECT_ENDPOINT"),
        ("MODEL_DEPLOYMENT_NAMES", "MODEL_DEPLOYMENT_NAME"),
        ("PREFECT_API_ULR", "PREFECT_API_URL"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_misspelt_variable_is_refused_without_its_value(
    name: str, meant: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv(name, "t0p-secret")
    else:
        (tmp_path / ".env").write_text(f"{name}=t0p-secret\n")
    with pytest.raises(ConfigurationError, match=f"{name} in the .*Did you mean '{meant}'") as caught:
        Settings()
    assert "t0p-secret" not in str(caught.value)
    assert caught.value.setting == name


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_AI_PROJECT_ENDPOINT",
        "PREFECT_UI_URL",
        "PREFECT_API_KEY",
        "PREFECT_UI_API_URL",
        "OPENAI_API_KEY",
    ],
)
def test_names_of_others_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    Settings()


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'project_endpoint'"):
        Settings(project_endpiont="https://example.com")


@pytest.mark.parametrize("name", ["TOKEN", "STATE_DIR", "CREDENTIAL"])
def test_other_spellings_are_not_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings()
    monkeypatch.setenv(name, "https://example.com")
    assert Settings() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROJECT_ENDPOINT", "my-project"),
        ("PREFECT_API_URL", "localhost:4200/api"),
        ("AGENT_TASKS_CREDENTIAL", "passport"),
        ("AGENT_TASKS_LOCAL_MODEL", "gpt"),
        ("AGENT_TASKS_LOCAL_MODEL", "scripted:"),
        ("AGENT_TASKS_START_TIMEOUT", "soon"),
        ("AGENT_TASKS_START_TIMEOUT", "0"),
    ],
)
def test_mistake_names_the_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert caught.value.setting == name
    assert str(caught.value).startswith(name)
    assert ".env" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "AGENT_TASKS_LEASE_SECONDS",
            "1",
            "AGENT_TASKS_LEASE_SECONDS should be greater than or equal to 2. Set",
        ),
        (
            "AGENT_TASKS_SERVICE",
            "reponses",
            "AGENT_TASKS_SERVICE should be classic, responses or auto; for a server",
        ),
        ("AGENT_TASKS_JOURNAL_URL", "mysql://h/d", "use SQLite or PostgreSQL. Set it in"),
    ],
)
def test_mistake_is_told_in_a_sentence(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert said in str(caught.value)


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECT_ENDPOINT", "x")
    monkeypatch.setenv("AGENT_TASKS_CREDENTIAL", "y")
    with pytest.raises(ConfigurationError, match=r"PROJECT_ENDPOINT.*; AGENT_TASKS_CREDENTIAL"):
        Settings()


def test_credential_token_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_CREDENTIAL", "token")
    with pytest.raises(ConfigurationError, match="AGENT_TASKS_TOKEN"):
        Settings()
    monkeypatch.setenv("AGENT_TASKS_TOKEN", "t0p")
    monkeypatch.delenv("AGENT_TASKS_CREDENTIAL")
    with pytest.raises(ConfigurationError, match="AGENT_TASKS_CREDENTIAL is default, which uses none"):
        Settings()
    assert Settings(credential="cli").credential is CredentialKind.CLI  # an argument says otherwise
    monkeypatch.setenv("AGENT_TASKS_CREDENTIAL", "token")
    monkeypatch.setenv("AGENT_TASKS_TOKEN", "t0p")
    assert Settings().credential is CredentialKind.TOKEN


def test_secrets_stay_out_of_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_CREDENTIAL", "token")
    monkeypatch.setenv("AGENT_TASKS_TOKEN", "t0p-secret")
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", "postgresql+asyncpg://me:t0p-secret@host/journal")
    assert "t0p-secret" not in repr(Settings()) + str(Settings())
    monkeypatch.setenv("PROJECT_ENDPOINT", "t0p-secret")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert "t0p-secret" not in str(caught.value)


def test_state_folder_that_is_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").touch()
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    with pytest.raises(ConfigurationError, match="not a folder"):
        Settings()


def test_a_relative_state_folder_is_refused_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", "state")
    with pytest.raises(ConfigurationError, match="another journal"):
        Settings()


def test_env_file_that_is_not_text_is_explained(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(ConfigurationError, match=r"\.env"):
        Settings()


def test_reading_settings_does_not_import_prefect() -> None:
    import subprocess
    import sys

    code = "import sys, agent_tasks.settings, agent_tasks.local.servers; print('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
