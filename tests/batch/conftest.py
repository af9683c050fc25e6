"""Fixtures of the flow's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch.support import RULES, Bench
from tests.conftest import ServiceFactory
from tests.support.service import Rules


@pytest.fixture
def bench(service: ServiceFactory, tmp_path: Path) -> Callable[..., Bench]:
    """Makes a bench; `rules` play the agents, `pipeline` is the text of the pipeline file."""

    def make(*, rules: Rules = RULES, **given: str) -> Bench:
        return Bench(service(rules=rules), tmp_path, **given)

    return make
