"""One document: from its file to exactly one state.

extract -> validate (-> repair) -> ground -> review -> done | waiting | needs_review | failed. The row is
committed to the journal as soon as it is known; a document is not worked on again while file and pipeline
stay the same. One that waits for a person is worked on again when they have decided: what comes before that
step is taken from the journal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from agent_tasks.batch.context import Batch
from agent_tasks.batch.known import KnownDocuments
from agent_tasks.batch.observer import observer
from agent_tasks.batch.readings import Reading
from agent_tasks.batch.records import (
    AwaitedDecision,
    DocumentRow,
    DocumentStatus,
    Failure,
)
from agent_tasks.batch.releases import Releases
from agent_tasks.batch.unchanged import (
    attached_rows,
    count_attached,
    count_document,
    is_by_other,
    undecided_row,
)
from agent_tasks.confidence import signs_of
from agent_tasks.crashpoints import crash_point
from agent_tasks.documents.attachments import AttachedFile, attached_files, unread_attachments
from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import (
    AgentTasksError,
    DocumentError,
    DocumentTooLongError,
    EmptyDocumentError,
    JournalError,
    LeaseLostError,
    StepStoppedError,
    WaitingForPersonError,
)
from agent_tasks.journal import DocumentRecord, ReviewKind
from agent_tasks.logs import get_logger
from agent_tasks.operations import TurnResult, TurnSpec, Usage, withdraw_questions
from agent_tasks.operations.pacing import go_on
from agent_tasks.pipeline.loader import Pipeline, ShortPipeline
from agent_tasks.pipeline.prompts import PromptError
from agent_tasks.pipeline.short_form import EXTRACT
from agent_tasks.steps import Session, TurnRecord
from agent_tasks.steps.file.records import DocumentOutcome
from agent_tasks.steps.file.running import DocumentRun, RunLimits, ended_before
from agent_tasks.steps.scans import conclude, scans_of
from agent_tasks.steps.tokens import estimate_tokens
from agent_tasks.tools import ToolSet

logger = get_logger("agent_tasks.batch.processing")


async def process_documents(batch: Batch, files: Sequence[DocumentFile]) -> list[DocumentStatus | None]:
    """Bring a chunk of documents to their states, as many at a time as the batch has slots.

    Their conversations are deleted beside the work on others, and before this returns.

    Returns:
        The states, in the order of the files; None for a document that another worker has taken over.

    Raises:
        AgentTasksError: The reason why the whole batch stops. Documents in flight are finished first, since
            their turns are paid for.
    """
    batch.will_begin(len(files))
    releases = Releases(batch)
    known = KnownDocuments(batch, [file.name for file in files])

    async def one(file: DocumentFile) -> DocumentStatus | None:
        async with _slot(batch, file) as reading:
            return await _process_document(batch, reading, releases, known)

    try:
        states = await asyncio.gather(*(one(file) for file in files), return_exceptions=True)
        await releases.finish()
    finally:
        releases.cancel()
    return batch.results_of(states)


@asynccontextmanager
async def _slot(batch: Batch, file: DocumentFile) -> AsyncIterator[Reading]:
    """A slot for a document, which is read before it has one: some are, while all slots are taken."""
    reading = Reading(batch, file)
    try:
        async with batch.ahead:
            batch.breaker.check()
            _tell_begun(batch, file)
            await reading.ahead()
            if batch.slots.locked():
                batch.tally.in_flight.pop(file.name, None)
                observer().document_waits(file.name)
            await batch.slots.acquire()
        try:
            batch.begins()
            batch.breaker.check()
            _tell_begun(batch, file)
            with batch.pace.kept():
                await go_on()
                yield reading
        finally:
            batch.slots.release()
    finally:
        batch.tally.in_flight.pop(file.name, None)


def _tell_begun(batch: Batch, file: DocumentFile) -> None:
    batch.tally.at_step(file.name, "reading")
    observer().document_started(file.name)


async def _process_document(
    batch: Batch, reading: Reading, releases: Releases, documents: KnownDocuments
) -> DocumentStatus | None:
    """Bring one document to its state, commit the row, and have its conversations deleted.

    Returns:
        The state, or None if another worker has taken a step of the document over (it is in `batch.lost`
        then).

    Raises:
        AgentTasksError: The reason why the whole batch stops; the document has no state then.
    """
    journal, file = batch.ws.journal, reading.file
    held = batch.guard(file.name) if batch.guard is not None else None
    try:
        # Each turn, call and deletion for the document is made only while it is this worker's.
        with batch.ws.guarded_by_lease(held) if held is not None else nullcontext():
            is_new = await documents.lack(file.name)
            row, known = await _settle(batch, reading, held, is_new=is_new)
    except LeaseLostError as error:
        if not journal.is_shared:
            batch.breaker.stop(error)
        logger.info("%s is left to another worker: %s", file.name, error)
        batch.lost.add(file.name)
        return None
    except JournalError as error:
        batch.breaker.stop(error)
        raise
    if known is None and row.status is not DocumentStatus.WAITING:
        releases.add(batch.owner_of(file.name), held)
    by_other = known is not None and is_by_other(batch, known)
    count_document(batch, row, reused=known is not None, by_other=by_other)
    return row.status


async def _settle(
    batch: Batch, reading: Reading, held: str | None, *, is_new: bool = False
) -> tuple[DocumentRow, DocumentRecord | None]:
    """The document's row, committed, and the record of it if it was there before."""
    file = reading.file
    work = _DocumentWork(batch, reading, is_new=is_new)
    known = await work.known()
    row = await undecided_row(batch, known) if known is not None else None
    if row is not None and (attached := await attached_rows(batch, row)) is not None:
        count_attached(batch, attached)
        return row, known
    row = await work.new_row()
    # Before its own row: where that is committed, those of its attachments are there too.
    for inner in work.attached:
        await _settle_attached(batch, inner, held)
    if not is_new and (row.status is DocumentStatus.FAILED or row.attachments or row.unread):
        await _take_time_from_before(batch, row)
    await work.withdraw_questions()
    record = DocumentRecord(
        name=file.name,
        content_hash=row.content_hash,
        fingerprint=batch.fingerprint_of(row.status),
        status=row.status.value,
        body=row.model_dump(mode="json"),
    )
    journal, scope = batch.ws.journal, batch.ws.scope
    if not await journal.documents.put(scope, batch.key, record, held=held, before=work.known_at):
        # A person has decided about the row that was there: that counts, and what was found out is theirs.
        theirs = await journal.documents.get(scope, batch.key, file.name)
        if theirs is None:
            raise LeaseLostError(f"{file.name} was taken out of the batch while it was worked on.")
        logger.info("%s: a person has decided about it meanwhile", file.name)
        return theirs.read(DocumentRow), theirs
    crash_point("batch.document")
    return row, None


async def _settle_attached(batch: Batch, file: AttachedFile, held: str | None) -> None:
    """Bring a document that is attached to another one to its state, and count it."""
    batch.tally.total += 1
    row, known = await _settle(batch, Reading(batch, file), held)
    count_document(
        batch, row, reused=known is not None, by_other=known is not None and is_by_other(batch, known)
    )


async def _take_time_from_before(batch: Batch, row: DocumentRow) -> None:
    """Leave the row of a document as it was, if it failed again in the same way: nothing new is known."""
    before = await batch.ws.journal.documents.get(batch.ws.scope, batch.key, row.document)
    if before is not None:
        earlier = before.read(DocumentRow)
        if earlier.model_copy(update={"seconds": row.seconds}) == row:
            row.seconds = earlier.seconds


class _DocumentWork:
    """The state of working on one document.

    Args:
        batch: The batch.
        reading: What is read of it.
        is_new: Whether it has no row, and nobody has decided about it: neither is looked for then.
    """

    def __init__(self, batch: Batch, reading: Reading, *, is_new: bool = False) -> None:
        self.batch = batch
        self._reading = reading
        self._is_new = is_new
        self.file = file = reading.file
        self.owner = batch.owner_of(file.name)
        self.started = time.monotonic() - reading.seconds
        self.content: bytes | None = None
        self.is_kept = False
        """Whether the row is the original one, in a fork."""
        parent = file.parent.name if isinstance(file, AttachedFile) and file.parent is not None else None
        self.row = DocumentRow(document=file.name, status=DocumentStatus.FAILED, parent=parent)
        self.attached: list[AttachedFile] = []
        """The documents that are attached to it."""
        self.was_waiting = False
        """Whether it waited for a person before."""
        self.known_at: float | None = None
        """When the row was committed that is there; None: there is none."""

    async def known(self) -> DocumentRecord | None:
        """What is known of the document, if file and pipeline are as they were."""
        try:
            self.content, self.row.content_hash = await self._reading.content()
        except DocumentError as error:
            self._fail(error, readable=False)
            return None
        if self._is_new:
            return None
        known = await self.batch.ws.journal.documents.get(self.batch.ws.scope, self.batch.key, self.file.name)
        self.known_at = known.updated_at if known is not None else None
        self.was_waiting = known is not None and known.status == DocumentStatus.WAITING
        if (
            known is None
            or known.content_hash != self.row.content_hash
            or known.fingerprint != self.batch.fingerprint_of(known.status)
        ):
            return None
        return known

    async def new_row(self) -> DocumentRow:
        """The row, worked out now."""
        if self.content is not None:
            try:
                await self._work(self.content)
            except DocumentError as error:
                self._fail(error, readable=False)
            except JournalError:
                raise
            except WaitingForPersonError as error:
                self._wait(error, *error.also)
            except PromptError as error:
                self._fail(error)
            except Exception as error:
                self.batch.retained.add(self.owner)
                if not isinstance(error, AgentTasksError):
                    logger.exception("Document %s failed in an unforeseen way", self.file.name)
                self.batch.breaker.failed(error)  # raises if this is everybody's failure
                self._fail(error)
        if not self.is_kept:
            self.row.seconds = round(time.monotonic() - self.started, 3)
        return self.row

    async def withdraw_questions(self) -> None:
        """Ask no more what the document does not wait for any longer, as it is now."""
        error = self.row.error
        if self.was_waiting or (error is not None and not error.retryable):
            keep = {awaited.key for awaited in self.row.waiting}
            await withdraw_questions(self.batch.ws, self.owner, keep=keep)

    def _wait(self, *errors: WaitingForPersonError) -> None:
        self.row.status = DocumentStatus.WAITING
        self.row.waiting = [AwaitedDecision.of(error) for error in errors]
        self.row.reasons = [str(error) for error in errors]

    def _fail(self, error: Exception, *, readable: bool = True) -> None:
        self.row.status = DocumentStatus.FAILED
        self.row.error = Failure.of(error)
        self.row.reasons = [str(error)]
        self.row.readable = readable

    async def _work(self, content: bytes) -> None:
        pipeline = self.batch.pipeline
        self.is_kept = await self._keep()
        if self.is_kept and not self.row.attachments:
            return
        read = await self._reading.text()
        section = pipeline.file.documents
        self.attached = attached_files(
            self.file, read, suffixes=section.suffixes, ignore=section.ignore, limits=pipeline.limits.reading
        )
        if self.is_kept:
            return
        self.row.attachments = [attached.name for attached in self.attached]
        self.row.notes = list(read.notes)
        self.row.unread = [*read.unread, *unread_attachments(read)]
        text = read.text
        scans = scans_of(self.file.name, content, read, pipeline.reading)
        self.row.readable = bool(text)
        if not text and scans is None:
            raise EmptyDocumentError(
                f"{self.file.name} contains no text of its own, only what is attached to it.",
                document=self.file.name,
            )
        values = {
            "document": {"name": self.file.name, "text": text, "pages": read.pages()},
            **pipeline.prompt_names(),
        }
        run = self._run(read, await self._told_by_people())
        run.scans = scans
        self._check_length(text, values, run)
        try:
            await self._carry_out(run, values)
        except WaitingForPersonError:
            self._wait(*run.outcome.waiting)
            return
        except StepStoppedError as stopped:
            logger.debug("%s is for a person to look at: %s", self.file.name, stopped)
        finally:
            self._take(run.outcome)
        by_sight = conclude(scans, self.row.notes, self.row.unread, run.outcome.grounding)
        self.row.reasons = [*run.outcome.said(), *by_sight, *self.row.unread, *self._doubts()]
        self.row.status = DocumentStatus.NEEDS_REVIEW if self.row.reasons else DocumentStatus.DONE

    def _doubts(self) -> list[str]:
        """Work out how sure the values are, where the pipeline asks for it; why they are not sure enough."""
        demand, row = self.batch.pipeline.demand, self.row
        if demand is None or not row.fields:
            return []
        repaired = any("repair" in turn for turn in row.ids)
        signs = signs_of(row.fields, row.grounding, row.review, repaired=repaired, steps=row.steps)
        sure = demand.confidence.of_values(signs)
        row.confidence = {path: round(value, 4) for path, value in sure.items()}
        complaint = demand.complaint(sure)
        return [complaint] if complaint is not None else []

    async def _told_by_people(self) -> dict[str, list[str]]:
        """What people say to steps that they sent the document, as it is, back to."""
        batch = self.batch
        told: dict[str, list[str]] = {}
        here = () if self._is_new else (batch.key,)
        for key in (*here, *((batch.origin.key,) if batch.origin is not None else ())):
            for review in await batch.ws.journal.reviews.of(batch.ws.scope, key, self.file.name):
                is_of_this = review.before["content_hash"] == self.row.content_hash
                if review.kind is ReviewKind.SEND_BACK and review.undone_at is None and is_of_this:
                    told.setdefault(review.step or "", []).append(review.body["told"])
        return told

    def _run(self, read: DocumentContent, told: dict[str, list[str]]) -> DocumentRun:
        """The document on its way through the pipeline's steps."""
        batch, limits = self.batch, self.batch.pipeline.limits
        run = DocumentRun(
            batch.pipeline.plan,
            batch.session.of_part(self.owner, turns=self._turn, on_turn=self._count),
            self.file.name,
            read,
            RunLimits(
                turn_deadline=limits.turn_deadline,
                max_completion_tokens=limits.max_completion_tokens,
                repair_turns=limits.repair_turns,
                max_document_tokens=limits.max_document_tokens,
            ),
            told=told,
        )
        origin = batch.origin
        if origin is not None and origin.step in run.plan.positions:
            run.origin = batch.session.of_part(
                batch.owner_of(self.file.name, origin.owner), turns=self._turn, on_turn=self._count
            )
            run.redone_from = origin.step
        return run

    async def _carry_out(self, run: DocumentRun, values: dict[str, Any]) -> None:
        """Carry the steps out. In a fork of a file without `steps`, the extraction may be there already."""
        if self.row.fields is None:
            await run.carry_out(values)
            return
        run.redone_from = None
        run.outcome.fields = self.row.fields
        _, *left = run.plan.steps
        await run.carry_out({**values, EXTRACT: self.row.fields}, left)

    def _check_length(self, text: str, values: dict[str, Any], run: DocumentRun) -> None:
        """Refuse a document that is too long, before anything is paid for.

        What the agents are asked about is its text, unless the prompts take some pages.
        """
        pipeline = self.batch.pipeline
        run.checks_prompts = False
        asked = text
        if isinstance(pipeline, ShortPipeline) and pipeline.file.agents.extractor.read != "whole":
            return
        if not any(step.reads_document for step in pipeline.plan.walk()):
            if not isinstance(pipeline, ShortPipeline):
                run.checks_prompts = True
                return
            asked = pipeline.extractor.prompts["prompt"].render(values)
        tokens, most = estimate_tokens(asked), pipeline.limits.max_document_tokens
        if tokens > most:
            raise DocumentTooLongError(
                f"{self.file.name} has about {tokens:,} tokens; at most {most:,} are allowed"
                f" (limits.max_document_tokens). Raise the limit, or {_to_be_read_in_parts(pipeline)}.",
                document=self.file.name,
            )

    def _take(self, outcome: DocumentOutcome) -> None:
        """Put what the steps came to into the row."""
        self.row.fields = outcome.fields
        self.row.answer = outcome.answer
        self.row.grounding = outcome.grounding
        self.row.review = outcome.review
        self.row.notes += outcome.notes
        self.row.steps = outcome.records()

    async def _keep(self) -> bool:
        """In a fork: take what is kept from the original row; returns whether that is all of it."""
        origin, plan = self.batch.origin, self.batch.pipeline.plan
        if origin is None:
            return False
        is_short = isinstance(self.batch.pipeline, ShortPipeline)
        if is_short and origin.step == EXTRACT:
            return False
        row = await origin.row(self.batch.ws, self.file.name)
        if row is None:
            return False
        waits = row.status is DocumentStatus.WAITING  # for a decision on the original, not on the fork
        if is_short:
            is_whole = (row.fields is None and not waits) or origin.step == "questions"
        else:
            is_whole = origin.step not in plan.positions or ended_before(row.steps, origin.step, plan)
        if is_whole:
            self.row = row
        elif is_short:
            self.row.fields = row.fields
            self.row.tool_calls = row.tool_calls
            self.row.ids = {step: turn for step, turn in row.ids.items() if step != "review"}
            self.row.step_usage = {s: used for s, used in row.step_usage.items() if s in self.row.ids}
            self.row.answered_by = {s: who for s, who in row.answered_by.items() if s in self.row.ids}
            self.row.usage = sum(self.row.step_usage.values(), start=Usage())
            self.row.turns = len(self.row.ids)
        self.batch.tally.turns_reused += self.row.turns
        return is_whole

    async def _turn(
        self,
        session: Session,
        turn: TurnSpec,
        *,
        model: str,
        tools: ToolSet | None,
        on_text: Callable[[str], None] | None,
    ) -> TurnResult:
        observer().step_started(self.file.name, turn.step)
        self.batch.tally.at_step(self.file.name, turn.step)
        # What a fork does not find in the journal of the original is its own work.
        return await self.batch.run_turn(turn.model_copy(update={"owner": self.owner}), tools, model=model)

    def _count(self, turn: TurnRecord, result: TurnResult) -> None:
        self.batch.count_turn(result)
        self.row.add_turn(turn, result)


def _to_be_read_in_parts(pipeline: Pipeline) -> str:
    """What to do so that prompts have less of a document."""
    if isinstance(pipeline, ShortPipeline):
        return "have the extractor read it in parts (agents.extractor.read: pages, or passages)"
    whole = [step for step in pipeline.plan.walk() if step.reads_document]
    names = ", ".join(step.name for step in whole)
    if all(step.kind in ("extract", "review") for step in whole):
        return f"give these steps `read: passages` (an extract: or pages): {names}"
    return f"give these steps less than all of document.text (an extract or review: `read:`): {names}"
