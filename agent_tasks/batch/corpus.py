"""The steps over all documents of a batch, when each document has its state."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from agent_tasks.batch.context import Batch
from agent_tasks.batch.observer import observer
from agent_tasks.batch.questions import (
    Corpus,
    answer_questions,
    build_corpus_store,
    fill,
    find_quotes,
    read_corpus,
)
from agent_tasks.batch.records import AnswerRow, DocumentRow, Failure
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import AgentTasksError, JournalError
from agent_tasks.journal import AnswerRecord
from agent_tasks.operations import RemoteStore, TurnResult, TurnSpec, Usage, operation_key
from agent_tasks.steps import Session, TurnRecord
from agent_tasks.steps.file.corpus_search import searching
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.records import StepStatus
from agent_tasks.steps.file.running import DocumentRun, RunLimits
from agent_tasks.tools import ToolSet

__all__ = ["answer_over_all"]

CORPUS = "corpus"
_ANSWERED, _FAILED = "answered", "failed"
_WITHOUT_ANSWER = (StepStatus.FAILED, StepStatus.STOPPED, StepStatus.WAITING)
_MAX_QUESTION = 300  # characters of a prompt that stands for its step in the report


async def answer_over_all(batch: Batch, files: Sequence[DocumentFile]) -> list[AnswerRow]:
    """What is said about all documents: the pipeline's questions answered, or its `corpus` steps carried out.

    What an earlier run said about the same documents is reused.

    Returns:
        An answer for each question or step, in their order; one that failed says why.

    Raises:
        AgentTasksError: The reason why the whole batch stops.
    """
    plan = batch.pipeline.corpus
    if not plan.steps:
        return await answer_questions(batch, files)
    corpus = await read_corpus(batch)
    if not corpus.documents:
        return []
    documents = await _documents(batch)
    key = operation_key("corpus-steps", corpus=corpus.key, documents=documents)
    known = await _known(batch, key)
    if known is not None:
        batch.tally.turns_reused += sum(row.turns for row in known)
        for row in known:
            observer().answer_finished(row, reused=True)
        return known
    store, sources = await _store(batch, corpus, files)
    observer().phase_started("questions")
    work = _CorpusWork(batch, sources)
    with searching(store):
        rows = await work.carry_out(documents)
    for row in rows:
        status = _FAILED if row.error else _ANSWERED
        record = AnswerRecord(
            question=row.id,
            corpus=key,
            fingerprint=_fingerprint(batch, status),
            status=status,
            body=row.model_dump(mode="json"),
        )
        # Not by a worker that leads no more: what its successor has deleted is not an answer.
        await batch.ws.journal.answers.put(batch.ws.scope, batch.key, record, held=batch.lead)
        observer().answer_finished(row, reused=False)
    if work.owner not in batch.retained:
        await batch.release(work.owner)
    return rows


async def _documents(batch: Batch) -> list[dict[str, Any]]:
    """What the steps may read of each document."""
    if not any("documents" in json.dumps(dict(step.facts())) for step in batch.pipeline.corpus.walk()):
        return []
    found = []
    async for record in batch.ws.journal.documents.of(batch.ws.scope, batch.key):
        row = record.read(DocumentRow)
        found.append({"name": row.document, "status": row.status.value, "fields": row.fields})
    return found


def _fingerprint(batch: Batch, status: str) -> str:
    pipeline = batch.pipeline
    return operation_key(
        "corpus-steps",
        steps=pipeline.corpus.fingerprints(),
        revision=pipeline.file.revision,
        limits=pipeline.failure_fingerprint if status == _FAILED else None,
    )


async def _known(batch: Batch, key: str) -> list[AnswerRow] | None:
    """The rows of an earlier run, if all of them hold."""
    rows = []
    for step in batch.pipeline.corpus.steps:
        record = await batch.ws.journal.answers.get(batch.ws.scope, batch.key, step.name)
        if record is None or record.corpus != key or record.fingerprint != _fingerprint(batch, record.status):
            return None
        row = record.read(AnswerRow)
        if row.error is not None and row.error.retryable:
            return None
        rows.append(row)
    return rows


async def _store(
    batch: Batch, corpus: Corpus, files: Sequence[DocumentFile]
) -> tuple[RemoteStore | None, dict[str, DocumentFile]]:
    """The store of all documents, if an agent searches in it."""
    steps = batch.pipeline.corpus.walk()
    if not any(agent.searches_corpus for step in steps for agent in step.agents):
        return None, {}
    observer().phase_started("search index")
    return await build_corpus_store(batch, corpus, files)


class _CorpusWork:
    """The state of carrying the steps out."""

    def __init__(self, batch: Batch, sources: dict[str, DocumentFile]) -> None:
        self.batch = batch
        self.sources = sources
        self.owner = batch.owner_of(CORPUS)
        self.results: dict[str, list[TurnResult]] = {}
        self.agents: dict[str, dict[str, Usage]] = {}
        """The turns of each of the uppermost steps."""

    async def carry_out(self, documents: list[dict[str, Any]]) -> list[AnswerRow]:
        """Carry the steps out; one that fails leaves those after it without an answer."""
        batch, limits = self.batch, self.batch.pipeline.limits
        run = DocumentRun(
            batch.pipeline.corpus,
            batch.session.of_part(self.owner, turns=self._turn, on_turn=self._count),
            "all documents",
            None,
            RunLimits(
                turn_deadline=limits.turn_deadline,
                max_completion_tokens=limits.max_completion_tokens,
                repair_turns=limits.repair_turns,
                max_document_tokens=limits.max_document_tokens,
            ),
            under=(CORPUS,),
        )
        origin = batch.origin
        if origin is not None and origin.step in run.plan.positions:
            run.origin = batch.session.of_part(
                batch.owner_of(CORPUS, origin.owner), turns=self._turn, on_turn=self._count
            )
            run.redone_from = origin.step
        made: dict[str, Any] = {}
        failure: AgentTasksError | None = None
        try:
            made = await run.carry_out({"documents": documents})
        except JournalError as error:
            batch.breaker.stop(error)
        except AgentTasksError as error:
            batch.breaker.failed(error)  # raises if this is everybody's failure
            batch.retained.add(self.owner)
            failure = error
        rows = []
        for step in run.plan.steps:
            record = run.outcome.records().get(step.name)
            row = AnswerRow(id=step.name, question=_question(step))
            if record is None or record.status in _WITHOUT_ANSWER:
                assert failure is not None  # noqa: S101 - else all steps have ended
                row.error = Failure.of(failure)
            elif record.status is StepStatus.DONE:
                await self._fill(row, made.get(step.id, record.value))
            rows.append(row)
        return rows

    async def _fill(self, row: AnswerRow, value: Any) -> None:
        results = self.results.get(row.id, [])
        if results and isinstance(value, str):
            fill(row, results[-1], self.sources)
            await find_quotes(self.batch, row, self.sources)
        else:
            row.answer = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        row.usage = sum((result.usage for result in results), start=Usage())
        row.agents = self.agents.get(row.id, {})
        row.turns = len(results)
        row.seconds = sum(result.seconds for result in results)
        row.ids = {result.key: result.turn_id for result in results} if len(results) > 1 else row.ids

    async def _turn(
        self,
        session: Session,
        turn: TurnSpec,
        *,
        model: str,
        tools: ToolSet | None,
        on_text: Callable[[str], None] | None,
    ) -> TurnResult:
        # What a fork does not find in the journal of the original is its own work.
        return await self.batch.run_turn(turn.model_copy(update={"owner": self.owner}), tools, model=model)

    def _count(self, turn: TurnRecord, result: TurnResult) -> None:
        self.batch.count_turn(result)
        step = "/".join(turn.step.split("/")[:2])
        self.results.setdefault(step, []).append(result)
        agents = self.agents.setdefault(step, {})
        agents[turn.agent] = agents.get(turn.agent, Usage()) + result.usage


def _question(step: Step) -> str:
    """What stands for a step in the report: its prompt, if that is short."""
    prompt = getattr(step, "prompt", None)
    source = str(getattr(prompt, "source", "")).strip()
    return source if source and len(source) <= _MAX_QUESTION else f"{step.id}: {step.summary()}"
