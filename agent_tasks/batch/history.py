"""What the last runs of a batch came to, as a picture beside the report and on the dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_tasks.batch.context import Batch
from agent_tasks.batch.records import BatchSummary, DocumentStatus, Evaluated, RunInShort

__all__ = ["PICTURE", "RunBar", "draw", "last_evaluation", "last_runs"]

PICTURE = "history.svg"

SHOWN = 20
"""Runs that the picture shows."""

_EVALUATION = Path("evaluation") / "evaluation.json"

_COLOURS = {
    DocumentStatus.DONE: ("done", "#3a8f5c"),
    DocumentStatus.WAITING: ("waiting", "#7d5ba6"),
    DocumentStatus.NEEDS_REVIEW: ("needs review", "#e0a030"),
    DocumentStatus.REJECTED: ("rejected", "#9aa5b1"),
    DocumentStatus.FAILED: ("failed", "#c4483c"),
}
_WRONG = "#1f2933"
_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2933}.small{font-size:11px;"
    "fill:#52606d}.rule{stroke:#d9dfe5}.share{font-size:11px;paint-order:stroke;stroke:#ffffff;stroke-width:3px}"
)
_WIDTH, _LEFT, _TOP, _HIGH, _STEP = 720, 46, 74, 200, 32


@dataclass(frozen=True)
class RunBar:
    """One run of the picture."""

    counts: Mapping[DocumentStatus, int]
    wrong: float | None = None
    """Of the documents that were done, the share that an evaluation found wrong; None: there was none."""


def last_evaluation(out: Path) -> Evaluated | None:
    """What `agent-tasks evaluate` found of the results in a folder; None: nothing, or not readable."""
    path = out / _EVALUATION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Evaluated(at=path.stat().st_mtime, wrong=found["done_wrong_share"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


async def last_runs(batch: Batch, summary: BatchSummary) -> list[RunBar]:
    """The last runs of a batch, the one whose results are written now at their end.

    Raises:
        JournalError: the journal can't be read.
    """
    past = await batch.ws.journal.runs.past(batch.ws.scope, batch.owner, limit=SHOWN)
    if past and past[-1].started_at >= batch.started:
        past = past[:-1]  # it is this one: its results are written anew
    runs = [(run.ended_at, run.read(RunInShort)) for run in past]
    # An evaluation is of the results that were there: it is noted by the run that came after it.
    later = [*(run.evaluated for _, run in runs[1:]), last_evaluation(batch.out)]
    bars = [
        RunBar(run.counts, found.wrong if found is not None and found.at > ended else None)
        for (ended, run), found in zip(runs, later, strict=bool(runs))
    ]
    return [*bars[-SHOWN + 1 :], RunBar(summary.counts())]


def draw(bars: Sequence[RunBar]) -> str:
    """The runs as bars, each as high as it has documents; dots are shares of wrong ones."""
    most = max((sum(bar.counts.values()) for bar in bars), default=0) or 1
    parts = [f'<text x="{_LEFT}" y="20">The last runs: what became of the documents</text>', *_legend()]
    for share in (0, 0.5, 1):
        y = _TOP + _HIGH * (1 - share)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - 40}" y1="{y:g}" y2="{y:g}"/>')
        parts.append(
            f'<text class="small" x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">{most * share:.4g}</text>'
        )
    for number, bar in enumerate(bars):
        x, y = _LEFT + 8 + _STEP * number, float(_TOP + _HIGH)
        for status, (name, colour) in _COLOURS.items():
            count = bar.counts.get(status, 0)
            high = _HIGH * count / most
            y -= high
            if count:
                parts.append(
                    f'<rect x="{x}" y="{y:.1f}" width="{_STEP - 10}" height="{high:.1f}" fill="{colour}">'
                    f"<title>{count} {name}</title></rect>"
                )
        label = "now" if number == len(bars) - 1 else str(number - len(bars) + 1)
        middle = x + (_STEP - 10) / 2
        parts.append(
            f'<text class="small" x="{middle:g}" y="{_TOP + _HIGH + 16}" text-anchor="middle">{label}</text>'
        )
        if bar.wrong is not None:
            at = _TOP + _HIGH * (1 - bar.wrong)
            parts.append(
                f'<circle cx="{middle:g}" cy="{at:.1f}" r="4" fill="{_WRONG}" stroke="#ffffff"/>'
                f'<text class="share" x="{middle:g}" y="{at - 7:.1f}" text-anchor="middle">'
                f"{bar.wrong:.0%}</text>"
            )
    height = _TOP + _HIGH + 30
    box = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join(
        [head, f"<title>The last runs</title><style>{_STYLE}</style>", ground, *parts, "</svg>", ""]
    )


def _legend() -> list[str]:
    parts, x = [], _LEFT
    for name, colour in _COLOURS.values():
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text class="small" x="{x + 14}" y="39">{name}</text>')
        x += 34 + 7 * len(name)
    # In a line of its own: beside the others it has no room.
    parts.append(f'<rect x="{_LEFT + 1}" y="49" width="8" height="8" rx="4" fill="{_WRONG}"/>')
    parts.append(
        f'<text class="small" x="{_LEFT + 14}" y="57">wrong ones among those done, where evaluated</text>'
    )
    return parts
