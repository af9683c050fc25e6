"""Every short program has its test and its line in the table."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = HERE.parents[1] / "examples" / "guide"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem != "connection")


def test_every_program_has_its_test() -> None:
    source = (HERE / "test_guide.py").read_text(encoding="utf-8")
    assert sorted(re.findall(r'covers\("example", "(\w+)"\)', source)) == NAMES


def test_every_program_has_its_line_in_the_table() -> None:
    table = (PROGRAMS / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| \[`(\w+)\.py`\]\((\w+)\.py\) \|", table, re.MULTILINE)
    assert sorted(name for name, link in lines if name == link) == NAMES


def test_the_table_names_what_a_program_reads_from_the_environment() -> None:
    table = (PROGRAMS / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        program = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
        [line] = [line for line in table.splitlines() if line.startswith(f"| [`{name}.py`]")]
        for variable in set(re.findall(r'os\.environ\["(\w+)"\]', program)) - {"MODEL_DEPLOYMENT_NAME"}:
            assert f"`{variable}`" in line, f"{name}.py reads {variable}"


def test_programs_are_short() -> None:
    lengths = {name: len((PROGRAMS / f"{name}.py").read_text().splitlines()) for name in NAMES}
    assert {name: length for name, length in lengths.items() if length > 65} == {}
