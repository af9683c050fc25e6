"""The JSON Schema of pipeline files, for editors: what may stand where, with its description.

Written to docs/pipeline.schema.json by `python -m agent_tasks.pipeline.json_schema`; a test holds it to the
models.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from agent_tasks.pipeline.output_schema import FieldType
from agent_tasks.pipeline.schema import SINKS_MARK, PipelineFile
from agent_tasks.pipeline.steps_file import StepsFile
from agent_tasks.steps.file.registry import sink_kinds, step_kinds, tool_kinds
from agent_tasks.steps.file.sections import STEPS_MARK, TOOLS_MARK

TITLE = "Pipeline file of agent-tasks"


def pipeline_schema() -> dict[str, Any]:
    """The schema of a pipeline file, with and without `steps`, and with the kinds that are installed."""
    definitions: dict[str, Any] = {}
    short = _added(PipelineFile, definitions)
    long = _added(StepsFile, definitions)
    steps = {key: _added(kind.section, definitions) for key, kind in step_kinds().items()}
    tools = {key: _added(kind.section, definitions) for key, kind in tool_kinds().items()}
    # A type alone may stand for a field, and a text for a question.
    types = {"enum": list(get_args(FieldType))}
    definitions["FieldSpec"] = {"anyOf": [types, definitions["FieldSpec"]]}
    definitions["QuestionEntry"] = {"anyOf": [{"type": "string"}, definitions["QuestionEntry"]]}
    definitions["steps"] = {"type": "array", "items": {"$ref": "#/$defs/step"}}
    definitions["step"] = {"anyOf": [_with(key, reference) for key, reference in steps.items()]}
    sinks = {key: _added(kind.section, definitions) for key, kind in sink_kinds().items()}
    definitions["sinks"] = {"type": "array", "items": {"$ref": "#/$defs/sink"}}
    definitions["sink"] = {"anyOf": [_with(key, reference) for key, reference in sinks.items()]}
    definitions["tools"] = {"type": "array", "items": {"$ref": "#/$defs/tool"}}
    definitions["tool"] = {"anyOf": [_with(key, reference) for key, reference in tools.items()]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "if": {"required": ["steps"]},
        "then": {"$ref": long},
        "else": {"$ref": short},
        "$defs": _filled(dict(sorted(definitions.items()))),
    }


def _with(keyword: str, reference: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": reference}, {"required": [keyword]}]}


def _added(model: type[BaseModel], definitions: dict[str, Any]) -> str:
    """Add the schema of a model and of those that it uses; returns the reference to it."""
    schema = model.model_json_schema(mode="validation")
    definitions.update(schema.pop("$defs", {}))
    definitions[model.__name__] = schema
    _describe(model, definitions)
    return f"#/$defs/{model.__name__}"


def _describe(model: type[BaseModel], definitions: dict[str, Any], seen: set[type] | None = None) -> None:
    """Put the docstrings of fields into their schemas."""
    seen = seen if seen is not None else set()
    if model in seen or model.__name__ not in definitions:
        return
    seen.add(model)
    properties = definitions[model.__name__].get("properties", {})
    for base in reversed(model.__mro__):
        if not (issubclass(base, BaseModel) and base is not BaseModel):
            continue
        for name, text in _texts(base).items():
            found = model.model_fields.get(name)
            key = found.alias or name if found is not None else name
            if key in properties:
                properties[key]["description"] = text
    for found in model.model_fields.values():
        for inner in _models(found.annotation):
            _describe(inner, definitions, seen)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field in a class's source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class is one
    found: dict[str, str] = {}
    for statement, after in zip(tree.body, tree.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_text:
            found[statement.target.id] = " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
    return found


def _filled(node: Any) -> Any:
    """References in place of the marks that say where steps and tools may stand; no titles."""
    if isinstance(node, list):
        return [_filled(one) for one in node]
    if not isinstance(node, dict):
        return node
    for mark, name in ((STEPS_MARK, "steps"), (TOOLS_MARK, "tools"), (SINKS_MARK, "sinks")):
        if mark in node:
            told = {"description": node["description"]} if "description" in node else {}
            return {"$ref": f"#/$defs/{name}", **told}
    return {
        key: _filled(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and key != "default"
    }


def main(path: Path) -> None:
    """Write the schema."""
    text = json.dumps(pipeline_schema(), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pipeline.schema.json"))
