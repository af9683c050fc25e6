"""Code interpreter: the model's code runs in isolation or not at all; see `agents_emulator.tools.sandbox`.

Every thread has a folder of its own, which lives as long as the thread; the code sees a copy of it as
`/mnt/data`. Files of the agent, the thread and its messages are in it under their names and under their ids
(the real service has them under their ids); variables are carried from call to call.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from agents_emulator.assets import attached_file_ids
from agents_emulator.filestore import new_container_file, new_file
from agents_emulator.models.base import ToolSpec
from agents_emulator.store import CONTAINER_FILES, FILES, MESSAGES, THREADS, Record
from agents_emulator.tools.base import (
    CallContext,
    Tool,
    ToolCallResult,
    ToolError,
    ToolServices,
    ToolSetupError,
)
from agents_emulator.tools.sandbox import Execution, IsolationError, SandboxError
from agents_emulator.tools.sandbox.kept import Kept, read_below

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
MAX_IMAGES = 20
PREFIX = "sandbox:/mnt/data/"
_CODE = {"type": "string", "description": "Python code to execute"}


class Workspace:
    """The folder of a thread, or of a container: what is kept for the code, and a manifest.

    What code writes becomes files of the service; in a container, files of the container.
    """

    def __init__(self, services: ToolServices, thread_id: str, container_id: str | None = None) -> None:
        self._services = services
        self._container_id = container_id
        self.folder = services.thread_folder(container_id or thread_id)
        self._kept = Kept(self.folder)
        self._manifest_path = self.folder / "manifest.json"

    @classmethod
    def of(cls, services: ToolServices, run: Record) -> Workspace:
        """Return the workspace of a run."""
        return cls(services, run["thread_id"], run.get("container_id"))

    def _manifest(self) -> Record:
        if not self._manifest_path.exists():
            return {"inputs": {}, "outputs": {}}
        manifest: Record = json.loads(self._manifest_path.read_text(encoding="utf-8"))
        return manifest

    def _keep_manifest(self, manifest: Record) -> None:
        partial = self._manifest_path.with_suffix(".partial")
        partial.write_text(json.dumps(manifest), encoding="utf-8")
        partial.replace(self._manifest_path)

    def put_inputs(self, files: Sequence[Record]) -> list[str]:
        """Copy uploaded files into the folder, once each; returns their names there."""
        data = self._kept.ensure() / "data"
        manifest = self._manifest()
        names: list[str] = []
        for file in files:
            name = manifest["inputs"].get(file["id"])
            if name is None or not (data / name).exists():
                source = self._services.files_dir / file["id"]
                if not source.exists():
                    continue
                name = _free_name(safe_name(file["filename"]), set(os.listdir(data)))
                partial = self.folder / "input.partial"
                shutil.copyfile(source, partial)
                partial.replace(data / name)
                manifest["inputs"][file["id"]] = name
                self._keep_manifest(manifest)
            names.append(name)
        return names

    async def execute(self, code: str) -> Execution:
        """Execute code with what is kept. Raises `SandboxError`."""
        links = (await asyncio.to_thread(self._manifest))["inputs"]
        return await self._services.sandbox.run(code, self.folder, links)

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return size and time of the files directly in the folder."""
        found: dict[str, tuple[int, int]] = {}
        current = self._kept.current()
        if current is not None:
            with os.scandir(current / "data") as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        state = entry.stat(follow_symlinks=False)
                        found[entry.name] = (state.st_size, state.st_mtime_ns)
        return found

    def shown_figures(self) -> list[tuple[str, bytes]]:
        """Return names and contents of the figures that the last call showed."""
        current = self._kept.current()
        if current is None:
            return []
        names = sorted(name for name in os.listdir(current / "shown") if name.endswith(".png"))
        read = ((name, self._read(name, "shown")) for name in names[:MAX_IMAGES])
        return [(name, content) for name, content in read if content is not None]

    def _read(self, name: str, place: str = "data") -> bytes | None:
        current = self._kept.current()
        most = self._services.settings.interpreter.file_bytes
        return None if current is None else read_below(current, place, name, limit=most)

    async def publish(self, name: str) -> str | None:
        """Return the id of a file of the folder as a file of the service, made now if it changed."""
        content = await asyncio.to_thread(self._read, name)
        if content is None:
            return None
        state = list((await asyncio.to_thread(self.snapshot)).get(name, ()))
        manifest = await asyncio.to_thread(self._manifest)
        known = manifest["outputs"].get(name)
        if known is not None and known["state"] == state:
            return str(known["file_id"])
        file_id = await self.add_file(name, content)
        manifest["outputs"][name] = {"file_id": file_id, "state": state}
        await asyncio.to_thread(self._keep_manifest, manifest)
        return file_id

    async def add_file(self, name: str, content: bytes) -> str:
        """Store a file that code made, as the service stores uploads; returns its id."""
        parent = self._container_id or ""
        if parent:
            file = new_container_file(parent, name, len(content), "assistant")
        else:
            file = new_file(name, len(content), "assistants_output")
        await asyncio.to_thread((self._services.files_dir / file["id"]).write_bytes, content)
        files = CONTAINER_FILES if parent else FILES
        await self._services.store.write(lambda db: files.insert(db, file, parent))
        return str(file["id"])


def safe_name(name: str) -> str:
    """Return an uploaded file's name without folders, control characters and leading dots."""
    last = re.split(r"[/\\]", name)[-1]
    given = "".join("_" if _is_refused(character) else character for character in last).rstrip(". ")
    kept = given.lstrip(". ")
    if Path(given).suffix == f".{kept}":  # nothing but an ending: it says what the file is
        kept = f"_.{kept}"
    stem, dot, suffix = kept.rpartition(".")
    encoded = (stem or suffix).encode("utf-8", "replace")[:150].decode("utf-8", "ignore")
    return (f"{encoded}{dot}{suffix[:20]}" if stem else encoded) or "file"


def _is_refused(character: str) -> bool:
    return character in ':*?"<>|' or not (character.isprintable() or unicodedata.category(character) == "Zs")


def _free_name(name: str, taken: set[str]) -> str:
    stem, dot, suffix = name.rpartition(".")
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}" if stem else f"{name}-{number}"
    return free


class CodeInterpreter(Tool):
    """`code_interpreter`: one function, `code_interpreter(code)`."""

    type = "code_interpreter"

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        super().__init__(definition, run, services)
        self.workspace = Workspace.of(services, run)
        self._names: list[str] = []

    @override
    async def prepare(self, steps: Sequence[Record]) -> list[Record]:
        files = await self.services.store.read(lambda db: input_files(db, self.run))
        if files:
            self._names = await asyncio.to_thread(self.workspace.put_inputs, files)
        return []

    @override
    def specs(self) -> list[ToolSpec]:
        files = f" Files: {', '.join('/mnt/data/' + name for name in self._names)}." if self._names else ""
        return [
            ToolSpec(
                "code_interpreter",
                f"Executes Python code; what it prints and its last value come back.{files}",
                {"type": "object", "properties": {"code": _CODE}, "required": ["code"]},
            )
        ]

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        return {
            "id": call_id,
            "type": self.type,
            "code_interpreter": {"input": code_of(arguments), "outputs": []},
        }

    def deltas(self, body: Record) -> list[Record]:
        """As recorded: the call with no code, then the code in pieces without id (lines, here)."""
        code = body["code_interpreter"]["input"]
        first = {**body, "code_interpreter": {"input": "", "outputs": []}}
        pieces = code.splitlines(keepends=True)
        return [first, *({"type": self.type, "code_interpreter": {"input": piece}} for piece in pieces)]

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        code = call.body["code_interpreter"]["input"]
        if not code.strip():
            raise ToolError("There is no code to execute.")
        space = self.workspace
        before = await asyncio.to_thread(space.snapshot)
        try:
            async with self.services.processes:
                execution = await space.execute(code)
        except IsolationError as error:
            raise ToolSetupError("unsupported_tool", str(error)) from error
        except SandboxError as error:
            raise ToolError(f"The code could not be executed: {error}") from error
        images = await self._images(before) if execution.completed else []
        outputs: list[Record] = [{"type": "logs", "logs": execution.output}] if execution.output else []
        outputs += [{"type": "image", "image": {"file_id": file_id}} for file_id in images]
        text = execution.output
        if images:
            text += f"[{len(images)} image{'s' if len(images) > 1 else ''} shown to the user]"
        return replace(self._result(call.body, outputs, text), images=images)

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        return self._result(body, [{"type": "logs", "logs": message}], message)

    def _result(self, body: Record, outputs: list[Record], text: str) -> ToolCallResult:
        finished = {**body, "code_interpreter": {**body["code_interpreter"], "outputs": outputs}}
        numbered = [{"index": index, **output} for index, output in enumerate(outputs)]
        deltas = [{"type": self.type, "code_interpreter": {"outputs": [output]}} for output in numbered]
        return ToolCallResult(text, finished, deltas)

    async def _images(self, before: dict[str, tuple[int, int]]) -> list[str]:
        """Make files of the service out of what was shown and of image files that are new or changed."""
        space = self.workspace
        found: list[str] = []
        for name, content in await asyncio.to_thread(space.shown_figures):
            found.append(await space.add_file(f"figure-{name}", content))
        after = await asyncio.to_thread(space.snapshot)
        for name in sorted(after):
            changed = after[name] != before.get(name) and name.lower().endswith(IMAGE_SUFFIXES)
            if changed and len(found) < MAX_IMAGES:
                file_id = await space.publish(name)
                if file_id is not None:
                    found.append(file_id)
        return found


def code_of(arguments: str) -> str:
    """Return the code of a call: `code` or `input` of a JSON object, or the text itself."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return arguments
    if isinstance(parsed, dict):
        code = parsed.get("code", parsed.get("input"))
        return code if isinstance(code, str) else ""
    return parsed if isinstance(parsed, str) else arguments


def input_files(db: sqlite3.Connection, run: Record) -> list[Record]:
    """Return the uploaded files that the code of a run may read."""
    thread = THREADS.find(db, run["thread_id"]) or {}
    ids: list[str] = []
    for resources in (run["agent_tool_resources"], thread.get("tool_resources"), run["tool_resources"]):
        ids += ((resources or {}).get("code_interpreter") or {}).get("file_ids") or []
    for message in MESSAGES.select(db, run["thread_id"]):
        for attachment in message["attachments"]:
            if any(tool["type"] == "code_interpreter" for tool in attachment.get("tools") or []):
                ids += attached_file_ids(attachment)
    found = (FILES.find(db, file_id) for file_id in dict.fromkeys(ids))
    given = CONTAINER_FILES.select(db, run.get("container_id") or "", {"source": "user"})
    return [*(file for file in found if file is not None), *given]
