"""The reference of the configuration names all that there is, and nothing that there is not."""

import json
import re
from pathlib import Path

import yaml

from lad import config_reference
from lad.calibration.formulation import _CHOICES as FIELDS

TEXT = (Path(__file__).parents[1] / "config" / "README.md").read_text()
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config" / "config.yaml").read_text())


def table(heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is that."""
    lines = TEXT[TEXT.index(f"| {heading} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_names_every_key_with_its_default_and_what_it_may_be():
    page = config_reference.markdown()
    assert "| `top_k` | whole number, 1 or more | `2` | How many layers are chosen: K of eq. 9. |" in page
    assert "| `dtype` | `float32`, `bfloat16`, `float16` | `float32` |" in page
    rows = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.M))
    schema = json.loads(config_reference.json_schema())
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part["properties"]}
    assert rows == keys


def test_the_json_schema_takes_the_shipped_configurations_and_no_unknown_key():
    schema = json.loads(config_reference.json_schema())
    assert schema["additionalProperties"] is False
    assert set(CONFIG) <= set(schema["properties"])
    assert set(schema["required"]) <= set(CONFIG)


def test_every_field_of_a_formulation_has_its_row_with_its_values():
    assert {code(name)[0]: tuple(code(values)) for name, values, _ in table("field")} == FIELDS


def test_every_split_is_explained():
    for split in ("evaluation", "calibration", "symmetrized", "permuted", "content_free"):
        assert f"`{split}`," in TEXT.split("What is extracted follows", 1)[1].split("\n\n")[0]
