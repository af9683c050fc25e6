"""What has to be prepared before a run: the parts of the local service, and the pipeline file."""

from __future__ import annotations

from pathlib import Path

from agent_tasks.doctor.findings import Finding, failed, not_configured, ok
from agent_tasks.errors import AgentTasksError, NotInstalledError
from agent_tasks.local.parts import require_local_parts, weights_path
from agent_tasks.settings import Settings


def check_local_parts(settings: Settings) -> Finding:
    """Whether the local service and the weights of its model are installed, where it is used."""
    check = "local model"
    if settings.service_endpoint:
        return not_configured(check, "An endpoint is set, so the local service is not used.")
    try:
        require_local_parts(settings)
    except NotInstalledError as error:
        return failed(check, str(error), "Install what is missing, as said, or set PROJECT_ENDPOINT.")
    if settings.local_model_name == "smollm2":
        return ok(check, f"The weights of smollm2 are installed: {weights_path()}.")
    return ok(check, f"The local service uses the model {settings.local_model_name.partition(':')[0]}.")


def check_pipeline_file(settings: Settings, path: Path | None) -> Finding:
    """Whether a pipeline file is valid; its tools' modules are loaded."""
    check = "pipeline file"
    if path is None:
        return not_configured(
            check, "No pipeline file was given.", "Give one: agent-tasks doctor --pipeline FILE"
        )
    from agent_tasks.pipeline.loader import default_model, load_pipeline

    try:
        pipeline = load_pipeline(path, default_model=default_model(settings))
    except AgentTasksError as error:
        return failed(check, str(error), "Correct the file; agent-tasks check FILE looks at it again.")
    return ok(check, f"{path} is valid: the pipeline {pipeline.name}.")
