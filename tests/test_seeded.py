"""Random numbers follow from their key alone: the same on every machine, uniform, undisturbed by other numbers."""

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lad.seeded import number, shuffled


def test_a_draw_is_the_sha256_of_its_key_as_any_machine_computes_it():
    # `printf 42/image/7 | sha256sum`
    assert f"{number(42, 'image', 7):064x}" == "ada7318d6b159ca0197609cafdcd50f8bd49887cc6ecc587e330cb6714cff76d"


def test_a_draw_does_not_depend_on_the_hash_seed_of_the_interpreter():
    code = "from lad.seeded import shuffled; print(shuffled(['a', 'b', 'c', 'd', 'e'], 1))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{shuffled('abcde', 1)}\n".encode()}


def test_draws_are_uniform():
    counts = np.bincount([number(5, "uniform", k) % 12 for k in range(12_000)], minlength=12)
    # Chi-square with 11 degrees of freedom: 31.3 is its 99.9 % quantile.
    assert ((counts - 1000) ** 2 / 1000).sum() < 31.3


@given(st.sets(st.integers(), min_size=1), st.integers(), st.integers())
@settings(deadline=None)
def test_one_item_more_leaves_the_others_in_their_order(items, item, seed):
    longer = shuffled(items | {item}, seed)
    assert [kept for kept in longer if kept != item] == [kept for kept in shuffled(items, seed) if kept != item]


@given(st.permutations(range(20)), st.integers())
@settings(deadline=None)
def test_the_order_given_does_not_matter(items, seed):
    assert shuffled(items, seed) == shuffled(range(20), seed)
