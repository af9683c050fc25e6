"""The service as a process: options, listening socket, ready file, stop on a signal."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from typing_extensions import override

from agent_tasks.errors import AgentTasksError
from agent_tasks.known_names import did_you_mean
from agent_tasks.logs import log_to_stderr
from agent_tasks.redaction import redacted
from agent_tasks.secret_arguments import (
    MODEL_VARIABLE,
    TOKEN_VARIABLE,
    read_token,
    refuse_secrets_in_arguments,
)
from agents_emulator.app import create_app
from agents_emulator.faults import FaultPlanError, read_plan
from agents_emulator.guard import guarded_protocol
from agents_emulator.models import ModelConfigurationError, load_model
from agents_emulator.models.openai import KEY_VARIABLE
from agents_emulator.private import open_private
from agents_emulator.service import (
    DEFAULT_ACTION_TTL,
    DEFAULT_CONCURRENT_RUNS,
    DEFAULT_RUN_TTL,
    Service,
    ServiceConfig,
    await_data_directory,
)
from agents_emulator.tls import TlsFiles, local_certificate
from agents_emulator.tools.settings import ToolSettingsError, load_tool_settings

_PREFIX = "AGENTS_EMULATOR_"
_VARIABLES = (TOKEN_VARIABLE, f"{_PREFIX}UNISOLATED_CODE", KEY_VARIABLE, MODEL_VARIABLE)
_TEST_VARIABLES = (f"{_PREFIX}FUZZ_REQUESTS",)  # of this project's own tests

_GRACE_SECONDS = 2
_EXIT_SECONDS = 2.5
_BACKLOG = 512


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the service's options."""
    parser = argparse.ArgumentParser(
        prog="agents_emulator",
        description="A local Agents service that speaks the wire protocol of Azure AI agents.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="port to listen on; 0 picks a free one (default: 0)"
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the database and the files")
    parser.add_argument(
        "--model",
        help=f"smollm2, scripted:RULES.yaml or openai:BASE_URL[#MODEL] (default: {MODEL_VARIABLE}, "
        "the place for an address with a password or key)",
    )
    parser.add_argument("--ready-file", type=Path, help="JSON file to write once the service listens")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with the bearer token that requests must carry, for its owner alone to read; - for "
        f"standard input (default: environment variable {TOKEN_VARIABLE})",
    )
    parser.add_argument("--token", nargs="?", const="", help=argparse.SUPPRESS)  # refused, with the remedy
    parser.add_argument(
        "--run-ttl",
        type=int,
        default=DEFAULT_RUN_TTL,
        metavar="SECONDS",
        help="life of a run (default: %(default)s)",
    )
    parser.add_argument(
        "--action-ttl",
        type=int,
        default=DEFAULT_ACTION_TTL,
        metavar="SECONDS",
        help="life of a run that waits for tool outputs (default: %(default)s)",
    )
    parser.add_argument(
        "--max-concurrent-runs",
        type=int,
        default=DEFAULT_CONCURRENT_RUNS,
        metavar="N",
        help="runs at work at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--faults", type=Path, metavar="FILE", help="YAML file of faults (docs/local-service.md)"
    )
    parser.add_argument(
        "--tls", action="store_true", help="serve https, with a generated certificate in the data directory"
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="serve https with this certificate (PEM; needs --key)",
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="private key of --certificate (PEM)")
    parser.add_argument(
        "--tools-file", type=Path, metavar="FILE", help="YAML settings of the tools (docs/local-service.md)"
    )
    parser.add_argument(
        "--search-folder",
        type=Path,
        metavar="DIR",
        help="documents from which the stand-ins for hosted search tools answer",
    )
    parser.add_argument(
        "--unisolated-code",
        action="store_true",
        default=os.environ.get("AGENTS_EMULATOR_UNISOLATED_CODE") == "1",
        help="execute code that a model writes without isolation, with all that this service may do "
        "(default: environment variable AGENTS_EMULATOR_UNISOLATED_CODE=1)",
    )
    parser.add_argument(
        "--loose", action="store_true", help="do not validate requests against the published schemas"
    )
    parser.add_argument(
        "--log-level", default="warning", choices=["critical", "error", "warning", "info", "debug"]
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status (0, or 2 for options that cannot be served)."""
    parser = build_parser()
    options = parser.parse_args(argv)
    check_variables(parser, options)
    os.umask(0o077)  # what is kept of documents is for nobody else on the machine, whoever starts the service
    log_to_stderr(options.log_level.upper())
    model_spec = options.model or os.environ.get(MODEL_VARIABLE, "")
    try:
        refuse_secrets_in_arguments(options.token, options.model)
        token = read_token(options.token_file)
    except AgentTasksError as error:
        parser.error(str(error))
    if not model_spec:
        parser.error(f"a model is needed: give --model, or set {MODEL_VARIABLE}")
    if token is None and not is_loopback(options.host):
        parser.error(
            f"--host {options.host} is reachable from other machines: clients must send a token. Give "
            f"--token-file FILE or set {TOKEN_VARIABLE}, or listen on 127.0.0.1"
        )
    if min(options.run_ttl, options.action_ttl, options.max_concurrent_runs) < 1:
        parser.error("--run-ttl, --action-ttl and --max-concurrent-runs must be at least 1")
    if (options.certificate is None) != (options.key is None):
        parser.error("--certificate and --key go together")
    try:
        faults = read_plan(options.faults) if options.faults is not None else None
        tools = load_tool_settings(options.tools_file, options.search_folder)
        if options.unisolated_code:
            tools = tools.model_copy(update={"unisolated_code": True})
        model = load_model(model_spec)
        await_data_directory(options.data_dir)
        tls = tls_files(options)
        listener = listen(options.host, options.port)
    except (ModelConfigurationError, FaultPlanError, ToolSettingsError, OSError) as error:
        print(redacted(f"agents_emulator: {error}"), file=sys.stderr)
        return 2
    config = ServiceConfig(
        token,
        options.run_ttl,
        options.action_ttl,
        options.max_concurrent_runs,
        strict=not options.loose,
        tools=tools,
        faults=faults,
    )
    app = create_app(options.data_dir, model, config)
    return serve(app, listener, model_name=model.name, ready_file=options.ready_file, tls=tls)


def check_variables(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program where a variable of the service is misspelt, or empty: it would be open to anybody."""
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in (*_VARIABLES, *_TEST_VARIABLES):
            parser.error(f"{name} is no setting. {did_you_mean(name, _VARIABLES)}")
        if name in _VARIABLES and not os.environ[name].strip():
            parser.error(f"{name} is set, but empty: give it a value, or unset it")
    if os.environ.get(f"{_PREFIX}UNISOLATED_CODE", "1") != "1":
        parser.error(f"{_PREFIX}UNISOLATED_CODE is 1 or not set: 1 lets code run without isolation")
    if options.token is not None and not options.token.strip():
        parser.error("--token is empty: give the token, or leave the option out")


def tls_files(options: argparse.Namespace) -> TlsFiles | None:
    """Return the certificate to serve with, None for plain http. Raises OSError if it cannot be used."""
    if options.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(options.certificate, options.key)
        except OSError as error:
            raise OSError(f"cannot serve with --certificate {options.certificate}: {error}") from error
        return TlsFiles(options.certificate, options.key)
    return local_certificate(options.data_dir, options.host) if options.tls else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a service that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free one. Raises OSError that names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Where the protocol is named, asyncio turns off Nagle's algorithm, which would delay answers by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.listen(_BACKLOG)
    return listener


def serve(
    app: Starlette,
    listener: socket.socket,
    *,
    model_name: str,
    ready_file: Path | None = None,
    tls: TlsFiles | None = None,
) -> int:
    """Serve `app` on a listening socket until a signal stops it."""
    server = EmulatorServer(
        app, listener, model_name=model_name, ready_file=ready_file, exit_after=_EXIT_SECONDS, tls=tls
    )
    asyncio.run(server.serve([listener]))
    return 0 if server.started else 1


class EmulatorServer(uvicorn.Server):
    """Uvicorn that says when it listens, and breaks off open event streams when it has to stop.

    `should_exit = True` stops it, from any thread. With `exit_after` it ends the whole process that many
    seconds after it began to stop, whatever is still at work (a file that is being read, a model that is
    loading): the next start continues what was unfinished, as it does after a kill.
    """

    def __init__(
        self,
        app: Starlette,
        listener: socket.socket,
        *,
        model_name: str,
        ready_file: Path | None = None,
        exit_after: float | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=guarded_protocol(app.state.limits),
                ssl_certfile=tls.certificate if tls else None,
                ssl_keyfile=tls.key if tls else None,
                log_config=None,
                access_log=False,
                lifespan="on",
                ws="none",
                timeout_graceful_shutdown=_GRACE_SECONDS,
                backlog=_BACKLOG,
            )
        )
        self._app = app
        self._model_name = model_name
        self._ready_file = ready_file
        self._exit_after = exit_after
        address, port = listener.getsockname()[:2]
        self._tls = tls
        scheme = "https" if tls else "http"
        self.endpoint = (
            f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}/api/projects/local"
        )

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        if self._ready_file is not None:
            ready = {"endpoint": self.endpoint, "pid": os.getpid(), "model": self._model_name}
            if self._tls is not None:
                # Absolute, since whoever reads it may work in another folder.
                ready["certificate"] = str(self._tls.certificate.absolute())
            partial = self._ready_file.with_name(self._ready_file.name + ".partial")
            with open_private(partial) as file:
                file.write(json.dumps(ready).encode())
            partial.replace(self._ready_file)
        print(f"agents_emulator listens on {self.endpoint} with the model {self._model_name}", flush=True)
        if self._tls is not None:
            print(f"agents_emulator: clients have to trust {self._tls.certificate.absolute()}", flush=True)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._exit_after is not None:
            limit = threading.Timer(self._exit_after, os._exit, (0,))
            limit.daemon = True
            limit.start()
        service: Service = self._app.state.service
        service.broker.close()
        await super().shutdown(sockets)

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own version sends the signal to the process again at the end; but a stop on demand is
        # no failure.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
