"""Markdown that nobody can write into: all text from outside is escaped where it is put into a template."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from agent_tasks.display import duration, in_short, moment, one_line

MAX_SHOWN = 300
"""Characters of a reason or a name on a page for operators."""

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~#&!]")
_ACTIVE = re.compile(r"[\\`\[\]<>!&]")
"""What links, images, HTML and code begin with; the others only change how a text looks."""
_LEADING = re.compile(r"^(\s*)(?:([-+=])(?=[-+=\s]|$)|(\d{1,9})([.)])(?=\s|$))")
"""What makes a line a list, a rule, or a heading of the line above it."""
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
"""Where renderers recognise a bare address, some of them after escapes are gone."""
_JOINER = "\u2060"
"""Word joiner: takes no room and shows nothing, but what it stands in is no address."""


def escape(value: Any) -> Markup:
    """Text as Markdown that shows just this text, on one line: no markup, HTML, links or cells of its own.

    What is `Markup` already stays as it is.
    """
    return value if isinstance(value, Markup) else Markup(_LEADING.sub(_inert, _escaped(value, _SPECIAL)))  # noqa: S704 - likewise


def _inert(match: re.Match[str]) -> str:
    blank, sign, number, point = match.groups()
    return f"{blank}\\{sign}" if sign else f"{blank}{number}\\{point}"


def escape_cell(value: Any) -> Markup:
    """Text as a cell of a table artifact: no links, images, HTML or code of its own.

    Prefect's first dashboard renders cells as Markdown, the second shows them as they are: what is harmless
    in the one, such as the underscores of a file's name, stays readable in the other.
    """
    return _escaped(value, _ACTIVE)


def plain_address(text: str) -> str:
    """Text for a line of a log, in which Prefect's dashboard makes links of addresses: not of these."""
    return text.replace("://", ":\\//")


def _escaped(value: Any, special: re.Pattern[str]) -> Markup:
    text = special.sub(lambda match: f"\\{match[0]}", one_line(str(value)))
    return Markup(_ADDRESS.sub(_JOINER, text))  # noqa: S704 - it has just been escaped


def quote(value: Any) -> Markup:
    """Text as a block quote that keeps its lines."""
    lines = str(value).strip().splitlines()
    return Markup("\n".join(f"> {escape(line)}" if line.strip() else ">" for line in lines))  # noqa: S704


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def render(template: str, **values: Any) -> str:
    """Fill a template of `agent_tasks/batch/templates`; every value in it is escaped by itself."""
    return environment("agent_tasks.batch").get_template(template).render(values)


@cache
def environment(package: str) -> jinja2.Environment:
    """The templates of a package, in its folder `templates`; every value in them is escaped by itself."""
    folder = resources.files(package) / "templates"
    made = jinja2.Environment(  # noqa: S701 - the output is Markdown, not HTML: `escape` does it
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["quote"] = quote
    made.filters["moment"] = moment
    made.filters["duration"] = duration
    made.filters["shortened"] = _shortened
    made.filters["in_short"] = in_short
    made.filters["thousands"] = lambda number: f"{number:,}"
    return made
