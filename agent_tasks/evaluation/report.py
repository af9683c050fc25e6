"""What an evaluation leaves behind: evaluation.md, evaluation.json, pictures, confidence.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from agent_tasks.batch.markdown import environment
from agent_tasks.batch.writers import replacing
from agent_tasks.display import in_json
from agent_tasks.evaluation.confidence import Learned
from agent_tasks.evaluation.pictures import bars, reliability
from agent_tasks.evaluation.scoring import Evaluation
from agent_tasks.evaluation.significance import Contrast

REPORT, FIGURES, PICTURE = "evaluation.md", "evaluation.json", "evaluation.svg"
RELIABILITY, CONFIDENCE = "reliability.svg", "confidence.json"

MAX_SHOWN = 120
"""Characters of a value in the report."""


def write_evaluation(
    out: Path,
    evaluation: Evaluation,
    *,
    run: str,
    truth: str,
    links: str = "",
    learned: Learned | None = None,
    not_learned: str = "",
    against: Mapping[str, Any] | None = None,
) -> Path:
    """Write an evaluation for people and for programs.

    Args:
        out: The folder; made if needed.
        evaluation: What was found.
        run: What was evaluated, for the report.
        truth: The file of right values, likewise.
        links: Path from `out` to the folder of results, in which pictures of places are.
        learned: What was learned about confidence.
        not_learned: Why nothing was.
        against: Another run: `run`, `evaluation`, `contrast`.

    Returns:
        The path of the report.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {
        "run": run,
        "truth": truth,
        **evaluation.model_dump(mode="json"),
        "confidence": learned.model_dump(mode="json") if learned is not None else None,
        "against": _dumped(against) if against is not None else None,
    }
    _write(out / FIGURES, in_json(json.dumps(figures, ensure_ascii=False)) + "\n")
    _write(out / PICTURE, bars(evaluation.fields))
    if learned is not None:
        _write(out / RELIABILITY, reliability(learned.calibration))
        _write(out / CONFIDENCE, learned.confidence.model_dump_json(indent=2) + "\n")
    text = _template().render(
        run=run, truth=truth, evaluation=evaluation, links=links, learned=learned, against=against,
        not_learned=not_learned, scores=[*evaluation.fields, evaluation.total],
    )  # fmt: skip
    _write(out / REPORT, text)
    return out / REPORT


def _dumped(against: Mapping[str, Any]) -> dict[str, Any]:
    other: Evaluation = against["evaluation"]
    contrast: Contrast = against["contrast"]
    return {
        "run": against["run"],
        "evaluation": other.model_dump(mode="json"),
        "contrast": contrast.model_dump(mode="json"),
    }


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text)


def percent(share: float | None) -> str:
    """A share for people: ``12.5%``; ``-`` if there is none."""
    return "-" if share is None else f"{share:.1%}"


def _value(value: Any) -> str:
    text = (
        "nothing"
        if value is None
        else value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


@cache
def _template() -> jinja2.Template:
    templates = environment("agent_tasks.evaluation")
    templates.filters |= {"percent": percent, "value": _value}
    return templates.get_template(REPORT)
