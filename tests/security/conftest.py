"""The counts of the attacks as the last line of a session."""

from __future__ import annotations

import os
from collections import Counter

import pytest

ATTACKS = pytest.StashKey[dict[str, bool]]()
"""By the id of each attack's test, whether it was held off."""

SHORT_VARIANTS = 2
"""Variants of an attack that `make test` tries."""

ALL_ATTACKS = "AGENT_TASKS_ALL_ATTACKS"
"""Set by `make security`: attacks marked `long` are tried too, and an attack that was not tried fails the
session."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[ATTACKS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Tell with each report whether it is one of an attack."""
    report: pytest.TestReport = yield
    if item.get_closest_marker("attack") is not None:
        report.user_properties.append(("attack", item.nodeid))
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long attacks, and all but the first two variants of each, to `make security`."""
    if os.environ.get(ALL_ATTACKS):
        return
    variants: Counter[tuple[object, ...]] = Counter()
    left, kept = [], []
    for item in items:
        attacks = list(item.iter_markers("attack"))
        of = (item.path, getattr(item, "originalname", item.name))
        is_long = any(attack.kwargs.get("long") for attack in attacks)
        variants[of] += bool(attacks) and not is_long
        is_left = bool(attacks) and (is_long or variants[of] > SHORT_VARIANTS)
        (left if is_left else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session of all attacks fails where one was not tried or not held off, whatever pytest makes of it."""
    attacks = session.config.stash[ATTACKS]
    if os.environ.get(ALL_ATTACKS) and not all(attacks.values()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class _Counter:
    """Counts what the reports say, here or in other processes."""

    def __init__(self, attacks: dict[str, bool]) -> None:
        self._attacks = attacks

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "attack" and isinstance(value, str):
                self._attacks[value] = report.passed and self._attacks.get(value, True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen to the reports."""
    session.config.pluginmanager.register(_Counter(session.config.stash[ATTACKS]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the counts after pytest's own summary, where the attacks were asked for."""
    attacks = config.stash.get(ATTACKS, None)
    if attacks and os.environ.get(ALL_ATTACKS) and not hasattr(config, "workerinput"):
        print(f"attacks: {len(attacks)}, held: {sum(attacks.values())}")
