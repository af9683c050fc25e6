"""Which module imports which, read from the sources: also within functions and for type checkers only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One import, of a module or of a name in it."""

    source: str
    line: int
    target: str
    name: str | None = None
    """What is taken from the target; None: the module itself."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}" + (f" ({self.name})" if self.name else "")

    @property
    def private(self) -> str | None:
        """The private module or name that is reached for, where it belongs to another package."""
        parts = self.target.split(".") + ([self.name] if self.name else [])
        for place, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                owner = ".".join(parts[:place])
                within = self.source == owner or self.source.startswith(f"{owner}.")
                return None if within else ".".join(parts[: place + 1])
        return None


class Imports:
    """All imports among the modules of some packages.

    Args:
        root: the folder that holds the packages.
        packages: their names.
    """

    def __init__(self, root: Path, *packages: str) -> None:
        self.modules = {
            _name(path.relative_to(root)): path
            for package in packages
            for path in sorted((root / package).rglob("*.py"))
        }
        self.all = [one for module in self.modules for one in self._of(module)]

    def _of(self, module: str) -> Iterator[Import]:
        path = self.modules[module]
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        aliases: dict[str, str] = {}
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for node in ast.walk(tree):
            for target, name, alias in _targets(node, package):
                whole = f"{target}.{name}" if name else target
                if whole in self.modules:
                    aliases[alias] = whole
                    yield Import(module, node.lineno, whole)  # type: ignore[attr-defined]
                else:
                    yield Import(module, node.lineno, target, name)  # type: ignore[attr-defined]
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in aliases
            ):
                yield Import(module, node.lineno, aliases[node.value.id], node.attr)

    def cycle(self, units: Mapping[str, str] | None = None) -> list[str]:
        """A circle among modules, or among what `units` makes of them; empty: there is none.

        Args:
            units: a name for each module, if circles of modules of one name do not count.
        """
        graph: dict[str, set[str]] = {}
        for one in self.all:
            if one.target not in self.modules:
                continue
            source, target = ((units or {}).get(end, end) for end in (one.source, one.target))
            if source != target:
                graph.setdefault(source, set()).add(target)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return list(reversed(error.args[1]))
        return []


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(node: ast.AST, package: str) -> Iterator[tuple[str, str | None, str]]:
    """Module, name in it, and what it's called here."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, None, alias.asname or alias.name
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:
            yield base, alias.name, alias.asname or alias.name
    elif isinstance(node, ast.Call) and _called(node) == "import_module" and node.args:
        match node.args[0]:
            case ast.Constant(value=str() as text):
                yield text, None, text


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "")
