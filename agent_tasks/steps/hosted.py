"""Tools of the service that need something made first: a store to search in, files to compute with, an agent.

What they need is described by keys before anything is made, since a question whose answer is in the journal
needs none of it. It is made when the agent is, for the session, and released with that.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import (
    AgentSpec,
    RemoteFile,
    RemoteStore,
    build_vector_store,
    file_key,
    store_key,
    upload_file,
)
from agent_tasks.tools import CodeInterpreterTool, FileSearchTool, Tool

if TYPE_CHECKING:
    from agent_tasks.steps.session import Session

__all__ = ["CodeInterpreter", "FileSearch", "Files", "NeedyTool", "made", "planned"]

_AT_ONCE = 8  # uploads under way together

Files = str | Path | RemoteFile | Mapping[str, bytes | str] | Sequence[str | Path | RemoteFile]
"""Files: paths (of a folder: all files in it), files that were uploaded before, or contents by name."""

_Maker = Callable[["Session"], Awaitable[RemoteFile]]


@dataclass(frozen=True)
class _File:
    """A file that is known by its key."""

    planned: RemoteFile
    make: _Maker


class NeedyTool(ABC):
    """A tool that needs something on the service.

    To the agent's specification it adds what it needs by its key (`planned`), and later by its id (`made`).
    """

    definitions: list[dict[str, Any]]
    resources: dict[str, Any]

    @abstractmethod
    async def planned(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """The specification with what is needed described by keys. Nothing is sent."""

    @abstractmethod
    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """The specification with what is needed made."""


@dataclass(frozen=True)
class FileSearch(NeedyTool):
    """Search in files: the store and the tool in one.

    Example:
        ```python
        lawyer = Agent("lawyer", tools=[FileSearch("contracts")])             # a folder
        clerk = Agent("clerk", tools=[FileSearch(store)])                     # a store that was built before
        other = Agent("other", tools=[FileSearch({"notes.txt": "Swans ..."})])
        ```

    Raises ConfigurationError where there is nothing to search in, and for options out of their range.
    """

    of: RemoteStore | Files
    """The store, or the files that one is built of."""
    name: str = "files"
    """The name of a store that is built."""
    max_num_results: int | None = None
    """Results per search, 1 to 50; the service's own default is 20."""
    ranker: str | None = None
    """`auto` or `default_2024_08_21`."""
    score_threshold: float | None = None
    """0 to 1: results below it are left out."""

    def __post_init__(self) -> None:
        _refuse_pending(self.of, "FileSearch")
        self._tool()

    def _tool(self) -> FileSearchTool:
        return FileSearchTool(
            max_num_results=self.max_num_results, ranker=self.ranker, score_threshold=self.score_threshold
        )

    @property
    def definitions(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The tool as the service is told about it."""
        return self._tool().definitions

    @property
    def resources(self) -> dict[str, Any]:  # type: ignore[override]
        """None yet: the store is made with the agent."""
        return {}

    async def planned(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the store by its key."""
        if isinstance(self.of, RemoteStore):
            return spec.model_copy(update={"stores": [self.of]})
        files = [file.planned for file in await _files(self.of, "FileSearch")]
        store = RemoteStore(id="", key=store_key(self.name, files), name=self.name, file_ids=[])
        return spec.model_copy(update={"stores": [store]})

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the store built, all its files ingested."""
        if isinstance(self.of, RemoteStore):
            return spec
        files = await _uploaded(session, await _files(self.of, "FileSearch"))
        store = await build_vector_store(session.ws, self.name, files, owner=session.root, ttl=session.ttl)
        if store.failed:
            names = {file.id: file.name for file in files}
            told = "; ".join(f"{names.get(file, file)}: {why}" for file, why in store.failed.items())
            raise ConfigurationError(
                f"FileSearch {self.name!r}: the service could not ingest {len(store.failed)} of {len(files)} "
                f"files, so nothing in them would be found ({told}). Convert them, or leave them out.",
                setting="of",
            )
        return spec.model_copy(update={"stores": [store]})


@dataclass(frozen=True)
class CodeInterpreter(NeedyTool):
    """Python in the service's sandbox, with files that it can read.

    Raises ConfigurationError for more than 20 files.
    """

    files: Files = field(default_factory=tuple)
    """The files."""

    def __post_init__(self) -> None:
        _refuse_pending(self.files, "CodeInterpreter")

    @property
    def definitions(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The tool as the service is told about it."""
        return CodeInterpreterTool().definitions

    @property
    def resources(self) -> dict[str, Any]:  # type: ignore[override]
        """None yet: the files are uploaded with the agent."""
        return {}

    async def planned(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the files by their keys."""
        files = [file.planned for file in await self._all()]
        return spec.model_copy(update={"files": files})

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the files uploaded."""
        return spec.model_copy(update={"files": await _uploaded(session, await self._all())})

    async def _all(self) -> list[_File]:
        if isinstance(self.files, Sequence) and not self.files:
            return []
        files = await _files(self.files, "CodeInterpreter")
        CodeInterpreterTool(file_ids=[file.planned.key for file in files])  # as many as it takes
        return files


async def planned(session: Session, tools: Iterable[Tool], spec: AgentSpec) -> AgentSpec:
    """A specification with what its tools need, described by keys."""
    for tool in tools:
        if isinstance(tool, NeedyTool):
            spec = await tool.planned(session, spec)
    return spec


async def made(session: Session, tools: Iterable[Tool], spec: AgentSpec) -> AgentSpec:
    """A planned specification with what its tools need made."""
    for tool in tools:
        if isinstance(tool, NeedyTool):
            spec = await tool.made(session, spec)
    return spec


def _refuse_pending(given: object, what: str) -> None:
    if inspect.isawaitable(given):
        raise ConfigurationError(f"{what} was given a call that was not awaited: write `await` before it.")


async def _files(given: Files, what: str) -> list[_File]:
    """The files that were named, by their keys. Contents are read to be hashed, and not kept."""
    found = await asyncio.to_thread(lambda: list(_named(given, what)))
    if not found:
        raise ConfigurationError(f"{what} has no files: nothing would ever be found in it.")
    names = Counter(file.planned.name for file in found)
    if doubled := sorted(name for name, times in names.items() if times > 1):
        raise ConfigurationError(f"{what}: two files are named {', '.join(doubled[:5])}. Rename one.")
    return found


def _named(given: Files, what: str) -> Iterable[_File]:
    if isinstance(given, RemoteFile):
        yield _File(given, lambda session: _there(given))
    elif isinstance(given, Mapping):
        for name, content in given.items():
            yield _content(name, content.encode() if isinstance(content, str) else content)
    elif isinstance(given, str | Path):
        yield from _paths(Path(given), what)
    else:
        for one in given:
            yield from _named(one, what)


def _paths(path: Path, what: str) -> Iterable[_File]:
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            parts = inner.relative_to(path).parts
            if inner.is_file() and not any(part.startswith(".") for part in parts):
                yield _path(inner, inner.relative_to(path).as_posix())
    elif path.is_file():
        yield _path(path, path.name)
    else:
        raise ConfigurationError(f"{what}: {path} is no file and no folder.")


def _path(path: Path, name: str) -> _File:
    content = path.read_bytes()
    planned_file = RemoteFile(id="", key=file_key(content, name), name=name, bytes=len(content))

    async def upload(session: Session) -> RemoteFile:
        now = await asyncio.to_thread(path.read_bytes)
        if file_key(now, name) != planned_file.key:
            raise ConfigurationError(f"{path} has changed while it was read. Ask again when it is complete.")
        return await upload_file(session.ws, now, name, owner=session.root, ttl=session.ttl)

    return _File(planned_file, upload)


def _content(name: str, content: bytes) -> _File:
    async def upload(session: Session) -> RemoteFile:
        return await upload_file(session.ws, content, name, owner=session.root, ttl=session.ttl)

    return _File(RemoteFile(id="", key=file_key(content, name), name=name, bytes=len(content)), upload)


async def _there(file: RemoteFile) -> RemoteFile:
    return file


async def _uploaded(session: Session, files: Sequence[_File]) -> list[RemoteFile]:
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(file: _File) -> RemoteFile:
        async with free:
            return await file.make(session)

    outcomes = await asyncio.gather(*(one(file) for file in files), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, RemoteFile)]
