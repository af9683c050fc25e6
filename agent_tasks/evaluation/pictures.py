"""Pictures of an evaluation, as SVG: scores of the fields, and confidence against what is right."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from agent_tasks.display import one_line
from agent_tasks.evaluation.confidence import Calibration
from agent_tasks.evaluation.scoring import FieldScore

_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2933}.small{font-size:11px;"
    "fill:#52606d}.frame{fill:none;stroke:#9aa5b1}.rule{stroke:#d9dfe5}.p{fill:#4c84c4}.r{fill:#e0a030}"
    ".ideal{stroke:#9aa5b1;stroke-dasharray:4 4}.seen{stroke:#4c84c4;stroke-width:2;fill:none}"
    ".dot{fill:#4c84c4}"
)
_MAX_NAME = 30
_MAX_FIELDS = 60
_LEFT, _WIDE, _ROW, _TOP = 230, 400, 34, 40
_SIDE = 320


def bars(fields: Sequence[FieldScore]) -> str:
    """Precision and recall of each field, as bars; of many fields the first `_MAX_FIELDS`."""
    shown = fields[:_MAX_FIELDS]
    height = _TOP + _ROW * len(shown) + 24
    parts = [f'<text x="{_LEFT}" y="20">Precision (blue) and recall (yellow) of each field</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _LEFT + _WIDE * share
        parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{height - 20}"/>')
        parts.append(f'<text class="small" x="{x}" y="{height - 6}" text-anchor="middle">{share:.0%}</text>')
    for number, score in enumerate(shown):
        y = _TOP + _ROW * number
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 17}" text-anchor="end">{_name(score.field)}</text>')
        for value, name, offset in ((score.precision, "p", 0), (score.recall, "r", 12)):
            said = "no value" if value is None else f"{value:.1%}"
            wide = _WIDE * (value or 0)
            parts.append(
                f'<rect class="{name}" x="{_LEFT}" y="{y + offset}" width="{wide:.1f}" height="11"/>'
            )
            parts.append(f'<text class="small" x="{_LEFT + _WIDE + 8}" y="{y + offset + 10}">{said}</text>')
    return _picture(_LEFT + _WIDE + 80, height, parts, "Precision and recall of each field")


def reliability(calibration: Calibration) -> str:
    """The share of right values for each confidence: on the diagonal, confidence says what is."""
    left, top = 60, 30
    parts = [
        f'<rect class="frame" x="{left}" y="{top}" width="{_SIDE}" height="{_SIDE}"/>',
        f'<line class="ideal" x1="{left}" y1="{top + _SIDE}" x2="{left + _SIDE}" y2="{top}"/>',
        f'<text x="{left}" y="18">Confidence, and the share that is right</text>',
    ]
    for share in (0, 0.5, 1):
        x, y = left + _SIDE * share, top + _SIDE * (1 - share)
        parts.append(
            f'<text class="small" x="{x}" y="{top + _SIDE + 16}" text-anchor="middle">{share:.0%}</text>'
        )
        parts.append(f'<text class="small" x="{left - 8}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    points = [
        (left + _SIDE * one.confidence, top + _SIDE * (1 - one.right), one.values) for one in calibration.bins
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    parts.append(f'<polyline class="seen" points="{line}"/>')
    most = max(values for _, _, values in points)
    for x, y, values in points:
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{3 + 6 * (values / most) ** 0.5:.1f}"/>'
        )
    under = f"{calibration.values} values, Brier {calibration.brier:.3f}, ECE {calibration.ece:.3f}"
    parts.append(f'<text class="small" x="{left}" y="{top + _SIDE + 36}">{under}</text>')
    return _picture(left + _SIDE + 40, top + _SIDE + 50, parts, "Confidence against the share that is right")


def _name(field: str) -> str:
    text = one_line(field)
    return escape(text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}...")


def _picture(width: float, height: float, parts: Sequence[str], title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{title}</title><style>{_STYLE}</style>", ground, *parts, "</svg>", ""])
