"""Markdown that nobody can write into: all text from outside is escaped where it is put into a template."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from agent_tasks.display import one_line

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~#&!]")


def escape(value: Any) -> Markup:
    """Text as Markdown that shows just this text, on one line: no markup, HTML, links or cells of its own.

    What is `Markup` already stays as it is.
    """
    if isinstance(value, Markup):
        return value
    text = one_line(str(value))
    text = _SPECIAL.sub(lambda match: f"\\{match[0]}", text)
    # Renderers make links out of bare addresses.
    text = text.replace("://", ":\\//").replace("www.", "www\\.").replace("@", "\\@")
    return Markup(text)  # noqa: S704 - it has just been escaped


def quote(value: Any) -> Markup:
    """Text as a block quote that keeps its lines."""
    lines = str(value).strip().splitlines()
    return Markup("\n".join(f"> {escape(line)}" if line.strip() else ">" for line in lines))  # noqa: S704


def render(template: str, **values: Any) -> str:
    """Fill a template of `flows/templates`; every value in it is escaped by itself."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    folder = resources.files("flows") / "templates"
    environment = jinja2.Environment(  # noqa: S701 - the output is Markdown, not HTML: `escape` does it
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = quote
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment
