"""The wire models know every schema of the published spec, and every property of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent_tasks import wire

SPECS = Path(__file__).parents[3] / "shared" / "wire" / "spec"

# Schemas without a model of their own, and why.
NOT_MODELLED = {
    "UploadFileRequest": "a multipart form, not JSON",
    "DoneEvent": "part of AgentStreamEvent",
    "ErrorEvent": "part of AgentStreamEvent",
    "MessageStreamEvent": "part of AgentStreamEvent",
    "RunStepStreamEvent": "part of AgentStreamEvent",
    "RunStreamEvent": "part of AgentStreamEvent",
    "ThreadStreamEvent": "part of AgentStreamEvent",
}


def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for name in ("openapi-v1.json", "openapi-2025-05-15-preview.json"):
        file = SPECS / name
        if file.exists():
            for schema, body in json.loads(file.read_text())["components"]["schemas"].items():
                found[name.removesuffix(".json"), schema] = body
    return found


SCHEMAS = schemas()
pytestmark = pytest.mark.skipif(not SCHEMAS, reason="the spec is not at hand")


@pytest.mark.parametrize(("spec", "name"), sorted(SCHEMAS))
def test_schema_has_a_model_with_its_properties(spec: str, name: str) -> None:
    if name in NOT_MODELLED:
        assert not hasattr(wire, name)
        return
    model = getattr(wire, name)
    schema = SCHEMAS[spec, name]
    parts = [schema, *schema.get("allOf", [])]
    properties = {key for part in parts for key in part.get("properties", {})}
    if not properties:
        return
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    fields = {field.alias or key for key, field in model.model_fields.items()}
    assert properties - fields == set()


@pytest.mark.parametrize(("spec", "name"), sorted(key for key, body in SCHEMAS.items() if "enum" in body))
def test_enum_has_the_values_of_the_spec(spec: str, name: str) -> None:
    if name not in NOT_MODELLED:
        assert set(SCHEMAS[spec, name]["enum"]) <= {member.value for member in getattr(wire, name)}


def test_every_operation_with_a_json_body_has_a_request_model() -> None:
    models = {
        "create_agent": wire.CreateAgentRequest,
        "update_agent": wire.UpdateAgentRequest,
        "create_thread_and_run": wire.CreateThreadAndRunRequest,
        "ThreadsOperations.create": wire.CreateThreadRequest,
        "ThreadsOperations.update": wire.UpdateThreadRequest,
        "MessagesOperations.create": wire.CreateMessageRequest,
        "MessagesOperations.update": wire.UpdateMessageRequest,
        "RunsOperations.create": wire.CreateRunRequest,
        "RunsOperations.update": wire.UpdateRunRequest,
        "RunsOperations.submit_tool_outputs": wire.SubmitToolOutputsRequest,
        "VectorStoresOperations.create": wire.CreateVectorStoreRequest,
        "VectorStoresOperations.modify": wire.UpdateVectorStoreRequest,
        "VectorStoreFilesOperations.create": wire.CreateVectorStoreFileRequest,
        "VectorStoreFileBatchesOperations.create": wire.CreateVectorStoreFileBatchRequest,
    }
    seen = set()
    spec = json.loads((SPECS / "openapi-2025-05-15-preview.json").read_text())
    for path in spec["paths"].values():
        for operation in path.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                [(key, model)] = [(k, m) for k, m in models.items() if operation["operationId"].endswith(k)]
                seen.add(key)
                assert set(body["schema"]["properties"]) <= set(model.model_fields)
    assert seen == set(models)
