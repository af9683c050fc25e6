"""YAML that remembers where everything stands: plain data, and the line of each value.

PyYAML's ready-made loaders forget lines and let a repeated key overwrite the earlier one; both matter to a
person who looks for a mistake in a pipeline file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from agent_tasks.errors import PipelineError

Location: TypeAlias = tuple[str | int, ...]
"""Where a value stands: mapping keys and list positions from the top."""

MAX_BYTES = 1_000_000
_MAX_NODES = 20_000  # aliases may repeat a node: a small file could otherwise grow without end
_MAX_DEPTH = 40


@dataclass
class YamlSource:
    """A YAML file as plain data, with the lines of its values."""

    path: Path
    data: Any
    lines: dict[Location, int]
    """Line (from 1) of each mapping key and list item."""
    text_lines: dict[Location, int] = field(default_factory=dict)
    """For text values: the line (from 1) on which the text begins; a block text begins below its key."""

    def line(self, location: Location) -> int:
        """Line of a value, or of the nearest thing around it that is in the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 1

    def error(
        self, location: Location, message: str, remedy: str, *, line: int | None = None
    ) -> PipelineError:
        """A `PipelineError` about the value at `location`."""
        return PipelineError(
            message.removesuffix(".") if message.endswith("?.") else message,
            path=str(self.path),
            line=line or self.line(location),
            field=dotted(location) or None,
            remedy=remedy,
        )


def dotted(location: Location) -> str:
    """``("agents", "extractor", "tools", 0)`` as ``agents.extractor.tools[0]``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(path: Path) -> YamlSource:
    """Read a YAML file of mappings with text keys.

    Raises:
        PipelineError: The file is missing, too large, not UTF-8, not YAML, has a key twice or keys that are
            not text, or nests too deeply.
    """
    source = YamlSource(path=path, data=None, lines={})
    try:
        if path.stat().st_size > MAX_BYTES:
            raise source.error((), f"the file is larger than {MAX_BYTES:,} bytes.", "Is it a pipeline file?")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PipelineError(
            f"cannot be read: {error.strerror}.", path=str(path), remedy="Give the path of a pipeline file."
        ) from error
    except UnicodeDecodeError as error:
        raise source.error((), f"is not UTF-8 text (byte {error.start}).", "Save it as UTF-8.") from error
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        source.data = _Walk(source, loader).value(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise source.error(
            (),
            f"is not valid YAML: {' '.join(part for part in (error.problem, error.context) if part)}.",
            "Check indentation, colons and quotes on this line and the one above.",
            line=mark.line + 1 if mark else 1,
        ) from error
    except yaml.reader.ReaderError as error:
        raise source.error(
            (),
            f"has a character that YAML does not allow: #x{ord(text[error.position]):04x}.",
            "Remove it.",
            line=text.count("\n", 0, error.position) + 1,
        ) from error
    except RecursionError as error:
        raise source.error((), "nests too deeply.", "Write it with fewer brackets and levels.") from error
    except ValueError as error:  # a scalar such as 2026-02-30
        raise source.error((), f"has an impossible value: {error}.", "Quote it if it is text.") from error
    return source


class _Walk:
    """Builds plain data out of YAML nodes and notes their lines."""

    def __init__(self, source: YamlSource, loader: yaml.SafeLoader) -> None:
        self.source = source
        self.loader = loader
        self.nodes = 0

    def value(self, node: yaml.Node, location: Location) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES or len(location) > _MAX_DEPTH:
            raise self.source.error(
                location[:3], "repeats or nests too much.", "Write it out without aliases (*name).",
                line=node.start_mark.line + 1,
            )  # fmt: skip
        self.source.lines.setdefault(location, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        value = self.loader.construct_object(node, deep=True)
        if isinstance(value, str):
            block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
            self.source.text_lines[location] = node.start_mark.line + (2 if block else 1)
        return value

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                shown = key if key is not None else "a list or mapping"
                raise self.source.error(
                    location, f"has a key that is not text: {shown}.", "Put the key in quotes.", line=line
                )
            if key in result:
                raise self.source.error(
                    (*location, key),
                    f"is there twice (first on line {self.source.lines[(*location, key)]}).",
                    "Keep one of them.",
                    line=line,
                )
            self.source.lines[(*location, key)] = line
            result[key] = self.value(value_node, (*location, key))
        return result
