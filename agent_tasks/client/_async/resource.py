"""What all resources of the client share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from agent_tasks.client._async import _runtime
from agent_tasks.client._async.transport import AsyncTransport
from agent_tasks.client._requests import ServiceRequest
from agent_tasks.client.polling import polls
from agent_tasks.errors import InvalidAnswerError, NotReadyError
from agent_tasks.wire import DeletionStatus, ListPage, WireModel

M = TypeVar("M", bound=WireModel)
D = TypeVar("D", bound=DeletionStatus)


def request_body(
    model: type[WireModel], request: WireModel | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a request from a model, or from its fields as keyword arguments (never both).

    Raises TypeError for a name that the model does not have: fields that this version does not know go into
    the model itself. Raises pydantic's ValidationError for values that do not fit.
    """
    if request is not None:
        if fields:
            raise TypeError(f"pass a {model.__name__} or its fields, not both")
        return request.to_wire()
    unknown = sorted(fields.keys() - model.model_fields.keys())
    if unknown:
        raise TypeError(f"{model.__name__} has no field {', '.join(unknown)}")
    return model.model_validate(dict(fields)).to_wire()


def include_params(include: Sequence[str] | None) -> dict[str, Any]:
    """The query of `include`."""
    return {"include[]": [str(value) for value in include]} if include else {}


class AsyncResource:
    """A family of operations on one kind of thing."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def _call(self, model: type[M], call: ServiceRequest) -> M:
        return _parse(model, await self._transport.json(call), call)

    async def _get(self, model: type[M], path: str, params: Mapping[str, Any] | None = None) -> M:
        return await self._call(model, ServiceRequest("GET", path, params=params or {}))

    async def _create(
        self, model: type[M], path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> M:
        return await self._call(
            model, ServiceRequest("POST", path, creates=True, body=body, params=params or {})
        )

    async def _update(self, model: type[M], path: str, body: Mapping[str, Any] | None = None) -> M:
        """A POST that leaves the same behind however often it is sent."""
        return await self._call(model, ServiceRequest("POST", path, body=body))

    async def _poll(
        self, thing: M, path: str, done: Callable[[M], bool], *, poll_interval: float, deadline: float
    ) -> M:
        """Reads something again, with growing pauses, until it is done."""
        pauses = polls(poll_interval)
        while not done(thing):
            pause = pauses.next(deadline)
            if pause is None:
                raise NotReadyError(
                    f"{path} was not ready within {deadline:g} s; the service works on. Raise the deadline, "
                    "or read it later.",
                    method="GET",
                    path=path,
                )
            await _runtime.async_sleep(pause)
            thing = await self._get(type(thing), path)
        return thing

    async def _delete(self, model: type[D], path: str, id: str) -> D:
        body = await self._transport.delete(path)
        return model(id=id) if body is None else _parse(model, body, ServiceRequest("DELETE", path))

    async def _list(self, model: type[M], path: str, params: Mapping[str, Any]) -> AsyncIterator[M]:
        """Goes through all pages, one request at a time, only as far as the caller reads."""
        query = {key: value for key, value in params.items() if value is not None}
        while True:
            call = ServiceRequest("GET", path, params=query)
            page = _parse(ListPage[model], await self._transport.json(call), call)  # type: ignore[valid-type]
            for item in page.data:
                yield item
            # Without the word, only a page without data is the last one.
            more = page.has_more or "has_more" not in page.model_fields_set
            if not page.data or not more:
                return
            last = page.last_id or getattr(page.data[-1], "id", None)
            if last is None or last == query.get("after"):
                raise InvalidAnswerError(
                    f"GET {path} says that there is more but its pages end after {last}",
                    method="GET",
                    path=path,
                    retryable=False,
                )
            query["after"] = last


def _parse(model: type[M], body: Mapping[str, Any], call: ServiceRequest) -> M:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InvalidAnswerError(
            f"the answer to {call.method} {call.path} is not a {model.__name__}: "
            f"{error.error_count()} fields do not fit, the first is {place}",
            method=call.method,
            path=call.path,
            outcome_unknown=call.changes,
            retryable=False,
        ) from error
