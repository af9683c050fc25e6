"""The protocol of the Agents service as pydantic models.

Names are the schema names of the published spec. Where spec and wire differ, the wire wins; such fields say
"recorded" (docs/wire.md). Unknown fields, enum values and kinds of tools, steps, content and annotations
survive a round trip.

Each module names what it offers in its `__all__`; here it is all together.
`tests/wire/public_names.txt` lists it.
"""

from __future__ import annotations

from agent_tasks.wire import (
    agents,
    base,
    computer,
    content,
    errors,
    events,
    files,
    messages,
    paging,
    requests,
    runs,
    step_deltas,
    steps,
    threads,
    tool_choice,
    tool_resources,
    tools,
    vector_stores,
)
from agent_tasks.wire.agents import *  # noqa: F403
from agent_tasks.wire.base import *  # noqa: F403
from agent_tasks.wire.computer import *  # noqa: F403
from agent_tasks.wire.content import *  # noqa: F403
from agent_tasks.wire.errors import *  # noqa: F403
from agent_tasks.wire.events import *  # noqa: F403
from agent_tasks.wire.files import *  # noqa: F403
from agent_tasks.wire.messages import *  # noqa: F403
from agent_tasks.wire.paging import *  # noqa: F403
from agent_tasks.wire.requests import *  # noqa: F403
from agent_tasks.wire.runs import *  # noqa: F403
from agent_tasks.wire.step_deltas import *  # noqa: F403
from agent_tasks.wire.steps import *  # noqa: F403
from agent_tasks.wire.threads import *  # noqa: F403
from agent_tasks.wire.tool_choice import *  # noqa: F403
from agent_tasks.wire.tool_resources import *  # noqa: F403
from agent_tasks.wire.tools import *  # noqa: F403
from agent_tasks.wire.vector_stores import *  # noqa: F403

__all__: list[str] = []
__all__ += agents.__all__
__all__ += base.__all__
__all__ += computer.__all__
__all__ += content.__all__
__all__ += errors.__all__
__all__ += events.__all__
__all__ += files.__all__
__all__ += messages.__all__
__all__ += paging.__all__
__all__ += requests.__all__
__all__ += runs.__all__
__all__ += step_deltas.__all__
__all__ += steps.__all__
__all__ += threads.__all__
__all__ += tool_choice.__all__
__all__ += tool_resources.__all__
__all__ += tools.__all__
__all__ += vector_stores.__all__
