"""A workflow of Azure Logic Apps as a function that an agent calls."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from pydantic import BaseModel, SecretStr

from agent_tasks.bounded import ACCEPT_ENCODING, TooLargeError, bounded_json, read_at_most
from agent_tasks.callables import call_any
from agent_tasks.client.failures import error_from_answer
from agent_tasks.errors import (
    ConfigurationError,
    CredentialError,
    InvalidAnswerError,
    ServiceError,
    ToolOutputError,
    ToolTimeoutError,
    TransportError,
)
from agent_tasks.field_types import check_field_types
from agent_tasks.loopback import is_loopback
from agent_tasks.tools.base import ToolContext, named
from agent_tasks.tools.function import (
    DEFAULT_MAX_OUTPUT_CHARS,
    check_arguments,
    check_name,
    function_definition,
    parameters_schema,
)
from agent_tasks.tools.policy import WhenUnknown, check_retries, tries, when_unknown_of

MANAGEMENT_SCOPE = "https://management.azure.com/.default"
_API_VERSION = "2019-05-01"
_TOKEN_TIMEOUT = 90.0  # seconds; some credentials ask several sources in turn
MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Bytes of an answer that are read at all; `max_output_chars` says how much of it the agent may get."""
_OF_PACKED = ("content-encoding", "content-length", "transfer-encoding")
# Before anything left, so the workflow has not run.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass
class LogicAppTool:
    """A workflow of Azure Logic Apps with an HTTP trigger, as a function that an agent calls.

    The run stops at `requires_action`; the call is carried out here: the arguments are checked and posted as
    JSON to the workflow's callback address, and what it answers is the output. The address holds a signature
    that lets anybody start the workflow, so it is fetched from the management API when it is first needed,
    kept as a secret, and never appears in a log, a span or an error.

    The credential needs `Microsoft.Logic/workflows/triggers/listCallbackUrl/action` on the workflow (role
    *Logic App Contributor* or *Logic App Operator*).

    Raises ConfigurationError for impossible names.
    """

    name: str
    """Name that the model calls: letters, digits, ``_`` and ``-``, at most 64 characters."""
    description: str
    """What the workflow does, for the model."""
    arguments: type[BaseModel]
    """The JSON object that the trigger takes."""
    subscription_id: str
    """The subscription of the workflow."""
    resource_group: str
    """Its resource group."""
    workflow: str
    """Its name."""
    trigger: str
    """The name of its HTTP trigger, as in its code view."""
    credential: AsyncTokenCredential | TokenCredential | SecretStr = field(repr=False)
    """Any credential of azure-identity, or a token for the management API."""
    idempotent: bool = False
    """Whether an interrupted call may be repeated. False: its outcome counts as unknown."""
    timeout: float = 60.0
    """Seconds a call may take, each time it is tried, the workflow's answer included."""
    retries: int = 0
    """How often a call that failed is tried again, with growing pauses. Needs `idempotent`."""
    when_unknown: WhenUnknown = WhenUnknown.TELL_AGENT
    """What happens to an interrupted call, if the workflow is not idempotent."""
    max_output_chars: int = DEFAULT_MAX_OUTPUT_CHARS
    """Characters a call may return."""
    management_endpoint: str = "https://management.azure.com"
    """The management API; other clouds have others."""
    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    """Replaces the network, for tests."""
    _callback: SecretStr | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.when_unknown = when_unknown_of(self.when_unknown)
        check_field_types(self)
        check_name(self.name)
        named(
            f"LogicAppTool {self.name}",
            description=self.description,
            subscription_id=self.subscription_id,
            resource_group=self.resource_group,
            workflow=self.workflow,
            trigger=self.trigger,
        )
        if self.timeout <= 0:
            raise ConfigurationError(f"tool {self.name}: timeout must be above 0 seconds, not {self.timeout}")
        check_retries(self.name, self.retries, idempotent=self.idempotent)
        self._check_address(self.management_endpoint, "management_endpoint")

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """A function like any other; the service does not know what stands behind it."""
        return [function_definition(self.name, self.description, parameters_schema(self.arguments))]

    @property
    def resources(self) -> dict[str, Any]:
        """Functions have none."""
        return {}

    async def call(self, arguments_json: str, context: ToolContext) -> str:
        """Start the workflow and wait for its answer.

        Args:
            arguments_json: The arguments as the model wrote them.
            context: The call; its idempotency key travels as `x-ms-client-tracking-id`, by which the run of
                the workflow is found in its history.

        Returns:
            The body of the answer; ``{"status": "accepted"}`` where it is empty.

        Raises:
            ToolArgumentsError: The arguments are not valid; nothing was sent.
            ToolTimeoutError: No answer within `timeout` seconds; the workflow may have run.
            CredentialError: No token for the management API.
            ServiceError: The management API or the workflow refused.
            TransportError: No connection, or no complete answer.
            ToolOutputError: The answer is too long.
        """
        checked = check_arguments(self.arguments, arguments_json, self.name)
        body = checked.model_dump_json(by_alias=True, exclude_unset=True).encode()
        return await tries(self.retries)(self._called, body, context)

    async def _called(self, body: bytes, context: ToolContext) -> str:
        try:
            async with asyncio.timeout(self.timeout):
                return await self._started(body, context)
        except TimeoutError as error:
            raise ToolTimeoutError(
                f"the Logic App behind tool {self.name} did not answer within {self.timeout:g} s; it may "
                "have run all the same. Make it answer earlier or raise the tool's timeout",
                tool=self.name,
                call_id=context.call_id,
            ) from error

    async def _started(self, body: bytes, context: ToolContext) -> str:
        here = is_loopback(urlsplit(self.management_endpoint).hostname or "")
        async with httpx.AsyncClient(
            transport=self.transport,
            timeout=self.timeout,
            follow_redirects=False,  # a signature must not follow to wherever an answer points
            trust_env=not here,  # proxies of the environment are for other machines
        ) as http:
            known = self._callback is not None
            callback = await self._callback_url(http)
            try:
                return await self._post(http, callback, body, context)
            except ServiceError as error:
                if not known or error.status not in (401, 403):
                    raise
            # The signature that was kept is no longer good: the keys of the workflow were made anew.
            self._callback = None
            return await self._post(http, await self._callback_url(http), body, context)

    async def _callback_url(self, http: httpx.AsyncClient) -> SecretStr:
        if self._callback is not None:
            return self._callback
        names = {
            "subscriptions": self.subscription_id,
            "resourceGroups": self.resource_group,
            "providers/Microsoft.Logic/workflows": self.workflow,
            "triggers": self.trigger,
        }
        path = "".join(f"/{kind}/{quote(name, safe='')}" for kind, name in names.items()) + "/listCallbackUrl"
        what = f"asking for the callback address of Logic App {self.workflow}"
        headers = {"Authorization": f"Bearer {(await self._token()).get_secret_value()}"}
        answer = await self._send(
            http,
            what,
            f"{self.management_endpoint.rstrip('/')}{path}?api-version={_API_VERSION}",
            headers=headers,
            changes=False,
        )
        self._refuse_failure(answer, what)
        try:
            address = bounded_json(answer.content)["value"]
        except (ValueError, KeyError, TypeError):
            address = None
        if not isinstance(address, str):
            raise ConfigurationError(
                f"{what} gave none: check that the trigger {self.trigger!r} of Logic App {self.workflow} is "
                "an HTTP trigger",
                setting="trigger",
            )
        self._check_address(address, "the callback address")
        self._callback = SecretStr(address)
        return self._callback

    async def _post(
        self, http: httpx.AsyncClient, callback: SecretStr, body: bytes, context: ToolContext
    ) -> str:
        what = f"Logic App {self.workflow} (call {context.call_id} of tool {self.name})"
        headers = {
            "Content-Type": "application/json",
            "x-ms-client-tracking-id": context.idempotency_key,
        }
        answer = await self._send(http, what, callback.get_secret_value(), headers=headers, content=body)
        self._refuse_failure(answer, what)
        text = answer.text.strip()
        if len(text) > self.max_output_chars:
            raise ToolOutputError(
                f"tool {self.name} (call {context.call_id}) returned {len(text)} characters; at "
                f"most {self.max_output_chars} are allowed; let the workflow answer less or raise "
                "max_output_chars",
                tool=self.name,
                call_id=context.call_id,
            )
        return text or '{"status": "accepted"}'

    async def _send(
        self,
        http: httpx.AsyncClient,
        what: str,
        address: str,
        *,
        headers: dict[str, str],
        content: bytes = b"",
        changes: bool = True,
    ) -> httpx.Response:
        """Post without the address in the request's URL: httpx, and what instruments it, log that."""
        parts = urlsplit(address)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        request = http.build_request(
            "POST",
            f"{parts.scheme}://{parts.netloc}/",
            headers={"Accept-Encoding": ACCEPT_ENCODING, **headers},
            content=content,
            extensions={"target": target.encode("ascii")},
        )
        try:
            answer = await http.send(request, stream=True)
            try:
                read = await read_at_most(answer, MAX_ANSWER_BYTES)
            finally:
                await answer.aclose()
        except TooLargeError as error:
            raise InvalidAnswerError(
                f"{what} gave an answer that is not read: {error}"
                + ("; it has run all the same" if changes else ""),
                outcome_unknown=changes,
                retryable=False,
            ) from error
        except _NOT_SENT as error:
            raise TransportError(f"{what} could not be reached ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise TransportError(
                f"{what} gave no complete answer ({type(error).__name__})"
                + ("; it may have run all the same" if changes else ""),
                outcome_unknown=changes,
            ) from error

        kept = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_PACKED]
        return httpx.Response(answer.status_code, headers=kept, content=read, request=request)

    def _refuse_failure(self, answer: httpx.Response, what: str) -> None:
        if answer.is_success:
            return
        # The path of the error is the name of the workflow, and of the body only the code is kept: the real
        # address holds the signature, and a body may repeat it.
        code = _code(answer)
        raise error_from_answer(
            answer.status_code,
            answer.headers,
            json.dumps({"error": {"code": code}}).encode() if code else b"",
            method="POST",
            path=what,
            creates=True,
        )

    async def _token(self) -> SecretStr:
        if isinstance(self.credential, SecretStr):
            return self.credential
        name = type(self.credential).__name__
        try:
            token = await call_any(self.credential.get_token, MANAGEMENT_SCOPE, seconds=_TOKEN_TIMEOUT)
        except ClientAuthenticationError as error:
            raise CredentialError(
                f"{name} gave no token for {MANAGEMENT_SCOPE}: {error.message} Sign in (`az login`) or "
                "choose another credential.",
                setting="credential",
            ) from error
        except AzureError as error:
            raise TransportError(f"{name} could not fetch a token: {error}") from error
        return SecretStr(token.token)

    def _check_address(self, address: str, what: str) -> None:
        parts = urlsplit(address)
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if not secure or not parts.hostname:
            raise ConfigurationError(
                f"tool {self.name}: {what} must be an https address; a secret is sent there", setting=what
            )


def _code(answer: httpx.Response) -> str | None:
    """The word by which Azure names a failure."""
    try:
        code = bounded_json(answer.content)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code[:100] if isinstance(code, str) and code.isidentifier() else None
