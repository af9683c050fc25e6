"""Questions about all documents: one vector store of them, and an analyst who searches it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from agent_tasks.batch.context import Batch
from agent_tasks.batch.observer import observer
from agent_tasks.batch.records import AnswerRow, DocumentRow, Failure, SourceCitation, shortened
from agent_tasks.documents.attachments import AttachedFile
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.documents.grounding import SourceText
from agent_tasks.documents.reading import SOURCE_CODE_EXTENSIONS
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.errors import AgentTasksError, DocumentError, JournalError
from agent_tasks.journal import AnswerRecord
from agent_tasks.logs import get_logger
from agent_tasks.operations import (
    RemoteAgent,
    RemoteFile,
    RemoteStore,
    TurnResult,
    build_vector_store,
    content_hash,
    operation_key,
    upload_file,
)
from agent_tasks.pipeline.loader import Question

logger = get_logger("agent_tasks.batch.questions")

SEARCHABLE = frozenset((".docx", ".html", ".json", ".md", ".pdf", ".txt", *SOURCE_CODE_EXTENSIONS))
"""What the service reads itself, of what is read here (recorded: unsupported_file)."""

_ANSWERED = "answered"
_FAILED = "failed"


@dataclass
class Corpus:
    """The readable documents of a batch."""

    documents: dict[str, str] = field(default_factory=dict)
    """Name to content hash."""
    parents: dict[str, str] = field(default_factory=dict)
    """Name of what is attached to another document, to that one's."""

    @property
    def key(self) -> str:
        """What the corpus is: answers are kept as long as it stays the same."""
        return operation_key("corpus", documents=self.documents)


async def read_corpus(batch: Batch) -> Corpus:
    """The readable documents of a batch, as the journal has them."""
    corpus = Corpus()
    async for record in batch.ws.journal.documents.of(batch.ws.scope, batch.key):
        row = record.read(DocumentRow)
        if row.readable:
            corpus.documents[record.name] = record.content_hash
        if row.parent is not None:
            corpus.parents[record.name] = row.parent
    return corpus


async def answer_questions(batch: Batch, files: Sequence[DocumentFile]) -> list[AnswerRow]:
    """Answer the pipeline's questions; what an earlier run answered about the same documents is reused.

    Nothing is made on the service if there is nothing to ask.

    Returns:
        An answer for each question, in their order; one that failed says why.

    Raises:
        AgentTasksError: The reason why the whole batch stops.
    """
    questions = batch.pipeline.questions
    corpus = await read_corpus(batch) if questions else None
    if corpus is None or not corpus.documents:
        return []
    known = {question.id: await _known_answer(batch, corpus, question) for question in questions}
    missing = [question for question in questions if known[question.id] is None]
    fresh: dict[str, AnswerRow] = {}
    if missing:
        observer().phase_started("search index")
        analyst, sources = await _make_analyst(batch, corpus, files)
        observer().phase_started("questions")
        rows = await asyncio.gather(
            *(_answer(batch, corpus, question, analyst, sources) for question in missing),
            return_exceptions=True,
        )
        batch.breaker.check()
        for row in rows:
            if isinstance(row, BaseException):
                raise row
            fresh[row.id] = row
    answers: list[AnswerRow] = []
    for question in questions:
        reused = known[question.id]
        if reused is not None:
            batch.tally.turns_reused += reused.turns
        answer = reused or fresh[question.id]
        observer().answer_finished(answer, reused=reused is not None)
        answers.append(answer)
    return answers


def _fingerprint(batch: Batch, question: Question, status: str) -> str:
    """What an answer depends on besides the documents; for a failure, the limits too."""
    pipeline = batch.pipeline
    assert pipeline.analyst is not None  # noqa: S101 - a pipeline with questions has one
    return operation_key(
        "question",
        analyst=pipeline.analyst.facts(),
        text=question.text,
        revision=pipeline.file.revision,
        limits=pipeline.failure_fingerprint if status == _FAILED else None,
    )


async def _known_answer(batch: Batch, corpus: Corpus, question: Question) -> AnswerRow | None:
    record = await batch.ws.journal.answers.get(batch.ws.scope, batch.key, question.id)
    if (
        record is None
        or record.corpus != corpus.key
        or record.fingerprint != _fingerprint(batch, question, record.status)
    ):
        return None
    row = record.read(AnswerRow)
    return None if row.error is not None and row.error.retryable else row


async def _make_analyst(
    batch: Batch, corpus: Corpus, files: Sequence[DocumentFile]
) -> tuple[RemoteAgent, dict[str, DocumentFile]]:
    """Make the analyst, with a store of the corpus.

    Returns:
        The analyst, and the document of each file id.
    """
    plan = batch.pipeline.analyst
    assert plan is not None  # noqa: S101 - a pipeline with questions has one
    store, sources = await build_corpus_store(batch, corpus, files)
    analyst = await batch.agent(plan, hosted_tools=({"type": "file_search"},), stores=(store,))
    return analyst, sources


async def build_corpus_store(
    batch: Batch, corpus: Corpus, files: Sequence[DocumentFile]
) -> tuple[RemoteStore, dict[str, DocumentFile]]:
    """Upload the corpus, and build its store.

    Returns:
        The store, and the document of each file id.
    """
    uploads = await asyncio.gather(
        *(
            _upload(batch, corpus, file)
            for file in await _with_attached(batch, corpus, files)
            if file.name in corpus.documents
        ),
        return_exceptions=True,
    )
    batch.breaker.check()
    remote: list[RemoteFile] = []
    sources: dict[str, DocumentFile] = {}
    for upload in uploads:
        if isinstance(upload, BaseException):
            raise upload
        if upload is not None:
            document, file = upload
            sources[file.id] = document
            remote.append(file)
    try:
        store = await build_vector_store(
            batch.ws, batch.pipeline.name, remote, owner=batch.owner, ttl=batch.ttl
        )
    except Exception as error:
        batch.breaker.failed(error)
        raise
    for file_id, reason in store.failed.items():
        name = sources[file_id].name if file_id in sources else file_id
        batch.warn(f"{name} cannot be searched: {reason}")
    return store, sources


async def _with_attached(batch: Batch, corpus: Corpus, files: Sequence[DocumentFile]) -> list[DocumentFile]:
    """The files, and what is attached to them; the content of that is read when it is needed."""
    known = {file.name: file for file in files}
    async for record in batch.ws.journal.documents.of(batch.ws.scope, batch.key):
        for name in record.read(DocumentRow).attachments:
            if (parent := known.get(record.name)) is not None and name in corpus.parents:
                limits = batch.pipeline.limits.reading
                known[name] = AttachedFile(name, parent.path, parent=parent, limits=limits)
    return list(known.values())


async def _upload(batch: Batch, corpus: Corpus, file: DocumentFile) -> tuple[DocumentFile, RemoteFile] | None:
    async with batch.slots:
        batch.breaker.check()
        try:
            content = await asyncio.to_thread(file.read, batch.pipeline.limits.max_document_bytes)
        except DocumentError as error:
            batch.warn(f"{file.name} cannot be searched: {error}")
            return None
        if content_hash(content) != corpus.documents[file.name]:
            batch.warn(f"{file.name} cannot be searched: it changed while the batch ran; run it again.")
            return None
        name = file.name.replace("/", "_")
        if (
            PurePosixPath(name).suffix.lower() not in SEARCHABLE
        ):  # the service gets the text of what it cannot read itself
            read = await shared_pool().read_async(content, file.name, limits=batch.pipeline.limits.reading)
            content, name = read.text.encode(), f"{name}.txt"
        try:
            return file, await upload_file(batch.ws, content, name, owner=batch.owner, ttl=batch.ttl)
        except AgentTasksError as error:
            batch.breaker.failed(error)
            raise


async def _answer(
    batch: Batch, corpus: Corpus, question: Question, analyst: RemoteAgent, sources: dict[str, DocumentFile]
) -> AnswerRow:
    plan = batch.pipeline.analyst
    assert plan is not None  # noqa: S101 - a pipeline with questions has one
    owner = batch.owner_of(f"question/{question.id}")
    row = AnswerRow(id=question.id, question=question.text)
    async with batch.slots:
        batch.breaker.check()
        try:
            prompt = plan.prompts["prompt"].render({"question": question.text})
            result = await batch.turn(
                plan, analyst, f"question-{question.id}", prompt, owner=owner, tool_choice=plan.tool_choice
            )
        except JournalError as error:
            batch.breaker.stop(error)
        except AgentTasksError as error:
            batch.breaker.failed(error)  # raises if this is everybody's failure
            row.error = Failure.of(error)
            batch.retained.add(owner)
        else:
            fill(row, result, sources)
            row.agents = {plan.name: result.usage}
            await find_quotes(batch, row, sources)
        status = _FAILED if row.error else _ANSWERED
        record = AnswerRecord(
            question=question.id,
            corpus=corpus.key,
            fingerprint=_fingerprint(batch, question, status),
            status=status,
            body=row.model_dump(mode="json"),
        )
        # Not by a worker that leads no more: what its successor has deleted is not an answer.
        await batch.ws.journal.answers.put(batch.ws.scope, batch.key, record, held=batch.lead)
        if owner not in batch.retained:
            await batch.release(owner)
    return row


def _with_places(text: str, cited: Sequence[tuple[SourceCitation, Sequence[str]]]) -> str:
    """The text with a number where a citation points to a place of it, of services that put no mark there."""
    places: dict[int, list[str]] = {}
    for one, sources in cited:
        source = one.document or one.file_name or one.url or one.file_id
        if not one.mark and one.start is not None and source in sources:
            number = f" [{sources.index(source) + 1}]"
            if number not in places.setdefault(one.start, []):
                places[one.start].append(number)
    for place in sorted(places, reverse=True):
        text = text[:place] + "".join(places[place]) + text[place:]
    return text


def fill(row: AnswerRow, result: TurnResult, sources: dict[str, DocumentFile]) -> None:
    """The answer with its citation marks replaced by numbers of sources."""
    text = result.text
    for citation in result.citations:
        document = sources.get(citation.file_id or "")
        name = document.name if document is not None else None
        row.citations.append(SourceCitation(**citation.model_dump(), document=name))
        source = name or citation.file_name or citation.url or citation.file_id
        if source is None:
            continue
        if source not in row.sources:
            row.sources.append(source)
        if citation.mark:
            text = text.replace(citation.mark, f" [{row.sources.index(source) + 1}]")
    text = _with_places(text, [(one, row.sources) for one in row.citations])
    row.answer = text.replace("  [", " [").strip()
    row.usage = result.usage
    row.turns = 1
    row.seconds = result.seconds
    row.tool_calls = shortened(result.tool_calls)
    row.ids = {"turn": result.turn_id}


async def find_quotes(batch: Batch, row: AnswerRow, sources: dict[str, DocumentFile]) -> None:
    """Say where in the documents the quotes of an answer stand; each document is read once."""
    limits = batch.pipeline.limits
    for file_id in dict.fromkeys(citation.file_id for citation in row.citations if citation.quote):
        if (file := sources.get(file_id or "")) is None:
            continue
        try:
            content = await asyncio.to_thread(file.read, limits.max_document_bytes)
            read = await shared_pool().read_async(content, file.name, limits=limits.reading)
        except DocumentError as error:
            logger.info("The quotes of %s were not looked up: %s", file.name, error)
            continue
        text = SourceText(read.text)
        for citation in row.citations:
            if citation.file_id == file_id and citation.quote:
                found = await asyncio.to_thread(text.find_text, citation.quote)
                if found is not None:
                    citation.places = tuple(read.places(found.start, found.end))
