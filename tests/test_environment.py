"""The two ways to install pin the same versions, and the pins lie in the declared ranges."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINS = (ROOT / "requirements.txt").read_text().split()


def test_the_conda_environment_has_the_pins_of_the_lock_file():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert dependencies[-1]["pip"] == PINS


def test_every_declared_dependency_is_pinned_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    pinned = {Requirement(pin).name.lower(): re.search(r"==(.+)", pin)[1] for pin in PINS}
    for text in declared:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), text


def test_no_pin_names_a_file_a_host_or_a_local_build():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in PINS)
