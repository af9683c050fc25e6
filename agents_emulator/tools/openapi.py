"""OpenAPI tools: the operations of a document, really called over HTTP.

An operation's function is called `<tool>_<operationId>` (recorded). Its arguments are the operation's
parameters by name, and `body` for a JSON request body. How the real service names the body is not recorded.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from typing_extensions import override

from agent_tasks.bounded import ACCEPT_ENCODING, TooLargeError, bounded_json, read_at_most
from agents_emulator.models.base import ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.base import (
    CallContext,
    Tool,
    ToolCallResult,
    ToolError,
    ToolServices,
    ToolSetupError,
    error_output,
    json_arguments,
    shortened,
)
from agents_emulator.tools.settings import ToolSettingsError

BODY = "body"
_HEADERS = {"accept": "application/json, */*", "accept-encoding": ACCEPT_ENCODING}
MAX_REDIRECTS = 3
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_MAX_REFERENCES = 20
MAX_PARTS = 100_000
"""Values in a document once its references are replaced."""
_NOT_PARAMETERS = frozenset(
    (
        *("accept", "authorization", "connection", "content-length", "content-type", "cookie", "host"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Headers that a parameter does not set: three by the specification, others since they steer the request."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Operation:
    """One operation of a document."""

    name: str
    method: str
    path: str
    description: str
    parameters: Mapping[str, Record]
    body: Record | None
    base_url: str


class OpenApi(Tool):
    """`openapi`: one function for each operation of the document."""

    type = "openapi"
    delta_kind = "openapi"

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        super().__init__(definition, run, services)
        details = definition["openapi"]
        self._auth: Record = details.get("auth") or {"type": "anonymous"}
        self._defaults = set(details.get("default_params") or [])
        document = details.get("spec")
        if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
            raise ToolSetupError("invalid_tools", f"The document of '{details['name']}' has no paths.")
        self._document = document
        self._name: str = details["name"]
        self._parts = 0
        self._operations: dict[str, Operation] = {}
        self._specs: list[ToolSpec] = []

    @override
    async def prepare(self, steps: Sequence[Record]) -> list[Record]:
        # In a thread: a document that refers to itself in many places is a lot of work, though bounded.
        await asyncio.to_thread(self._read)
        return []

    def _read(self) -> None:
        """Read the document's operations. Raises `ToolSetupError`."""
        self._parts = 0
        self._operations = {
            f"{self._name}_{operation.name}": operation for operation in self._read_operations()
        }
        self._specs = [
            ToolSpec(name, operation.description, self._schema(operation))
            for name, operation in self._operations.items()
        ]

    def _read_operations(self) -> Iterator[Operation]:
        for path, item in self._document["paths"].items():
            for method in _METHODS:
                if isinstance(item, dict) and isinstance(item.get(method), dict):
                    yield self._operation(path, method, item, item[method])

    def _operation(self, path: str, method: str, item: Record, operation: Record) -> Operation:
        name = operation.get("operationId")
        if not isinstance(name, str):
            raise ToolSetupError(
                "invalid_tools", f"The operation {method.upper()} {path} has no operationId."
            )
        described = [*(item.get("parameters") or []), *(operation.get("parameters") or [])]
        resolved = [self._resolved(parameter) for parameter in described]
        parameters = {str(parameter.get("name")): parameter for parameter in resolved}
        body = self._resolved(operation.get("requestBody") or {})
        content = (body.get("content") or {}).get("application/json")
        if content is not None:
            body = {"required": body.get("required") is True, "schema": content.get("schema") or {}}
        servers = operation.get("servers") or item.get("servers") or self._document.get("servers") or [{}]
        return Operation(
            *(name, method.upper(), path, operation.get("description") or operation.get("summary") or ""),
            *(parameters, body if content is not None else None, _server_url(servers[0])),
        )

    def _resolved(self, value: Any, depth: int = 0) -> Any:
        """Return a value with its references within the document replaced.

        What lies deeper than `_MAX_REFERENCES` is left out; more than `MAX_PARTS` in all is refused, since
        references that each lead to several others multiply.
        """
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ToolSetupError(
                "invalid_tools",
                f"The document of '{self._name}' has more than {MAX_PARTS} parts once its references are "
                "replaced. Leave out operations and schemas that the agent does not need.",
            )
        if depth > _MAX_REFERENCES:
            return {}
        if isinstance(value, list):
            return [self._resolved(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str):
            target: Any = self._document
            for part in reference.removeprefix("#/").split("/"):
                step = part.replace("~1", "/").replace("~0", "~")
                target = target.get(step) if isinstance(target, dict) else None
            if not reference.startswith("#/") or target is None:
                raise ToolSetupError("invalid_tools", f"The reference {reference} leads nowhere.")
            return self._resolved(target, depth + 1)
        return {key: self._resolved(item, depth + 1) for key, item in value.items()}

    @override
    def specs(self) -> list[ToolSpec]:
        return self._specs

    def _schema(self, operation: Operation) -> Record:
        properties: Record = {}
        required: list[str] = []
        for name, parameter in operation.parameters.items():
            if name in self._defaults and "default" in (parameter.get("schema") or {}):
                continue
            described = {"description": parameter["description"]} if parameter.get("description") else {}
            properties[name] = {**(parameter.get("schema") or {"type": "string"}), **described}
            if parameter.get("required") is True or parameter.get("in") == "path":
                required.append(name)
        if operation.body is not None:
            properties[BODY] = operation.body["schema"]  # resolved with the body
            required += [BODY] if operation.body["required"] else []
        return {"type": "object", "properties": properties, "required": required}

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        function = {"name": name, "arguments": arguments}
        return {"id": call_id, "type": self.type, "function": function}

    @override
    def deltas(self, body: Record) -> list[Record]:
        return [{"id": body["id"], "type": self.type, "openapi": body["function"]}]

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        operation = self._operations[call.name]
        request = self._request(operation, json_arguments(call))
        try:
            status, text = await self._send(request)
        except TooLargeError as error:
            raise ToolError(
                f"The answer of {operation.method} {request['url']} is not read: {error}."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            detail = str(error) or type(error).__name__
            raise ToolError(f"{operation.method} {request['url']} failed: {detail}") from error
        if status >= httpx.codes.BAD_REQUEST:
            raise ToolError(f"{operation.method} {request['url']} answered {status}: {shortened(text, 2000)}")
        return self._result(call.body, text, _python_text(text))

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        output = error_output(message)
        return self._result(body, output, output)

    def _result(self, body: Record, for_model: str, output: str) -> ToolCallResult:
        finished = {**body, "function": {**body["function"], "output": output}}
        delta = {"id": body["id"], "type": self.type, "openapi": {"output": output}}
        return ToolCallResult(for_model, finished, [delta])

    def _request(self, operation: Operation, arguments: Record) -> Record:
        """Return the request of a call, without credentials."""
        path, query, headers, cookies = operation.path, [], _HEADERS.copy(), {}
        for name, parameter in operation.parameters.items():
            schema = parameter.get("schema") or {}
            value = arguments.get(name, schema.get("default"))
            place = parameter.get("in")
            if value is None:
                if parameter.get("required") is True or place == "path":
                    raise ToolError(f"The argument '{name}' is missing.")
                continue
            if place == "path":
                path = path.replace("{" + name + "}", quote(_text(value), safe=""))
            elif place == "query":
                items = value if isinstance(value, list) else [value]
                query += [(name, _text(item)) for item in items]
            elif place == "header" and name.lower() not in _NOT_PARAMETERS:
                headers[name] = _CONTROLS.sub(" ", _text(value))
            elif place == "cookie":
                cookies[name] = _text(value)
        url = operation.base_url.rstrip("/") + _kept_in_place(path)
        if not url.startswith(("http://", "https://")):
            raise ToolError(f"The document's server '{operation.base_url}' is neither http nor https.")
        request: Record = {"method": operation.method, "url": url, "params": query, "headers": headers}
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={quote(value)}" for name, value in cookies.items())
        if operation.body is not None:
            if BODY in arguments:
                request["json"] = arguments[BODY]
            elif operation.body["required"]:
                raise ToolError(f"The argument '{BODY}' is missing.")
        return request

    def _with_credentials(self, request: Record) -> Record:
        """Add what the tool's auth asks for, from the tools file, which says for which hosts it is."""
        settings, kind = self.services.settings, self._auth["type"]
        url = httpx.URL(request["url"])
        to = (url.scheme, url.host, url.port)
        scheme = self._auth.get("security_scheme") or {}
        try:
            if kind == "connection":
                identifier = str(scheme.get("connection_id"))
                connection = settings.connections.get(identifier)
                if connection is None:
                    raise ToolError(
                        f"The tools file has no connection '{identifier}'; add it to 'connections'."
                    )
                if connection.query is not None:
                    params = [*request["params"], (connection.query, connection.for_host(*to))]
                    return {**request, "params": params}
                headers = {**request["headers"], str(connection.header): connection.for_host(*to)}
                return {**request, "headers": headers}
            if kind == "managed_identity":
                audience = str(scheme.get("audience"))
                token = settings.managed_identity.get(audience)
                if token is None:
                    raise ToolError(
                        f"The tools file has no token for '{audience}'; add it to 'managed_identity'."
                    )
                return {
                    **request,
                    "headers": {**request["headers"], "authorization": f"Bearer {token.for_host(*to)}"},
                }
        except ToolSettingsError as error:
            raise ToolError(str(error)) from error
        return request

    async def _send(self, request: Record) -> tuple[int, str]:
        """Send a request; redirects are followed on the same scheme, host and port only."""
        settings = self.services.settings
        sent = self._with_credentials(request)
        async with (
            asyncio.timeout(settings.request_seconds),
            httpx.AsyncClient(timeout=settings.request_seconds, trust_env=False) as client,
        ):
            message = client.build_request(**sent)
            for _ in range(MAX_REDIRECTS + 1):
                response = await client.send(message, stream=True)
                try:
                    if response.next_request is None:
                        content = await read_at_most(response, settings.response_bytes)
                        encoding = response.charset_encoding or "utf-8"
                        return response.status_code, _decoded(content, encoding)
                    if _origin(response.next_request.url) != _origin(message.url):
                        raise ToolError(
                            f"The answer leads to another host ({response.next_request.url.host}), "
                            "where the request is not sent."
                        )
                    message = response.next_request
                finally:
                    await response.aclose()
        raise ToolError(f"The answer leads to more than {MAX_REDIRECTS} other addresses.")


def _kept_in_place(path: str) -> str:
    """Return a path whose segments are names: arguments that make one `.` or `..` lead nowhere else."""
    return "/".join(
        segment.replace(".", "%2E") if segment in (".", "..") else segment for segment in path.split("/")
    )


def _server_url(server: Record) -> str:
    url = str(server.get("url") or "")
    for name, variable in (server.get("variables") or {}).items():
        url = url.replace("{" + name + "}", str(variable.get("default", "")))
    return url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _python_text(text: str) -> str:
    """Return an answer as steps show it: JSON as the text of a Python value (recorded)."""
    try:
        return shortened(str(bounded_json(text)))
    except (ValueError, RecursionError):
        return shortened(text)
