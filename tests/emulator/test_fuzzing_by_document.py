"""Fuzzing by schemathesis, from the collected OpenAPI documents; no 500, no hang."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.answers import ANSWERS
from tests.support.derive_schemas import SPEC
from tests.support.service import RunningService

EXAMPLES = max(1, int(os.environ.get("AGENTS_EMULATOR_FUZZ_REQUESTS", "300")) // 1000)
HANG_SECONDS = 15.0


@pytest.mark.timeout(600)
@pytest.mark.skipif(not SPEC.exists(), reason="the collected specification is not here")
@pytest.mark.parametrize("version", ["v1", "2025-05-15-preview"])
def test_requests_made_from_the_document_do_not_break_the_service(
    shared: RunningService, version: str
) -> None:
    import schemathesis

    document = json.loads((SPEC / f"openapi-{version}.json").read_text(encoding="utf-8"))
    document["servers"] = [{"url": shared.endpoint}]
    schema = schemathesis.openapi.from_dict(document)
    statuses: Counter[int] = Counter()
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 41

    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def fuzz(case: Any) -> None:
            case.query = {**(case.query or {}), "api-version": version}
            response = case.call(base_url=shared.endpoint, timeout=HANG_SECONDS)
            statuses[response.status_code] += 1
            assert response.status_code < 500, response.text[:500]

        fuzz()
    ANSWERS.violations(longest=0)
    assert sum(statuses.values()) >= 41 * EXAMPLES * 0.5, statuses
