"""What the backend of the Agents service makes of its answers."""

from __future__ import annotations

from agent_tasks.backends.classic import _content
from agent_tasks.wire import ThreadMessage


def test_citations_of_later_parts_point_into_the_joined_text() -> None:
    mark = "【4:0†source】"
    cited = {
        "type": "file_citation",
        "text": mark,
        "start_index": 4,
        "end_index": 4 + len(mark),
        "file_citation": {"file_id": "assistant-1"},
    }
    part = {"type": "text", "text": {"value": f"Oak.{mark}", "annotations": [cited]}}
    message = ThreadMessage.model_validate(
        {"id": "msg_1", "created_at": 1, "thread_id": "t", "role": "assistant", "content": [part, part]}
    )
    text, citations = _content(message)
    assert [text[citation.start : citation.end] for citation in citations] == [mark, mark]
    assert citations[0].start != citations[1].start
