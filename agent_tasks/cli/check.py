"""`agent-tasks check`: a pipeline file, looked at as a whole, without running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.errors import PipelineError, PriceUnknownError
from agent_tasks.settings import Settings

if TYPE_CHECKING:
    from agent_tasks.pipeline.loader import Pipeline

__all__ = ["check_pipeline"]


def check_pipeline(path: Path, *, as_json: bool) -> ExitCode:
    """Check a pipeline file and tell what is in it, or all that is wrong; nothing is started or sent.

    Raises:
        ConfigurationError: a setting is not usable.
        PipelineError: the file is not valid (with `as_json` it is printed instead).
    """
    from agent_tasks.batch.budget import require_prices
    from agent_tasks.operations import read_prices
    from agent_tasks.pipeline.loader import default_model, load_pipeline

    settings = Settings()
    prices = read_prices(settings.prices)
    try:
        pipeline = load_pipeline(path, default_model=default_model(settings))
        require_prices(pipeline, prices)
    except (PipelineError, PriceUnknownError) as error:
        if not as_json:
            raise
        problems = _problems(error) if isinstance(error, PipelineError) else [_budget_problem(path, error)]
        typer.echo(json.dumps({"valid": False, "problems": problems}, ensure_ascii=False, indent=2))
        return ExitCode.USAGE
    if as_json:
        typer.echo(
            json.dumps({"valid": True, "problems": [], **_content(pipeline)}, ensure_ascii=False, indent=2)
        )
    else:
        say(f"{path} is valid.", style="green")
        for what, names in _content(pipeline).items():
            typer.echo(f"{what}: {names if isinstance(names, str) else ', '.join(names) or 'none'}")
    return ExitCode.OK


def _budget_problem(path: Path, error: PriceUnknownError) -> dict[str, object]:
    return {
        "path": str(path), "line": None, "field": "budget.money", "message": str(error), "remedy": None,
    }  # fmt: skip


def _problems(error: PipelineError) -> list[dict[str, object]]:
    return [
        {"path": one.path, "line": one.line, "field": one.field, "message": one.message, "remedy": one.remedy}
        for one in (error.problems or (error,))
    ]


def _content(pipeline: Pipeline) -> dict[str, str | list[str]]:
    from agent_tasks.pipeline.loader import ShortPipeline

    agents = pipeline.agents()
    if isinstance(pipeline, ShortPipeline):
        plans = [pipeline.extractor, pipeline.reviewer, pipeline.analyst]
        entries = [(plan.role, entry) for plan in plans if plan is not None for entry in plan.section.tools]
        tools = [f"{role}: {entry.function or f'queue {entry.queue}'}" for role, entry in entries]
    else:
        tools = [f"{agent.key}: {name}" for agent in agents for name in agent.tool_names()]
    listed = [f"{agent.key} ({agent.model})" for agent in agents]
    if pipeline.analyst is not None:
        listed.append(f"analyst ({pipeline.analyst.model})")
    return {
        "name": pipeline.name,
        "agents": listed,
        "tools": tools,
        "steps": [step.name for plan in (pipeline.plan, pipeline.corpus) for step in plan.walk()],
        "fields": list(pipeline.columns),
        "questions": [question.id for question in pipeline.questions],
    }
