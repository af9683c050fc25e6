"""What one execution may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one execution may use.

    Attributes:
        cpu_seconds: processor time.
        wall_seconds: time until it is ended, whatever it does.
        memory_bytes: address space. Files are in memory too while code runs, and count apart.
        file_bytes: size of one file.
        folder_bytes: size of all files and variables of a thread; as much again is there in /tmp.
        folder_files: number of all files and folders of a thread.
        open_files: open at the same time.
        threads: at the same time; there is one process.
        output_characters: printed text that is kept; the rest is left out, which the text then says.
        output_bytes: printed text that ends the execution.
    """

    cpu_seconds: int = 30
    wall_seconds: float = 60.0
    memory_bytes: int = 2 * 1024**3
    file_bytes: int = 64 * 1024**2
    folder_bytes: int = 256 * 1024**2
    folder_files: int = 2000
    open_files: int = 256
    threads: int = 128
    output_characters: int = 32_000
    output_bytes: int = 8 * 1024**2
