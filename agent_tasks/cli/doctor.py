"""`agent-tasks doctor`: the checks, as they end, and an exit code."""

from __future__ import annotations

from pathlib import Path

import typer

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.cli.interrupts import run_interruptible
from agent_tasks.display import lines
from agent_tasks.doctor import Finding, Status
from agent_tasks.doctor import examine as checks
from agent_tasks.doctor.findings import as_json as written
from agent_tasks.settings import Settings

__all__ = ["examine"]

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red", Status.NOT_CONFIGURED: "dim"}
_WIDTH = max(len(status) for status in Status)


def examine(
    connection: str, *, as_json: bool, start_service: bool, pipeline: Path | None = None, live: bool = False
) -> ExitCode:
    """Carry out all checks and show them; 1 if one of them failed.

    Raises:
        ConfigurationError: a setting is not usable.
        InterruptedBySignal: Ctrl-C or SIGTERM.
    """
    settings = Settings()

    async def look() -> list[Finding]:
        findings = []
        async for finding in checks(
            settings, connection=connection, start_service=start_service, pipeline=pipeline, live=live
        ):
            findings.append(finding)
            if not as_json:
                _show(finding)
        return findings

    findings = run_interruptible(look)
    if as_json:
        typer.echo(written(findings))
    count = sum(finding.status is Status.FAILED for finding in findings)
    if not as_json:
        say(f"{count} of {len(findings)} checks failed." if count else "Nothing failed.")
    return ExitCode.FAILED if count else ExitCode.OK


def _show(finding: Finding) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    line = Text(f"{finding.status:<{_WIDTH}}  ", style=_STYLES[finding.status])
    line.append(f"{finding.check}: ", style="bold")
    line.append(lines(finding.detail), style="default")
    console.print(line)
    if finding.remedy:
        console.print(Text(" " * (_WIDTH + 2) + lines(finding.remedy), style="italic"))
