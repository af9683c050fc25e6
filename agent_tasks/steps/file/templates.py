"""Templates of steps: prompts in which the answers of earlier steps stand, checked against their types.

Rendering is `agent_tasks.pipeline.prompts`; what is added here is that a name, or a field of an answer, which
will not be there is told when the file is loaded, wherever in the template it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from agent_tasks.known_names import did_you_mean
from agent_tasks.pipeline.prompts import Prompt, PromptError, parsed
from agent_tasks.steps.file.types import ANY, ValueType

_PYTHON: dict[str, type] = {"object": dict, "list": list, "string": str}


@dataclass(frozen=True)
class Template:
    """A checked template."""

    prompt: Prompt
    reads: frozenset[str]
    """Names that it asks for."""
    as_python: bool = False
    """Whether a mapping that stands in the text alone is written as Python does, not as JSON."""

    @classmethod
    def parse(cls, source: str, scope: Mapping[str, ValueType]) -> Template:
        """Check a template.

        Args:
            source: As it stands in the file.
            scope: The names that it may use, with their types.

        Raises:
            PromptError: With the line in the template.
        """
        tree, names = parsed(source)
        for name in sorted(names - set(scope)):
            line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)
            raise PromptError(f"'{name}' is not known here. {did_you_mean(name, list(scope))}", line)
        walk = _Walk(scope)
        walk.visit(tree)
        prompt = Prompt.parse(source, frozenset(scope))
        shown = prompt.render({name: one.example() for name, one in scope.items()})
        if not shown and not walk.reads:
            raise PromptError("the template gives an empty text", 1)
        return cls(prompt, frozenset(walk.reads))

    @property
    def source(self) -> str:
        """As it stands in the file."""
        return self.prompt.source

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for these values. Raises PromptError where an expression fails on them."""
        if self.as_python:
            return self.prompt.render(values)
        return self.prompt.render({name: _shown(value) for name, value in values.items()})


def _shown(value: Any) -> Any:
    """A mapping or list that stands in a text alone is JSON there, not Python."""
    if isinstance(value, dict):
        return _Mapping({name: _shown(one) for name, one in value.items()})
    if isinstance(value, list):
        return _List(_shown(one) for one in value)
    return value


class _Mapping(dict[str, Any]):
    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)


class _List(list[Any]):
    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)


class _Walk:
    """Goes through a template with the types of its names; what it does not follow counts as anything."""

    def __init__(self, scope: Mapping[str, ValueType]) -> None:
        self._scope = scope
        self.reads: set[str] = set()

    def visit(self, tree: nodes.Node, local: Mapping[str, ValueType] | None = None) -> None:
        """Check all field accesses below a node."""
        names = dict(local or {})
        if isinstance(tree, nodes.For):
            self._for(tree, names)
            return
        if isinstance(tree, nodes.Assign | nodes.AssignBlock | nodes.With | nodes.Macro | nodes.Import):
            assigned = {one.name for one in tree.find_all(nodes.Name) if one.ctx in ("store", "param")}
            names.update(dict.fromkeys(assigned, ANY))
        if isinstance(tree, nodes.Getattr | nodes.Getitem | nodes.Name):
            self.type_of(tree, names)
            return
        for child in tree.iter_child_nodes():
            self.visit(child, names)
            if isinstance(child, nodes.Assign | nodes.AssignBlock):  # holds for what follows it
                names.update({one.name: ANY for one in child.find_all(nodes.Name) if one.ctx == "store"})

    def _for(self, tree: nodes.For, names: dict[str, ValueType]) -> None:
        found = self.type_of(tree.iter, names)
        inner = {**names, "loop": ANY}
        if isinstance(tree.target, nodes.Name):
            inner[tree.target.name] = (found.item or ANY) if found.name == "list" else ANY
        else:
            inner.update({one.name: ANY for one in tree.target.find_all(nodes.Name)})
        for child in [*([tree.test] if tree.test is not None else []), *tree.body]:
            self.visit(child, inner)
        for child in tree.else_:
            self.visit(child, names)

    def type_of(self, node: nodes.Node, names: Mapping[str, ValueType]) -> ValueType:
        """The type of an expression. Raises PromptError for a field that is not there."""
        if isinstance(node, nodes.Name):
            if node.name in names:
                return names[node.name]
            if node.name in self._scope:
                self.reads.add(node.name)
                return self._scope[node.name]
            return ANY
        if isinstance(node, nodes.Getattr):
            return self._attribute(self.type_of(node.node, names), node.attr, node)
        if isinstance(node, nodes.Getitem):
            found = self.type_of(node.node, names)
            self.visit(node.arg, names)
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                return self._attribute(found, node.arg.value, node)
            return (found.item or ANY) if found.name == "list" else ANY
        for child in node.iter_child_nodes():
            self.visit(child, names)
        return ANY

    def _attribute(self, found: ValueType, name: str, node: nodes.Getattr | nodes.Getitem) -> ValueType:
        try:
            return found.attribute(name, _path(node.node))
        except LookupError as error:
            if hasattr(_PYTHON.get(found.name), name):
                return ANY  # a method, such as `text.upper()`
            raise PromptError(str(error.args[0]), node.lineno) from None


def _path(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_path(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{_path(node.node)}[...]"
    return "it"
