"""Stand-ins for the hosted search tools: they answer from a local folder.

Azure AI Search, Bing grounding, Bing custom search, SharePoint and Fabric are services of their own, out of a
local service's reach. Here each searches the documents of the search folder (`--search-folder`): those of a
subfolder of the tool's type, if there is one, else all of them. Every call says so in its step
(`stand_in`). Addresses of documents come from `urls.yaml` in the folder (`NAME: https://...`); a document
that is not in it gets one below `https://stand-in.invalid/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import yaml
from typing_extensions import override

from agent_tasks.errors import DocumentError
from agents_emulator.models.base import ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.base import (
    CallContext,
    Source,
    Tool,
    ToolCallResult,
    ToolError,
    ToolServices,
    ToolSetupError,
    error_output,
    json_arguments,
    text_argument,
)

if TYPE_CHECKING:
    from agents_emulator.retrieval import RetrievalIndex, SearchHit

STAND_IN = "answered from a local folder by the local service"
DEFAULT_HITS = 5
MAX_HITS = 20
MAX_FILES = 2000
MAX_FILE_BYTES = 20 * 1024 * 1024
URLS_FILE = "urls.yaml"
_LOCKS: dict[Path, asyncio.Lock] = {}


class StandIn(Tool):
    """What the stand-ins share: one function `TYPE(query)`."""

    what = ""
    """What the model is told that it searches."""

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        super().__init__(definition, run, services)
        folder = services.settings.search_folder
        if folder is None:
            raise ToolSetupError(
                "unsupported_tool",
                f"The local service answers the tool '{self.type}' from a local folder, and none was given: "
                "start it with --search-folder DIR.",
            )
        own = folder / self.type
        self._folder = own if own.is_dir() else folder

    @override
    def specs(self) -> list[ToolSpec]:
        query = {"type": "string", "description": "What to look for"}
        parameters = {"type": "object", "properties": {"query": query}, "required": ["query"]}
        return [ToolSpec(self.type, self.what, parameters)]

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        return {"id": call_id, "type": self.type, self.type: {"input": arguments, "stand_in": STAND_IN}}

    def wanted(self) -> int:
        """Return how many passages the definition asks for."""
        return DEFAULT_HITS

    def details(self, query: str, sources: list[Source]) -> dict[str, str]:
        """Return what the finished call says about its outcome; all of it is text, as on the wire."""
        return {"input": query, "output": _passages(sources)}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        query = text_argument(json_arguments(call), "query", "input", "search_query")
        sources = await self._search(query)
        fields = {**self.details(query, sources), "stand_in": STAND_IN}
        finished = {**call.body, self.type: fields}
        return ToolCallResult(_passages(sources), finished, [finished], sources=sources)

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        output = error_output(message)
        finished = {**body, self.type: {**body[self.type], "output": output}}
        return ToolCallResult(output, finished, [finished])

    async def _search(self, query: str) -> list[Source]:
        folder = self._folder.resolve()
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        path = self.services.data_dir / f"search-{name}.db"
        async with _LOCKS.setdefault(path, asyncio.Lock()):
            hits = await asyncio.to_thread(_search_folder, folder, path, query, self.wanted())
        urls = await asyncio.to_thread(_urls, folder)
        return [
            Source(urls.get(hit.file_id) or self._url(hit.file_id), hit.file_name, hit.text.strip())
            for hit in hits
        ]

    def _url(self, name: str) -> str:
        return f"https://stand-in.invalid/{self.type}/{quote(name)}"


class AzureAISearch(StandIn):
    """`azure_ai_search`; of its resources, `top_k` counts."""

    type = "azure_ai_search"
    what = "Searches the index of documents."

    @override
    def wanted(self) -> int:
        for resources in (self.run["tool_resources"], self.run["agent_tool_resources"]):
            for index in ((resources or {}).get("azure_ai_search") or {}).get("indexes") or []:
                top: object = index.get("top_k")
                if isinstance(top, int):
                    return max(1, min(top, MAX_HITS))
        return DEFAULT_HITS

    @override
    def details(self, query: str, sources: list[Source]) -> dict[str, str]:
        metadata = {
            "urls": [source.url for source in sources],
            "titles": [source.title for source in sources],
            "ids": [str(number) for number in range(len(sources))],
        }
        found = {"summary": f"Retrieved {len(sources)} documents.", "metadata": metadata}
        return {"input": query, "output": str(found)}


class BingGrounding(StandIn):
    """`bing_grounding`; of its configuration, `count` counts."""

    type = "bing_grounding"
    what = "Searches the web."
    address = "https://stand-in.invalid/v7.0/search?q="

    @override
    def wanted(self) -> int:
        for configuration in (self.definition.get(self.type) or {}).get("search_configurations") or []:
            count: object = configuration.get("count")
            if isinstance(count, int):
                return max(1, min(count, MAX_HITS))
        return DEFAULT_HITS

    @override
    def details(self, query: str, sources: list[Source]) -> dict[str, str]:
        metadata = {"num_docs_retrieved": len(sources), "num_docs_actually_used": len(sources)}
        return {"requesturl": self.address + quote(query), "response_metadata": str(metadata)}


class BingCustomSearch(BingGrounding):
    """`bing_custom_search`."""

    type = "bing_custom_search"
    address = "https://stand-in.invalid/v7.0/custom/search?q="


class WebSearch(StandIn):
    """`web_search`, of the successor's wire alone."""

    type = "web_search"
    what = "Searches the web."


class Sharepoint(StandIn):
    """`sharepoint_grounding`."""

    type = "sharepoint_grounding"
    what = "Searches the documents of the SharePoint site."


class Fabric(StandIn):
    """`fabric_dataagent`."""

    type = "fabric_dataagent"
    what = "Asks the data agent about the organisation's data."


def _passages(sources: list[Source]) -> str:
    """Return what was found, as JSON for the model."""
    found = [{"title": source.title, "url": source.url, "content": source.text} for source in sources]
    return json.dumps(found, ensure_ascii=False)


def _search_folder(folder: Path, path: Path, query: str, limit: int) -> list[SearchHit]:
    """Search a folder with the service's own retrieval, after reading what is new or changed in it."""
    from agents_emulator.retrieval import RetrievalIndex

    index = RetrievalIndex(path)
    try:
        _update(index, folder, path.with_suffix(".json"))
        return index.search([folder.name], query, limit=limit)
    finally:
        index.close()


def _update(index: RetrievalIndex, folder: Path, known_path: Path) -> None:
    known: dict[str, list[int]] = {}
    with contextlib.suppress(FileNotFoundError):
        known = json.loads(known_path.read_text(encoding="utf-8"))
    present: dict[str, list[int]] = {}
    for path in sorted(folder.rglob("*"))[:MAX_FILES]:
        if path.is_file() and path.name != URLS_FILE and not path.name.startswith("."):
            found = path.stat()
            if found.st_size <= MAX_FILE_BYTES:
                present[path.relative_to(folder).as_posix()] = [found.st_size, found.st_mtime_ns]
    for name in known.keys() - present.keys():
        index.remove_file(folder.name, name)
    for name, state in present.items():
        if known.get(name) != state:
            # Folders may hold files that are no documents; they are simply not found.
            with contextlib.suppress(DocumentError):
                index.add_file(folder.name, name, name, (folder / name).read_bytes())
    if present != known:
        known_path.write_text(json.dumps(present), encoding="utf-8")


def _urls(folder: Path) -> dict[str, str]:
    path = folder / URLS_FILE
    if not path.exists():
        return {}
    try:
        urls = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ToolError(f"{URLS_FILE} of the search folder cannot be read: {error}") from error
    if not isinstance(urls, dict):
        raise ToolError(f"{URLS_FILE} of the search folder must map names to addresses.")
    return {str(name): str(url) for name, url in urls.items()}
