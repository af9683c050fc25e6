"""The project's endpoint: checked once, before anything is sent."""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import urlsplit

from agent_tasks.errors import ConfigurationError, InsecureEndpointError
from agent_tasks.loopback import is_loopback
from agent_tasks.redaction import redacted

_SHAPE = "https://<resource>.services.ai.azure.com/api/projects/<project>"


class Endpoint:
    """A checked endpoint.

    `url` is without a slash at its end, `host` is `netloc_host` as it stands in an address; and `loopback`.

    Raises ConfigurationError for text that is not a project's address, and InsecureEndpointError for plain
    http to another machine where a token would travel (`with_token`).
    """

    def __init__(self, text: str, *, with_token: bool) -> None:
        self.url = text.strip().rstrip("/")
        try:
            parts = urlsplit(self.url)
            self.host = parts.hostname or ""
            _ = parts.port  # raises ValueError when it is not a number
        except ValueError:  # its text may be a part of a password
            _refuse(text, "its host or port is none")
        if ";" in text and not parts.scheme:
            _refuse(text, "it is a connection string of an older version")
        if parts.scheme not in ("http", "https") or not self.host:
            _refuse(text, "it is not an http address")
        if not parts.path.strip("/"):
            _refuse(text, "the path of the project is missing")
        if parts.query or parts.fragment or parts.username or parts.password:
            _refuse(text, "it has a query, a fragment or a user name")
        self.netloc_host = f"[{self.host}]" if ":" in self.host else self.host
        self.loopback = is_loopback(self.host)
        if self.loopback:
            return
        if not with_token:
            raise ConfigurationError(
                f"PROJECT_ENDPOINT {self.url} is not on this machine, so a credential is needed: pass one of "
                "azure-identity (DefaultAzureCredential()) or a token as SecretStr.",
                setting="credential",
            )
        if parts.scheme == "http":
            raise InsecureEndpointError(
                f"PROJECT_ENDPOINT {self.url} is plain http to another machine: a token is not sent over it. "
                "Use https.",
                setting="PROJECT_ENDPOINT",
            )


def _refuse(text: str, why: str) -> NoReturn:
    address, mark, _ = redacted(text.strip()).partition("?")  # a key may have any name
    shown = address + (mark and "?***") or "empty"
    raise ConfigurationError(
        f"PROJECT_ENDPOINT is {shown}, which cannot be used: {why}. It reads {_SHAPE} (see the overview page "
        "of the project in the Azure AI Foundry portal).",
        setting="PROJECT_ENDPOINT",
    )
