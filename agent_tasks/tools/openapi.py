"""HTTP operations described by an OpenAPI document, which the service calls itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.base import HostedTool, given, named
from agent_tasks.wire import (
    AnyOpenApiAuthDetails,
    OpenApiAnonymousAuthDetails,
    OpenApiConnectionAuthDetails,
    OpenApiConnectionSecurityScheme,
    OpenApiFunctionDefinition,
    OpenApiManagedAuthDetails,
    OpenApiManagedSecurityScheme,
    OpenApiToolDefinition,
    ToolDefinition,
)

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


@dataclass(frozen=True)
class OpenApiAnonymousAuth:
    """The service calls without signing in."""

    def to_wire(self) -> OpenApiAnonymousAuthDetails:
        """As on the wire."""
        return OpenApiAnonymousAuthDetails()


@dataclass(frozen=True)
class OpenApiConnectionAuth:
    """The service signs in with the key that a connection of the project holds."""

    connection_id: str
    """Id of the connection. The document must name where the key goes (`securitySchemes`)."""

    def __post_init__(self) -> None:
        named("OpenApiConnectionAuth", connection_id=self.connection_id)

    def to_wire(self) -> OpenApiConnectionAuthDetails:
        """As on the wire."""
        scheme = OpenApiConnectionSecurityScheme(connection_id=self.connection_id)
        return OpenApiConnectionAuthDetails(security_scheme=scheme)


@dataclass(frozen=True)
class OpenApiManagedAuth:
    """The service signs in with the project's managed identity."""

    audience: str
    """Whom the token is for, such as `https://cognitiveservices.azure.com/`."""

    def __post_init__(self) -> None:
        named("OpenApiManagedAuth", audience=self.audience)

    def to_wire(self) -> OpenApiManagedAuthDetails:
        """As on the wire."""
        return OpenApiManagedAuthDetails(security_scheme=OpenApiManagedSecurityScheme(audience=self.audience))


OpenApiAuth = OpenApiAnonymousAuth | OpenApiConnectionAuth | OpenApiManagedAuth


@dataclass(frozen=True)
class OpenApiDefinition:
    """One OpenAPI document: every operation in it becomes a function named ``<name>_<operationId>``.

    Raises ConfigurationError for a document without operations, or operations without an `operationId`.
    """

    name: str
    """Letters, digits, ``_`` and ``-``."""
    spec: Mapping[str, Any]
    """The OpenAPI 3 document as JSON."""
    description: str | None = None
    """What it offers, for the model."""
    auth: OpenApiAuth | None = None
    """How the service signs in; None takes that of the tool."""
    default_params: Sequence[str] = ()
    """Parameters that the service fills in by itself; the model does not see them."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or _NAME.fullmatch(self.name) is None:
            raise ConfigurationError(
                f"OpenAPI tool name {self.name!r} is not possible: use letters, digits, '_' and '-'"
            )
        paths = self.spec.get("paths") if isinstance(self.spec, Mapping) else None
        if not isinstance(paths, Mapping) or not paths:
            raise ConfigurationError(f"OpenAPI tool {self.name}: the document has no paths")
        for path, item in paths.items():
            operations = item.items() if isinstance(item, Mapping) else ()
            for method, operation in operations:
                if method in _METHODS and not (
                    isinstance(operation, Mapping) and operation.get("operationId")
                ):
                    raise ConfigurationError(
                        f"OpenAPI tool {self.name}: {method.upper()} {path} has no operationId; the service "
                        "names functions by it"
                    )


@dataclass(frozen=True)
class OpenApiTool(HostedTool):
    """HTTP operations that the service calls itself, described by one or several OpenAPI documents.

    `OpenApiTool(name, spec, description, auth)` has one document; `with_definition` gives a tool with one
    more. Raises ConfigurationError for documents that cannot be used and for two of one name.
    """

    name: str
    """Name of the first document."""
    spec: Mapping[str, Any] = field(repr=False)
    """The first document as JSON."""
    description: str | None = None
    """What the first document offers."""
    auth: OpenApiAuth = OpenApiAnonymousAuth()
    """How the service signs in, unless a document says otherwise."""
    default_params: Sequence[str] = ()
    """Parameters of the first document that the service fills in by itself."""
    more: Sequence[OpenApiDefinition] = field(default=(), repr=False)
    """Further documents."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "more", tuple(self.more))
        names = [document.name for document in self.documents]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"two OpenAPI documents are named {twice[0]}; rename one")

    @property
    def documents(self) -> tuple[OpenApiDefinition, ...]:
        """All documents, each checked."""
        first = OpenApiDefinition(self.name, self.spec, self.description, self.auth, self.default_params)
        return (first, *self.more)

    def with_definition(
        self,
        name: str,
        spec: Mapping[str, Any],
        description: str | None = None,
        auth: OpenApiAuth | None = None,
        default_params: Sequence[str] = (),
    ) -> OpenApiTool:
        """A tool that has one document more; without `auth` it signs in as the first one."""
        added = OpenApiDefinition(name, spec, description, auth, default_params)
        return OpenApiTool(
            self.name,
            self.spec,
            self.description,
            self.auth,
            self.default_params,
            (*self.more, added),
        )

    def without_definition(self, name: str) -> OpenApiTool:
        """A tool without that document. Raises ConfigurationError if it has none, or would have none left."""
        kept = [document for document in self.documents if document.name != name]
        if len(kept) == len(self.documents):
            raise ConfigurationError(f"there is no OpenAPI document named {name}")
        if not kept:
            raise ConfigurationError(f"{name} is the tool's only OpenAPI document")
        first, *rest = kept
        return OpenApiTool(
            first.name,
            first.spec,
            first.description,
            first.auth or self.auth,
            first.default_params,
            tuple(
                document
                if document.auth is not None
                else OpenApiDefinition(
                    document.name, document.spec, document.description, self.auth, document.default_params
                )
                for document in rest
            ),
        )

    def _definitions(self) -> list[ToolDefinition]:
        made: list[ToolDefinition] = []
        for document in self.documents:
            auth: AnyOpenApiAuthDetails = (document.auth or self.auth).to_wire()
            made.append(
                OpenApiToolDefinition(
                    openapi=OpenApiFunctionDefinition(
                        name=document.name,
                        spec=dict(document.spec),
                        auth=auth,
                        **given(
                            description=document.description,
                            default_params=list(document.default_params) or None,
                        ),
                    )
                )
            )
        return made
