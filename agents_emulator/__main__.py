"""`python -m agents_emulator`."""

from __future__ import annotations

import sys

from agents_emulator.server import main

if __name__ == "__main__":
    sys.exit(main())
