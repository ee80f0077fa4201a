"""The shipped Slurm profile, read as Snakemake reads it. That it works is tested on a Slurm: tests/slurm."""

import re
from pathlib import Path

import pytest
import yaml
import yte

ROOT = Path(__file__).parents[1]
PROFILE = ROOT / "workflow" / "profiles" / "slurm" / "config.yaml"
SITE = {"account": "lab", "partition": "short", "gpu_partition": "long", "gpu_model": "h200"}


def read(site: dict[str, str]) -> dict:
    profile = yaml.safe_load(PROFILE.read_text())
    assert profile["__variables__"] == dict.fromkeys(SITE, ""), "no site's settings are shipped"
    return yte.process_yaml(yaml.safe_dump({**profile, "__variables__": {**profile["__variables__"], **site}}))


def rules() -> dict[str, str]:
    """Each rule of the pipeline and what it says; a derived rule says what its model does."""
    text = "".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    said = dict(re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |^use rule |\Z)", text, re.DOTALL | re.MULTILINE))
    return said | {derived: said[model] for model, derived in re.findall(r"use rule (\w+) as (\w+)", text)}


def test_rules_that_take_a_gpu_have_resources_of_their_own():
    taking_a_gpu = {name for name, said in rules().items() if re.search(r"\bgpu=", said)}
    assert taking_a_gpu == read({})["set-resources"].keys() != set()


def test_no_rule_names_slurm():
    assert not [name for name, said in rules().items() if "slurm" in said.lower()]


def test_a_site_edits_four_settings_and_they_reach_every_rule_that_needs_them():
    profile = read(SITE)
    assert profile["default-resources"]["slurm_account"] == "lab"
    assert profile["default-resources"]["slurm_partition"] == "short"
    for resources in profile["set-resources"].values():
        assert (resources["slurm_partition"], resources["gpu_model"]) == ("long", "h200")


@pytest.mark.parametrize("setting", SITE)
def test_a_setting_that_is_left_empty_is_left_to_slurm(setting):
    assert SITE[setting] not in str(read({name: value for name, value in SITE.items() if name != setting}))


def test_memory_and_time_grow_with_every_attempt():
    profile = read({})
    for resources in (profile["default-resources"], *profile["set-resources"].values()):
        for name in ("mem_mb", "runtime"):
            first, second = (eval(resources[name], {"attempt": attempt}) for attempt in (1, 2))
            assert second == 2 * first > 0
