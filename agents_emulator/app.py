"""The ASGI application: routes of all resources below any project, and the service's own pages."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from agents_emulator.access import AccessMiddleware
from agents_emulator.endpoints import (
    Operation,
    error_response,
    handle_http_exception,
    json_response,
    limited_stream,
)
from agents_emulator.errors import ApiError, bad_request
from agents_emulator.faults import MAX_PLAN_BYTES, CutMiddleware, FaultPlan, FaultPlanError, parse_plan
from agents_emulator.guard import GuardMiddleware
from agents_emulator.models.base import ChatModel
from agents_emulator.requestlog import RequestLogMiddleware
from agents_emulator.resources import (
    agents,
    file_batches,
    files,
    messages,
    run_steps,
    runs,
    threads,
    vector_store_files,
    vector_stores,
)
from agents_emulator.responses.operations import OPERATIONS as SUCCESSOR_OPERATIONS
from agents_emulator.responses.workflow_agents import add_agent_run
from agents_emulator.service import Service, ServiceConfig
from agents_emulator.store import Record
from agents_emulator.verdict import DEFAULT_MIN_POLL_SECONDS, verdict
from agents_emulator.workflows.running import WorkflowRunner

# `/threads/runs` has to come before `/threads/{thread_id}`.
OPERATIONS: tuple[Operation, ...] = (
    *agents.OPERATIONS,
    *files.OPERATIONS,
    *runs.OPERATIONS,
    *threads.OPERATIONS,
    *messages.OPERATIONS,
    *run_steps.OPERATIONS,
    *vector_stores.OPERATIONS,
    *vector_store_files.OPERATIONS,
    *file_batches.OPERATIONS,
)
"""All operations of the classic service, those of api-version `2025-05-15-preview`."""


def create_app(data_dir: Path, model: ChatModel, config: ServiceConfig | None = None) -> Starlette:
    """Return the service over `data_dir`, as an ASGI application.

    The service exists from the application's lifespan start to its end, so whatever runs it has to run the
    lifespan (uvicorn does; httpx's `ASGITransport` alone does not). Base path: `/api/projects/{any name}`.
    """
    config = config or ServiceConfig()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service = app.state.service = Service(data_dir, model, config)
        service.engine.workflows = WorkflowRunner(service.store, service.broker, service.tools, add_agent_run)
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    # A slash too many is an unknown path (404), not a redirection.
    operations = Router(_routes(), redirect_slashes=False)
    app: Starlette = Starlette(
        routes=[
            Mount("/api/projects/{project}", app=operations),
            Route("/_emulator/health", _own_page(_health)),
            Route("/_emulator/requests", _own_page(_requests)),
            Route("/_emulator/generations", _own_page(_generations)),
            Route("/_emulator/verdict", _own_page(_verdict)),
            Route("/_emulator/faults", _own_page(_faults), methods=["GET", "PUT", "DELETE"]),
        ],
        exception_handlers={HTTPException: handle_http_exception, Exception: handle_http_exception},
        middleware=[
            Middleware(GuardMiddleware, limits=config.limits),
            Middleware(AccessMiddleware, token=config.token),
            Middleware(CutMiddleware),
            Middleware(RequestLogMiddleware, log_of=lambda: app.state.service.log),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.limits = config.limits
    return app


@functools.cache
def _routes() -> tuple[Route, ...]:
    """The routes of all operations, the same for each service of a process."""
    return tuple(operation.route() for operation in (*OPERATIONS, *SUCCESSOR_OPERATIONS))


OwnPage = Callable[[Service, Request], Awaitable[Record]]


def _own_page(page: OwnPage) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        service: Service = request.app.state.service
        try:
            return json_response(await page(service, request))
        except ApiError as fault:
            return error_response(fault)

    return serve


def _number(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise bad_request(f"Invalid '{name}': expected seconds, but got '{text}'.", param=name)
    return value


def _after(request: Request) -> int:
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise bad_request(f"Invalid 'after': expected a row number, but got '{text}'.", param="after")
    return int(text)


async def _faults(service: Service, request: Request) -> Record:
    if request.method == "PUT":
        raw = b"".join([chunk async for chunk in limited_stream(request, MAX_PLAN_BYTES)])
        try:
            service.faults.set(parse_plan(raw, "the request body"))
        except FaultPlanError as error:
            raise bad_request(str(error)) from None
    elif request.method == "DELETE":
        service.faults.set(FaultPlan())
    return service.faults.report()


async def _verdict(service: Service, request: Request) -> Record:
    return await verdict(
        service.store, min_poll_seconds=_number(request, "min_poll", DEFAULT_MIN_POLL_SECONDS)
    )


async def _health(service: Service, request: Request) -> Record:
    return {
        "status": "ok",
        "model": service.model.name,
        "operations": len(OPERATIONS) + len(SUCCESSOR_OPERATIONS),
    }


async def _requests(service: Service, request: Request) -> Record:
    return {"data": await service.log.requests(_after(request))}


async def _generations(service: Service, request: Request) -> Record:
    return {"data": await service.log.generations(_after(request))}
