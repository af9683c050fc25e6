"""A Chromium of its own for each call: pages, what is on them, and a list of the hosts that it may reach.

Every request of a page is checked twice: its address, before it is sent, and the name of its host, by rules
of Chromium's own resolver that know the allowed hosts only. The second also holds for what the first never
sees (redirects, prefetching). There is no proxy, no download, no address but http and https, and a new
profile each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents_emulator.tools.settings import BrowserSettings

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ElementHandle, Page, Playwright, Route, WebSocketRoute

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ACTION_SECONDS = 15.0
CLOSE_SECONDS = 5.0
MAX_ELEMENTS = 50
MAX_LABEL = 80
_SETTLE_SECONDS = 0.1
_ELEMENTS = "a[href], button, input:not([type=hidden]), textarea, select, [role=button], [role=link]"
_DESCRIBE = """element => {
    const tag = element.tagName.toLowerCase(), kind = (element.type || "text").toLowerCase();
    const shown = ["button", "submit", "reset"].includes(kind) ? element.value : "";
    const label = element.innerText || element.getAttribute("aria-label") || element.placeholder || shown
        || element.name || element.title || "";
    return [tag === "a" ? "link" : tag === "input" ? kind : tag, String(label).slice(0, 400)];
}"""
_TEXT = "([from, to]) => (document.body ? document.body.innerText : '').slice(from, to)"


class BrowserError(Exception):
    """An action failed; the text says why, for the model."""


class MissingBrowserError(Exception):
    """Playwright or Chromium is not installed; the text names the remedy."""


async def find_chromium(settings: BrowserSettings) -> Path:
    """Return the Chromium to use. Raises `MissingBrowserError`.

    It is the one that the settings name, else one of the system's, else Playwright's own.
    """
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise MissingBrowserError(
            "it needs the package playwright: pip install 'prefect-azure-agents[browser]'"
        ) from None
    remedy = "install Chromium (apt install chromium, or: playwright install chromium)"
    if settings.executable is not None:
        if not await asyncio.to_thread(settings.executable.is_file):
            raise MissingBrowserError(
                f"there is no {settings.executable}, which `browser.executable` of the tools file names: "
                f"correct it, or {remedy}"
            )
        return settings.executable
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    async with async_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if not await asyncio.to_thread(own.is_file):
        raise MissingBrowserError(
            f"there is no Chromium here: {remedy}, or name one in `browser.executable` of the tools file"
        )
    return own


class Browser:
    """An open browser with one page in front."""

    def __init__(self, context: BrowserContext, settings: BrowserSettings) -> None:
        self._context = context
        self._settings = settings
        self._elements: list[ElementHandle] = []
        self.refused: list[str] = []
        """Addresses that a page asked for and did not get, since they were last read."""

    @property
    def _page(self) -> Page:
        if not self._context.pages:
            raise BrowserError("The page was closed.")
        return self._context.pages[-1]

    async def open(self, address: str) -> None:
        """Open an address. Raises `BrowserError`, as all of these do."""
        if "://" not in address:
            address = f"http://{address}"
        if not self._settings.allows(address):
            raise BrowserError(
                f"{address} is not allowed: the browser may open http and https addresses of "
                f"{', '.join(self._settings.allowed_hosts)}."
            )
        page = self._page if self._context.pages else await self._context.new_page()
        await self._act(page.goto(address, timeout=ACTION_SECONDS * 1000))

    async def click(self, number: int) -> None:
        """Click on the element of this number in the last `view`."""
        await self._act(self._element(number).click(timeout=ACTION_SECONDS * 1000))
        await self._settle()

    async def type(self, number: int, text: str, *, submit: bool) -> None:
        """Replace what is in a field, or choose in a list; `submit` then presses the enter key."""
        element = self._element(number)
        is_list = await self._act(element.evaluate("element => element.tagName === 'SELECT'"))
        if is_list:
            await self._act(element.select_option(label=text, timeout=ACTION_SECONDS * 1000))
        else:
            await self._act(element.fill(text, timeout=ACTION_SECONDS * 1000))
        if submit:
            await self._act(element.press("Enter", timeout=ACTION_SECONDS * 1000))
            await self._settle()

    async def state(self) -> str:
        """Return title and address of the page."""
        if self._page.url == "about:blank":
            return "No page is open."
        return f"{await self._act(self._page.title())} ({self._page.url})"

    async def view(self, start: int = 0) -> str:
        """Return the page as text: its title, what can be clicked and filled in, its text from `start` on."""
        state = await self.state()
        if self._page.url == "about:blank":
            return state
        limit = self._settings.page_characters
        # One more character tells whether there is more.
        text = str(await self._act(self._page.evaluate(_TEXT, [start, start + limit + 1])))
        more = f"\n[more from character {start + limit} on]" if len(text) > limit else ""
        lines = await self._described()
        return "\n".join([state, *lines, "", text[:limit] + more])

    async def _described(self) -> list[str]:
        self._elements = []
        lines: list[str] = []
        for element in await self._act(self._page.query_selector_all(_ELEMENTS)):
            if len(lines) == MAX_ELEMENTS:
                break
            if await self._act(element.is_visible()):
                kind, label = await self._act(element.evaluate(_DESCRIBE))
                self._elements.append(element)
                lines.append(f"[{len(lines) + 1}] {kind} {' '.join(label.split())[:MAX_LABEL]}".rstrip())
        return lines

    def _element(self, number: int) -> ElementHandle:
        if not 1 <= number <= len(self._elements):
            raise BrowserError(f"There is no element {number}; the page has {len(self._elements)}.")
        return self._elements[number - 1]

    async def _settle(self) -> None:
        """Wait for the page that an action may have led to."""
        await asyncio.sleep(_SETTLE_SECONDS)
        await self._act(self._page.wait_for_load_state("load", timeout=ACTION_SECONDS * 1000))

    async def _act(self, doing: Any) -> Any:
        """Await what the browser does, no longer than an action may take."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(ACTION_SECONDS + 1):
                return await doing
        except TimeoutError:
            raise BrowserError(f"The page did not answer within {ACTION_SECONDS:g} s.") from None
        except Error as error:
            raise BrowserError(f"The browser could not do it: {error.message.splitlines()[0]}") from None

    async def check(self, route: Route) -> None:
        """Let a request of a page go on, or end it."""
        from playwright.async_api import Error

        # The page may be gone by now, and the request with it.
        with contextlib.suppress(Error):
            if self._settings.allows(route.request.url):
                await route.continue_()
            else:
                self.refused.append(route.request.url)
                await route.abort("blockedbyclient")

    async def check_socket(self, socket: WebSocketRoute) -> None:
        """The same for web sockets."""
        if self._settings.allows(socket.url):
            socket.connect_to_server()
        else:
            self.refused.append(socket.url)
            await socket.close()


@asynccontextmanager
async def browsing(executable: Path, settings: BrowserSettings) -> AsyncIterator[Browser]:
    """Open a browser of its own; at the end, or when cancelled, its processes are gone.

    Raises `BrowserError` if it does not start.
    """
    from playwright.async_api import Error

    playwright = await _started()
    try:
        with tempfile.TemporaryDirectory(prefix="agents-browser-", ignore_cleanup_errors=True) as home:
            try:
                chromium = await playwright.chromium.launch(
                    executable_path=executable,
                    args=_arguments(settings),
                    # Its sandbox does not work for root.
                    chromium_sandbox=os.geteuid() != 0,
                    env={"HOME": home, "PATH": os.environ.get("PATH", os.defpath)},
                    timeout=ACTION_SECONDS * 2000,
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                )
            except Error as error:
                raise BrowserError(f"Chromium does not start: {error.message.splitlines()[0]}") from None
            try:
                context = await chromium.new_context(accept_downloads=False, service_workers="block")
                browser = Browser(context, settings)
                await context.route("**/*", browser.check)
                await context.route_web_socket("**/*", browser.check_socket)
                await context.new_page()
                yield browser
            finally:
                with contextlib.suppress(Error, TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await chromium.close()
    finally:
        # Without its driver, the browser ends too.
        with contextlib.suppress(Error, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await playwright.stop()


async def _started() -> Playwright:
    """Start Playwright's driver; cancelled meanwhile, it is stopped again."""
    from playwright.async_api import async_playwright

    starting = asyncio.ensure_future(async_playwright().start())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await (await starting).stop()
        raise


def _arguments(settings: BrowserSettings) -> list[str]:
    """Return the switches that keep Chromium's own resolver to the allowed hosts."""
    rules = ["MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in settings.allowed_hosts)]
    rules += [f"EXCLUDE [{host}]" for host in settings.allowed_hosts if ":" in host]
    return [
        f"--host-resolver-rules={', '.join(rules)}",
        "--no-proxy-server",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    ]
