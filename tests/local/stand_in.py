"""A tiny server in place of the real ones: up in a few milliseconds, and told by its arguments how to behave.

    python stand_in.py PORT JOURNAL [fail-once | never-ready | dies | stubborn | busy=SECONDS]

Each start, and a SIGTERM, is a line in the file JOURNAL.
"""

import http.server
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

port, journal, behaviour = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
busy = float(behaviour.partition("=")[2]) if behaviour.startswith("busy=") else 0.0
asked: list[float] = []


def note(text: str) -> None:
    with journal.open("a") as file:
        file.write(f"{text}\n")


def on_terminate(*_: object) -> None:
    note(f"told {time.monotonic()}")
    if behaviour != "stubborn":
        os._exit(0)


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body: bytes) -> None:
        self.send_response(503 if behaviour == "never-ready" else 200)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(b"true")

    def do_POST(self) -> None:
        """A count that grows for `busy` seconds after it is asked for first."""
        asked.append(time.monotonic())
        self.answer(b"done" if asked[-1] - asked[0] > busy else str(len(asked)).encode())

    def log_message(self, *_: object) -> None:
        pass


signal.signal(signal.SIGTERM, on_terminate)
first = not journal.exists()
note(f"started {os.getpid()} {port}")
if behaviour == "dies" or (behaviour == "fail-once" and first):
    print("the stand-in cannot start: port taken", flush=True)
    sys.exit(3)
helper = subprocess.Popen(["sleep", "600"])
note(f"helper {helper.pid}")
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
