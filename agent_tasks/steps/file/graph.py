"""The picture of a pipeline: its steps as boxes from top to bottom, each in the one that holds it.

Steps form a tree, so a layout of boxes in boxes shows all there is, and nothing has to be placed by search.
All texts come from the file; they are escaped, and cut to what fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from agent_tasks.display import one_line
from agent_tasks.steps.file.plan import Branch, Plan, Step

_CHARACTER = 7.2  # pixels of one character of the font, rather too many
_MAX_TEXT = 44
_PAD = 14
_GAP = 22  # between steps, with the arrow
_BETWEEN = 16  # between branches
_TITLE = 22
_LINE = 17
_MIN_WIDTH = 170
_RADIUS = 8

_HOLDERS = frozenset({"switch", "parallel", "each", "repeat", "pipeline"})
_COLOURS = {
    "agent": "#e8f1fd",
    "extract": "#e8f1fd",
    "review": "#e8f1fd",
    "vote": "#efe9fb",
    "hand_off": "#efe9fb",
    "ground": "#e9f6ec",
    "approve": "#fdf0dc",
}
_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2933}"
    ".kind{fill:#52606d;font-size:12px}.label{fill:#52606d;font-size:12px;font-style:italic}"
    ".name{font-weight:600}.arrow{stroke:#7b8794;stroke-width:1.5;fill:none}"
)


@dataclass(frozen=True)
class _Box:
    """Something of a size, which draws itself at a place."""

    width: float
    height: float


@dataclass(frozen=True)
class _Column(_Box):
    label: str
    steps: tuple[_StepBox, ...]


@dataclass(frozen=True)
class _StepBox(_Box):
    step: Step
    lines: tuple[str, ...]
    columns: tuple[_Column, ...]


def to_svg(plan: Plan, title: str, *, corpus: Plan | None = None) -> str:
    """The picture as SVG.

    Args:
        plan: The steps of a document.
        title: The pipeline's name.
        corpus: The steps over all documents.
    """
    columns = [_column(Branch("for each document", plan.steps))]
    if corpus is not None and corpus.steps:
        columns.append(_column(Branch("over all documents", corpus.steps)))
    width = sum(column.width for column in columns) + _BETWEEN * (len(columns) - 1) + 2 * _PAD
    width = max(width, _width(title) + 2 * _PAD)
    height = max(column.height for column in columns) + 2 * _PAD + _TITLE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_attribute(title)}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        _text(_PAD, _PAD + 14, title, "name"),
    ]
    left = float(_PAD)
    for column in columns:
        _draw_column(parts, column, left, _PAD + _TITLE, column.width)
        left += column.width + _BETWEEN
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def to_text(plan: Plan, *, corpus: Plan | None = None) -> str:
    """The same as an outline of text, a line a step."""
    lines: list[str] = []

    def add(steps: tuple[Step, ...], depth: int) -> None:
        for step in steps:
            lines.append(f"{'  ' * depth}{' - '.join(_lines(step))}")
            for branch in step.branches:
                if branch.label:
                    lines.append(f"{'  ' * (depth + 1)}[{_cut(branch.label)}]")
                add(branch.steps, depth + (2 if branch.label else 1))

    add(plan.steps, 0)
    if corpus is not None and corpus.steps:
        lines.append("[over all documents]")
        add(corpus.steps, 1)
    return "\n".join(lines) + "\n"


def _lines(step: Step) -> tuple[str, ...]:
    """What stands in a step's box: its name and kind, what it does, when."""
    title = step.id if step.id == step.kind else f"{step.id}: {step.kind.replace('_', ' ')}"
    lines = [title, step.summary()]
    if step.head.when is not None:
        lines.append(f"when {step.head.when.source}")
    return tuple(_cut(line) for line in lines if line)


def _cut(text: str) -> str:
    text = " ".join(one_line(text).split())
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _width(text: str) -> float:
    # What is not Latin may be twice as wide.
    return sum(_CHARACTER if ord(character) < 0x2E80 else 2 * _CHARACTER for character in text)


def _column(branch: Branch) -> _Column:
    boxes = tuple(_box(step) for step in branch.steps)
    width = max([_MIN_WIDTH, _width(_cut(branch.label)), *(box.width for box in boxes)])
    height = sum(box.height for box in boxes) + _GAP * max(len(boxes) - 1, 0)
    if branch.label:
        height += _TITLE
    if not boxes:
        height += _LINE
    return _Column(width, height, _cut(branch.label), boxes)


def _box(step: Step) -> _StepBox:
    lines, columns = _lines(step), tuple(_column(branch) for branch in step.branches)
    inner = sum(column.width for column in columns) + _BETWEEN * max(len(columns) - 1, 0)
    width = max([_MIN_WIDTH, inner + 2 * _PAD, *(_width(line) + 2 * _PAD for line in lines)])
    height: float = len(lines) * _LINE + _PAD
    if columns:
        height += max(column.height for column in columns) + _PAD
    return _StepBox(width, height, step, lines, columns)


def _draw_column(parts: list[str], column: _Column, left: float, top: float, width: float) -> None:
    if column.label:
        parts.append(_text(left, top + 13, column.label, "label"))
        top += _TITLE
    if not column.steps:
        parts.append(_text(left, top + 12, "(nothing)", "kind"))
    for number, box in enumerate(column.steps):
        _draw_box(parts, box, left, top, width)
        top += box.height
        if number < len(column.steps) - 1:
            middle = left + width / 2
            parts.append(
                f'<path class="arrow" marker-end="url(#end)" '
                f'd="M{middle:.1f} {top:.1f}V{top + _GAP - 1:.1f}"/>'
            )
        top += _GAP


def _draw_box(parts: list[str], box: _StepBox, left: float, top: float, width: float) -> None:
    colour = _COLOURS.get(box.step.kind, "#f5f7fa")
    dashed = ' stroke-dasharray="5 4"' if box.step.head.when is not None else ""
    parts.append(
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{box.height:.1f}" rx="{_RADIUS}" '
        f'fill="{colour}" stroke="#9aa5b1"{dashed}/>'
    )
    for number, line in enumerate(box.lines):
        style = "name" if number == 0 else "kind"
        parts.append(_text(left + _PAD, top + _PAD / 2 + 13 + number * _LINE, line, style))
    if not box.columns:
        return
    inner_top = top + len(box.lines) * _LINE + _PAD
    inner = sum(column.width for column in box.columns)
    spare = (width - 2 * _PAD - inner - _BETWEEN * (len(box.columns) - 1)) / len(box.columns)
    inner_left = left + _PAD
    for column in box.columns:
        _draw_column(parts, column, inner_left, inner_top, column.width + spare)
        inner_left += column.width + spare + _BETWEEN


def _text(left: float, top: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{left:.1f}" y="{top:.1f}">{escape(_cut(text))}</text>'


def _attribute(text: str) -> str:
    return escape(_cut(text), {'"': "&quot;"})
