"""One service for a module, whose model plays the agents of a lesson."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.responses.helpers import RULES, Wire, wire
from tests.emulator.workflows.teaching import ANSWERS
from tests.support.service import start_in_thread, write_rules


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A client of a service of the module's own."""
    folder = tmp_path_factory.mktemp("workflows")
    rules = {**RULES, "rules": [*ANSWERS, *RULES["rules"]]}
    running = start_in_thread(folder / "data", write_rules(folder, rules))
    with wire(running) as client:
        yield client
    running.stop()
