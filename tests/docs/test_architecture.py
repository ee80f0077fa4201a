"""docs/architecture.md: its floors are those of the code, and every import leads down."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FLOORS = {
    package: int(floor)
    for floor, packages in re.findall(r"^\| (\d+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    for package in re.findall(r"`(\w+)`", packages)
}


def imports() -> Iterator[tuple[str, str]]:
    """Which part of lad imports which other; `lad` itself only hands its public names on, and
    the program stands above all.
    """
    for file in sorted((ROOT / "lad").rglob("*.py")):
        here = file.relative_to(ROOT / "lad").with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module == "lad":
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lad."):
                names = [node.module.split(".")[1]]
            elif isinstance(node, ast.Import):
                names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lad.")]
            yield from (
                (here, name)
                for name in names
                if here not in ("__init__", "__main__", name) and not name.startswith("__")
            )


def test_every_part_of_the_package_stands_on_a_floor():
    parts = {path.stem for path in (ROOT / "lad").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert set(FLOORS) == parts - {"__init__", "__main__"}


def test_every_import_leads_to_a_lower_floor():
    up = {
        f"{here} (floor {FLOORS[here]}) imports {there} (floor {FLOORS[there]})"
        for here, there in imports()
        if FLOORS[here] <= FLOORS[there]
    }
    assert up == set()
