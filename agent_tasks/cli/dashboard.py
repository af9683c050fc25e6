"""`agent-tasks dashboard`: the Prefect server of the state folder, for as long as somebody looks at it.

Our server asks for its auth string. The browser is given it past all argument lists and logs: it opens a
file that its owner alone can read, which leads to a page of the server with the auth string behind a `#`
(no browser sends that part), and that page stores it as the dashboard's own page for signing in does.
"""

from __future__ import annotations

import json
import signal
import time
import webbrowser
from pathlib import Path
from types import FrameType

from agent_tasks.cli.errors import InterruptedBySignal, say
from agent_tasks.cli.interrupts import SIGNALS
from agent_tasks.local.server_access import auth_path, auth_string, ui_folder, write_private
from agent_tasks.local.servers import prefect_server
from agent_tasks.settings import Settings

__all__ = ["make_way_in", "show_dashboard"]

SIGN_IN = "sign-in.html"

# The name under which Prefect's dashboard keeps what was entered, and how, are those of 3.9. Only what the
# server takes is stored: a link from elsewhere can't sign anybody out.
_SIGN_IN_PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Signing in</title>
<p>Signing in ...</p>
<script>
const sent = btoa(decodeURIComponent(location.hash.slice(1)));
history.replaceState(null, "", location.pathname);
fetch("/api/admin/version", { headers: { Authorization: "Basic " + sent } })
  .then((answer) => { if (answer.ok) localStorage.setItem("prefect-password", sent); })
  .finally(() => location.replace("/"));
</script>
"""
_WAY_IN = """<!doctype html>
<meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Dashboard</title>
<script>location.replace({address} + "#" + encodeURIComponent({auth}));</script>
"""


def show_dashboard(*, browser: bool) -> None:
    """Starts (or joins) the server, prints its address, and stays until Ctrl-C (the usual end) or SIGTERM."""
    settings = Settings()
    for number in SIGNALS:
        signal.signal(number, _raise)
    ours = settings.prefect_api_url is None
    if ours:
        say("Starting the Prefect server ...", style="dim")
    server = prefect_server(settings)
    way_in: Path | None = None
    try:
        address = (settings.prefect_api_url or server.launch().wait()).removesuffix("/api")
        print(address, flush=True)
        if ours:
            way_in = make_way_in(settings.state_dir, address)
            say(f"Its password is in {auth_path(settings.state_dir)}; {way_in} signs a browser in.")
        if browser:
            webbrowser.open(way_in.as_uri() if way_in else address)
        if ours:
            say("Ctrl-C ends it.", style="dim")
            while True:
                time.sleep(3600)  # a signal ends it
    except InterruptedBySignal as interrupt:
        if interrupt.number != signal.SIGINT:
            raise
    finally:
        if way_in is not None:
            way_in.unlink(missing_ok=True)
        server.close()


def make_way_in(state_dir: Path, address: str) -> Path:
    """Write the file that signs a browser in to the running server of a state folder.

    Args:
        state_dir: the state folder.
        address: the server's address, without `/api`.
    """
    (ui_folder(state_dir) / "v2" / SIGN_IN).write_text(_SIGN_IN_PAGE, encoding="utf-8")
    page = _WAY_IN.format(
        address=json.dumps(f"{address}/v2/{SIGN_IN}"), auth=json.dumps(auth_string(state_dir))
    )
    way_in = state_dir / "run" / "dashboard.html"
    write_private(way_in, page)
    return way_in


def _raise(number: int, frame: FrameType | None) -> None:
    raise InterruptedBySignal(number)
