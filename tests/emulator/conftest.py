"""A service that tests share when they leave its state alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.service import HELLO, RunningService, start_in_thread, write_rules


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of the module's own; its model always says hello."""
    folder = tmp_path_factory.mktemp("shared")
    running = start_in_thread(folder / "data", write_rules(folder, HELLO))
    yield running
    running.stop()
