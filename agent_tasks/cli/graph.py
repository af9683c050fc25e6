"""`agent-tasks graph`: the picture of a pipeline file."""

from __future__ import annotations

from pathlib import Path

import typer

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.errors import ConfigurationError
from agent_tasks.settings import Settings

__all__ = ["draw_pipeline"]


def draw_pipeline(path: Path, out: Path | None, *, as_text: bool) -> ExitCode:
    """Draw a pipeline file's steps; nothing is started or sent.

    Args:
        path: the pipeline file.
        out: where the picture goes; None: to standard output.
        as_text: an outline of text in place of SVG.

    Raises:
        ConfigurationError: a setting is not usable, or the picture can't be written.
        PipelineError: the file is not valid.
    """
    from agent_tasks.pipeline.loader import default_model, load_pipeline
    from agent_tasks.steps.file.graph import to_svg, to_text

    pipeline = load_pipeline(path, default_model=default_model(Settings()))
    if as_text:
        picture = to_text(pipeline.plan, corpus=pipeline.corpus)
    else:
        picture = to_svg(pipeline.plan, pipeline.name, corpus=pipeline.corpus)
    if out is None:
        typer.echo(picture, nl=False)
        return ExitCode.OK
    try:
        out.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The picture cannot be written to {out}: {error.strerror}.") from error
    say(f"{out} has the picture of {pipeline.name}.", style="green")
    return ExitCode.OK
