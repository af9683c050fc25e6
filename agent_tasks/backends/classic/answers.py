"""What runs and messages say, in the words of the seam."""

from __future__ import annotations

from agent_tasks.backends.base import (
    ApprovalRequest,
    Citation,
    ToolCallRequest,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
)
from agent_tasks.backends.usage import Usage
from agent_tasks.wire import (
    MessageTextContent,
    MessageTextFileCitationAnnotation,
    MessageTextUrlCitationAnnotation,
    RequiredFunctionToolCall,
    RequiredMcpToolCall,
    SubmitToolApprovalAction,
    SubmitToolOutputsAction,
    ThreadMessage,
    ThreadRun,
)


def ref_of(run: ThreadRun) -> TurnRef:
    """Where a run is."""
    return TurnRef(conversation=run.thread_id, turn_id=run.id)


def needed(run: ThreadRun) -> TurnNeedsTools | TurnNeedsApproval:
    """What a run waits for."""
    action = run.required_action
    if isinstance(action, SubmitToolApprovalAction):
        return TurnNeedsApproval(
            ref=ref_of(run),
            calls=tuple(
                ApprovalRequest(
                    call_id=call.id,
                    server=call.server_label or "",
                    name=call.name,
                    arguments=call.arguments,
                )
                for call in action.submit_tool_approval.tool_calls
                if isinstance(call, RequiredMcpToolCall)
            ),
        )
    calls = action.submit_tool_outputs.tool_calls if isinstance(action, SubmitToolOutputsAction) else []
    return TurnNeedsTools(
        ref=ref_of(run),
        calls=tuple(
            ToolCallRequest(call_id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in calls
            if isinstance(call, RequiredFunctionToolCall)
        ),
    )


def usage_of(run: ThreadRun) -> Usage:
    """What a run cost; nothing until it has ended."""
    if run.usage is None:
        return Usage()
    details = run.usage.prompt_token_details
    return Usage(
        prompt_tokens=run.usage.prompt_tokens,
        cached_tokens=(details.cached_tokens or 0) if details is not None else 0,
        completion_tokens=run.usage.completion_tokens,
        total_tokens=run.usage.total_tokens,
    )


def content_of(message: ThreadMessage) -> tuple[str, tuple[Citation, ...]]:
    """The text of a message, and where it points to."""
    texts: list[str] = []
    citations: list[Citation] = []
    for part in message.content:
        if not isinstance(part, MessageTextContent):
            continue
        before = sum(len(text) + 1 for text in texts)  # a message's parts are joined by a line's end
        texts.append(part.text.value)
        for note in part.text.annotations:
            match note:
                case MessageTextFileCitationAnnotation():
                    citations.append(
                        Citation(
                            mark=note.text,
                            file_id=note.file_citation.file_id,
                            start=_moved(note.start_index, before),
                            end=_moved(note.end_index, before),
                            quote=note.file_citation.quote,
                        )
                    )
                case MessageTextUrlCitationAnnotation():
                    citations.append(
                        Citation(
                            mark=note.text,
                            url=note.url_citation.url,
                            start=_moved(note.start_index, before),
                            end=_moved(note.end_index, before),
                        )
                    )
                case _:
                    pass  # file paths and unknown annotations point to no source
    return "\n".join(texts), tuple(citations)


def _moved(index: int | None, by: int) -> int | None:
    return None if index is None else index + by
