"""How every example reaches its project; the rest of each program is the example itself.

`PROJECT_ENDPOINT` names the project: on Azure, or the address that `agent-tasks emulator` prints.
`MODEL_DEPLOYMENT_NAME` names the model. On Azure you sign in as azure-identity finds you (`az login`), or as
`AGENT_TASKS_CREDENTIAL` says; a service on this machine asks for nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent_tasks import AgentsClient, AsyncAgentsClient, Settings
from agent_tasks.credentials import make_credential

ENDPOINT = os.environ["PROJECT_ENDPOINT"]
MODEL = os.environ["MODEL_DEPLOYMENT_NAME"]
ASSETS = Path(__file__).parent / "assets"
DOCUMENTS = Path(__file__).parents[1] / "documents"

_settings = Settings()
CREDENTIAL = make_credential(_settings.credential, _settings.token, endpoint=ENDPOINT)


def connect(*, logging_enable: bool = False) -> AgentsClient:
    """The blocking client."""
    return AgentsClient(ENDPOINT, CREDENTIAL, logging_enable=logging_enable)


def connect_async() -> AsyncAgentsClient:
    """The async client: the same objects and methods, to be awaited."""
    return AsyncAgentsClient(ENDPOINT, CREDENTIAL)
