"""Prompt templates: Jinja2 in its sandbox, checked when the pipeline file is read.

A template is the pipeline author's; what is put into it (documents, model answers) is anybody's and is only
ever data: it is never parsed as a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import meta, nodes

from agent_tasks.known_names import did_you_mean
from agent_tasks.pipeline.prompt_bounds import BoundedEnvironment, bounded

DOCUMENT_ATTRIBUTES = frozenset({"name", "text", "pages"})


class PromptError(Exception):
    """A template is wrong; `line` counts from 1 within the template."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=_of_any_type)


def _of_any_type(value: Any) -> None:
    """What stands for a value of any type while a template is checked; whatever comes then can be JSON."""
    if not isinstance(value, jinja2.ChainableUndefined):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")


class _Sandbox(BoundedEnvironment):
    """The sandbox, where `extraction.items` is the field of that name and not Python's method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The field of a mapping, before anything else that goes by its name."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _environment() -> BoundedEnvironment:
    environment = _Sandbox(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["json"] = _as_json
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": _of_any_type}
    return environment


_ENVIRONMENT = _environment()


def parsed(source: str) -> tuple[nodes.Template, set[str]]:
    """A template as a tree, and the names that it asks for.

    Raises:
        PromptError: It is no template, or has a filter that is not known.
    """
    try:
        tree = _ENVIRONMENT.parse(source)
        return tree, meta.find_undeclared_variables(tree)
    except jinja2.TemplateSyntaxError as error:
        raise PromptError(_said(error), error.lineno) from error


def _said(error: jinja2.TemplateSyntaxError) -> str:
    said = error.message or "not a valid template"
    found = re.fullmatch(r"No (filter|test) named '(.*)'\.", said)
    if found is None:
        return said
    known = _ENVIRONMENT.filters if found[1] == "filter" else _ENVIRONMENT.tests
    meant = did_you_mean(found[2], list(known))
    return f"there is no {found[1]} '{found[2]}'.{f' {meant}' if meant.startswith('Did') else ''}"


@dataclass(frozen=True)
class Prompt:
    """A checked template."""

    source: str
    names: frozenset[str]
    """Names the template may use."""
    reads_all: bool
    """Whether the whole text of a document goes into it, and not only some of its pages."""
    _template: jinja2.Template

    @classmethod
    def parse(cls, source: str, names: frozenset[str]) -> Prompt:
        """Check a template: its syntax, the filters and the names that it uses.

        Raises:
            PromptError: With the line in the template.
        """
        try:
            tree = _ENVIRONMENT.parse(source)
            template = _ENVIRONMENT.from_string(_ENVIRONMENT.counted(_ENVIRONMENT.parse(source)))
        except jinja2.TemplateSyntaxError as error:
            raise PromptError(_said(error), error.lineno) from error
        for unknown in sorted(meta.find_undeclared_variables(tree) - names):
            line = next((n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown), 1)
            raise PromptError(f"'{unknown}' is not known here", line)
        reads_all = False
        for attribute in tree.find_all(nodes.Getattr):
            owner = attribute.node
            about_document = isinstance(owner, nodes.Name) and owner.name == "document"
            if about_document and attribute.attr not in DOCUMENT_ATTRIBUTES:
                raise PromptError(f"'document.{attribute.attr}' is not known", attribute.lineno)
            reads_all = reads_all or (about_document and attribute.attr == "text")
        return cls(source, names, reads_all, template)

    def render(self, values: Mapping[str, Any]) -> str:
        """The prompt for these values, without surrounding blank space.

        Raises:
            PromptError: A name or attribute is missing, or an expression fails on these values.
        """
        try:
            with bounded():
                return self._template.render(
                    {name: values[name] for name in self.names if name in values}
                ).strip()
        except RecursionError as error:
            raise PromptError("it calls itself without end", 1) from error
        except MemoryError as error:
            raise PromptError("its text does not fit into memory", 1) from error
        except (
            jinja2.TemplateError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
        ) as error:
            raise PromptError(str(error), _failing_line(error)) from error


def _failing_line(error: BaseException) -> int:
    """The template's line in a traceback; Jinja2 puts one there under the file name ``<template>``."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
