"""`agent-tasks init`: from a folder of documents to a first pipeline, first results, a file of truth."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.display import several
from agent_tasks.errors import ConfigurationError

if TYPE_CHECKING:
    from agent_tasks.batch.records import BatchSummary
    from agent_tasks.documents.discovery import DocumentFile
    from agent_tasks.operations import Workspace
    from agent_tasks.pipeline.proposal import Proposal
    from agent_tasks.settings import Settings

__all__ = ["init_folder"]

PIPELINE, TRUTH, FIRST = "pipeline.yaml", "truth.jsonl", "first"
FIRST_DOCUMENTS = 10
_SAMPLE, _SMALL_SAMPLE = 6_000, 700  # characters of a sample that a model is shown; the small one reads few
_SMALL_ANSWER = 700  # tokens of its proposal
_INSTRUCTIONS = (
    "You plan how documents are read by programs. You see samples. Say which kinds of documents they are, "
    "and which values a program should copy from each kind: those that matter to the person who works with "
    "them, with short names. Do not name values that only one document could have."
)
_WEAK = (
    "The small local model proposed this: it is weak at it, so expect to write the fields yourself. For a "
    "better start set PROJECT_ENDPOINT, or give the local service a larger model (docs/local-service.md)."
)
_TO_CHECK = "What the run found. Correct it, then set `checked` to true: only then does it count."


@dataclass(frozen=True)
class _Places:
    """Where things are written."""

    out: Path

    @property
    def pipeline(self) -> Path:
        return self.out / PIPELINE

    @property
    def truth(self) -> Path:
        return self.out / TRUTH

    @property
    def first(self) -> Path:
        return self.out / FIRST

    def refuse_what_is_there(self) -> None:
        there = [path for path in (self.pipeline, self.truth, self.first) if path.exists()]
        if there:
            raise ConfigurationError(
                f"{', '.join(map(str, there))} is there already, and nothing is overwritten. Name another "
                "folder (--out), or move it away.",
                setting="--out",
            )


def init_folder(documents: Path, *, out: Path, samples: int, run: bool) -> ExitCode:
    """Propose a pipeline for a folder, write it, and carry the first documents through it.

    Args:
        documents: The folder of documents.
        out: Where pipeline, truth and first results are written; made if needed.
        samples: Documents that the model sees.
        run: Whether the first documents are worked on.

    Raises:
        ConfigurationError: A folder is not usable; nothing was written.
    """
    from agent_tasks.cli.interrupts import run_interruptible
    from agent_tasks.local.servers import use_prefect_environment
    from agent_tasks.settings import Settings

    places = _Places(out)
    places.refuse_what_is_there()
    settings = Settings()
    use_prefect_environment(settings)  # the blocks import Prefect, which keeps its files in the state folder
    return run_interruptible(lambda: _init(settings, documents, places, samples, run=run))


async def _init(settings: Settings, folder: Path, places: _Places, samples: int, *, run: bool) -> ExitCode:
    from agent_tasks.pipeline.loader import default_model
    from agent_tasks.prefect.blocks import open_workspace

    found = await asyncio.to_thread(_documents, folder, places.out)
    chosen = _spread(found, samples)
    say(f"A model looks at {len(chosen)} of {several(len(found), 'document')} ...", style="dim")
    async with open_workspace(settings) as ws:
        model = default_model(settings)
        is_small = not settings.service_endpoint and settings.local_model_name.startswith("smollm2")
        texts = await _read(chosen, _SMALL_SAMPLE if is_small else _SAMPLE)
        proposal, left_out = await _proposed(ws, texts, model, is_small=is_small)
        name = _slug(folder)
        asked = model or settings.local_model_name
        text, proposal = _pipeline_text(proposal, name, list(texts), asked, left_out)
        await asyncio.to_thread(_write, places.pipeline, text)
        say(f"Written: {places.pipeline}")
        run = _say_what_was_found(places, proposal, left_out, run=run)
        if is_small:
            say(_WEAK, style="yellow")
        first = found[:FIRST_DOCUMENTS]
        fields: dict[str, Any] = {}
        if run:
            say(f"The first {several(len(first), 'document')} ...", style="dim")
            summary, fields = await _run_first(ws, places, folder, found, first, model)
            say(f"The first {several(len(first), 'document')}: {summary.headline()}")
        await asyncio.to_thread(_write, places.truth, _truth(first, fields, proposal))
        say(f"Written: {places.truth}")
    _say_what_follows(places, folder, ran=run)
    return ExitCode.OK


def _documents(folder: Path, out: Path) -> list[DocumentFile]:
    from agent_tasks.documents.discovery import discover
    from agent_tasks.documents.reading import document_extensions

    suffixes = document_extensions()
    inside = out.resolve().is_relative_to(folder.resolve()) and out.resolve() != folder.resolve()
    all_found = discover(folder, suffixes=suffixes, exclude=[out] if inside else [])
    found = [one for one in all_found if one.problem is None]
    if not found:
        raise ConfigurationError(
            f"There is no document in {folder} that can be read ({', '.join(suffixes)}). Nothing was written."
        )
    return found


def _spread(found: Sequence[DocumentFile], count: int) -> list[DocumentFile]:
    """Some of the documents, from all over the folder."""
    count = min(count, len(found))
    return [found[number * len(found) // count] for number in range(count)]


async def _read(chosen: Sequence[DocumentFile], most: int) -> dict[str, str]:
    """The texts of samples, as far as a model is shown them."""
    from agent_tasks.documents.limits import ReadingLimits
    from agent_tasks.documents.reading_pool import shared_pool
    from agent_tasks.errors import DocumentError

    texts: dict[str, str] = {}
    problems = []
    for document in chosen:
        try:
            content = await asyncio.to_thread(document.read, ReadingLimits().max_bytes)
            text = (await shared_pool().read_async(content, document.name)).text.strip()
        except DocumentError as error:
            problems.append(str(error))
            continue
        if text:
            texts[document.name] = text[:most]
    if not texts:
        raise ConfigurationError(
            f"None of {len(chosen)} samples has a text that can be read. {' '.join(problems[:3])} Nothing "
            "was written."
        )
    return texts


async def _proposed(
    ws: Workspace, texts: dict[str, str], model: str | None, *, is_small: bool
) -> tuple[Proposal, list[str]]:
    """What the model proposes, as far as it can be used, and what of it can't, in words."""
    from agent_tasks.errors import AnswerInvalidError, RunIncompleteError
    from agent_tasks.operations import content_hash, release_owner
    from agent_tasks.pipeline.proposal import BLANK, Proposal, short_answers, usable
    from agent_tasks.steps import Agent
    from agent_tasks.steps.session import Session

    kind: Any = short_answers() if is_small else Proposal
    most = _SMALL_ANSWER if is_small else None
    planner = Agent("planner", instructions=_INSTRUCTIONS, answer=kind, max_completion_tokens=most)
    shown = "\n\n".join(f"Document {name}:\n{text}" for name, text in texts.items())
    session = Session(ws, owner="init", run=content_hash(shown)[:16], model=model)
    try:
        found, left_out = usable((await planner.ask(shown, session=session)).value)
    except AnswerInvalidError as error:
        return BLANK, [f"all of it, since it is no proposal of fields: {'; '.join(error.problems[:3])}"]
    except RunIncompleteError:
        return BLANK, ["all of it, since it came to no end"]
    finally:
        await session.end()
        await release_owner(ws, session.root)
    return (found, left_out) if found is not None else (BLANK, [*left_out, "the rest, which names no field"])


def _slug(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.casefold()).strip("-")[:60].strip("-")
    return name or "documents"


def _pipeline_text(
    proposal: Proposal, name: str, samples: list[str], model: str, left_out: list[str]
) -> tuple[str, Proposal]:
    """The file, which is read once before it is written: what is proposed has to be a pipeline.

    Returns:
        The text and what is in it: the proposal, or none where it is no pipeline (which `left_out` is told).
    """
    import tempfile

    from agent_tasks.errors import PipelineError
    from agent_tasks.pipeline.loader import load_pipeline
    from agent_tasks.pipeline.proposal import BLANK, written

    text = written(proposal, name=name, samples=samples, model=model, left_out=left_out)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PIPELINE
        path.write_text(text, encoding="utf-8")
        try:
            load_pipeline(path, default_model=model)
        except PipelineError as error:
            if proposal is BLANK:
                raise
            left_out.append(f"all fields, since they are no pipeline: {error.message}")
            return _pipeline_text(BLANK, name, samples, model, left_out)
    return text, proposal


def _say_what_was_found(places: _Places, proposal: Proposal, left_out: list[str], *, run: bool) -> bool:
    """Say what the model did not find; returns whether the first documents are worth working on."""
    from agent_tasks.pipeline.proposal import BLANK

    if left_out:
        more = f", and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        say(f"Of the model's answer this is not taken: {'; '.join(left_out[:3])}{more}.", style="yellow")
    if proposal is not BLANK:
        return run
    say(
        f"The model did not find which values your documents have. {places.pipeline} is valid, and has a "
        "field `title` alone: write yours in its place. No document was worked on.",
        style="yellow",
    )
    return False


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:  # never over what somebody else has put there meanwhile
        file.write(text)


async def _run_first(
    ws: Workspace,
    places: _Places,
    folder: Path,
    found: Sequence[DocumentFile],
    first: Sequence[DocumentFile],
    model: str | None,
) -> tuple[BatchSummary, dict[str, Any]]:
    """Carry the first documents through the pipeline; returns also what was found in each."""
    from agent_tasks.batch.run import run_batch
    from agent_tasks.evaluation import read_rows
    from agent_tasks.pipeline.loader import load_pipeline

    documents = folder
    if len(found) > len(first):
        documents = places.first / "documents"
        await asyncio.to_thread(_copy, first, folder, documents)
    results = places.first / "results"
    summary = await run_batch(ws, load_pipeline(places.pipeline, default_model=model), documents, results)
    rows = await asyncio.to_thread(read_rows, results)
    return summary, {name: row.fields for name, row in rows.items() if row.fields is not None}


def _copy(first: Sequence[DocumentFile], folder: Path, to: Path) -> None:
    for document in first:
        target = to / document.path.relative_to(folder.resolve())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(document.path, target)


def _truth(first: Sequence[DocumentFile], found: dict[str, Any], proposal: Proposal) -> str:
    """Lines for the first documents, none of which counts before a person has looked at it."""
    nothing = dict.fromkeys(proposal.fields())
    lines = [
        {"document": one.name, "fields": found.get(one.name, nothing), "checked": False, "note": _TO_CHECK}
        for one in first
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _say_what_follows(places: _Places, folder: Path, *, ran: bool) -> None:
    results = places.first / "results" if ran else places.out / "results"
    steps = [
        f"Read {places.pipeline}, and change what is wrong: agent-tasks check {places.pipeline}",
        *(["Look at what waits for a person: agent-tasks review"] if ran else []),
        f"Correct {places.truth}, and set `checked` to true where you have looked.",
        f"Run all: agent-tasks run {folder} --pipeline {places.pipeline} --out {places.out / 'results'}",
        f"See how good it is: agent-tasks evaluate {results} --truth {places.truth}",
    ]
    say("\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)))
