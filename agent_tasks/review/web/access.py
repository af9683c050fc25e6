"""Who may use the page: a one-time link on this machine, elsewhere a token for each person.

A request is looked at before anything is done for it: its host name, its session, and where it changes
something the session's own token, so that no other site can have it sent.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from agent_tasks.errors import ConfigurationError
from agent_tasks.loopback import is_loopback
from agent_tasks.operations.decisions import named_person

__all__ = ["COOKIE", "HEADERS", "Access", "Person", "people_of"]

COOKIE = "agent-tasks-desk"
LEAST_TOKEN = 24
"""Characters of a person's token."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    name: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """What each form of theirs carries."""


def people_of(path: Path) -> dict[str, str]:
    """Read the file with a line `NAME: TOKEN` for each person; returns names by hashes of tokens.

    Raises:
        ConfigurationError: it can't be read, or a token is too short or there twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The file of people {path} can't be read: {error.strerror}.") from error
    people: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, sign, token = (part.strip() for part in line.rpartition(":"))
        if not sign or not name:
            raise ConfigurationError(f"{path}, line {number}: write NAME: TOKEN.")
        if len(token) < LEAST_TOKEN or _hash(token) in people:
            raise ConfigurationError(
                f"{path}, line {number}: the token of {name} has fewer than {LEAST_TOKEN} characters, or is "
                "somebody else's too. Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        people[_hash(token)] = named_person(name)
    if not people:
        raise ConfigurationError(f"{path} names nobody. Write a line NAME: TOKEN for each person.")
    return people


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Access:
    """Sessions, and what they are opened with.

    Args:
        hosts: Names under which the page may be asked for, without ports.
        person: Who uses the one-time link; None: there is none.
        people: Names by the hashes of their tokens.
        is_secure: Whether browsers reach it over TLS, so that cookies are for that alone.
    """

    def __init__(
        self,
        hosts: set[str],
        *,
        person: str | None = None,
        people: dict[str, str] | None = None,
        is_secure: bool = False,
    ) -> None:
        self.hosts = {host.lower() for host in hosts}
        self.people = people or {}
        self.is_secure = is_secure
        self._person = named_person(person) if person is not None else None
        self._link: str | None = secrets.token_urlsafe(24) if person is not None else None
        self._sessions: dict[str, Person] = {}

    @property
    def link(self) -> str:
        """The path of the one-time link; empty if there is none, or it was used."""
        return f"/enter?token={self._link}" if self._link is not None else ""

    def knows_host(self, request: Request) -> bool:
        """Whether the page was asked for by one of its names: another site's name may lead here too."""
        return _name(request.headers.get("host", "")) in self.hosts

    def enter(self, token: str) -> Person | None:
        """Take the one-time link, which is used up then."""
        if (
            self._link is None
            or self._person is None
            or not hmac.compare_digest(_hash(token), _hash(self._link))
        ):
            return None
        self._link = None
        return Person(self._person)

    def sign_in(self, token: str) -> Person | None:
        """Take a person's token."""
        wanted, found = _hash(token), None
        for known, name in self.people.items():  # all are looked at, so that the time tells nothing
            if hmac.compare_digest(known, wanted):
                found = name
        return Person(found) if found is not None else None

    def person(self, request: Request) -> Person | None:
        """Who has sent a request."""
        return self._sessions.get(_hash(request.cookies.get(COOKIE, "")))

    def open(self, person: Person, response: Response) -> Response:
        """Give the browser its session."""
        session = secrets.token_urlsafe(32)
        self._sessions[_hash(session)] = person
        response.set_cookie(
            COOKIE, session, httponly=True, samesite="strict", secure=self.is_secure, path="/"
        )
        return response

    def close(self, request: Request) -> None:
        """End the session of a browser."""
        self._sessions.pop(_hash(request.cookies.get(COOKIE, "")), None)

    def may_change(self, request: Request, person: Person, token: str) -> bool:
        """Whether a request that changes something comes from a page of ours."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
            return False
        return hmac.compare_digest(_hash(token), _hash(person.csrf))


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def access_of(
    host: str, *, person: str, people: Path | None, names: list[str], has_tls: bool, is_behind_proxy: bool
) -> Access:
    """What a page that listens there is opened with.

    Raises:
        ConfigurationError: others could reach it without signing in, or read what is sent.
    """
    if is_loopback(host) and people is None:
        return Access({"127.0.0.1", "localhost", "::1", *names}, person=person, is_secure=has_tls)
    if people is None:
        raise ConfigurationError(
            f"Other machines reach {host}: name a file with a token for each person (--people FILE), or "
            "listen on 127.0.0.1."
        )
    if not (has_tls or is_behind_proxy):
        raise ConfigurationError(
            f"What is sent to {host} could be read on the way. Give a certificate (--tls-cert, --tls-key), "
            "or say that a proxy with one stands before it (--behind-proxy)."
        )
    if not names and not is_loopback(host):
        raise ConfigurationError("Say by which names people reach the page: --name desk.example.org.")
    return Access({host, *names}, people=people_of(people), is_secure=True)
