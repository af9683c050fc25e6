"""`python -m agents_emulator`.

What is imported stays to the end: a collector that goes through it again and again takes a third of a start.
"""

from __future__ import annotations

import gc
import sys

if __name__ == "__main__":
    gc.disable()
    from agents_emulator.server import main

    gc.freeze()
    gc.enable()
    sys.exit(main())
