"""Known questions fit any N: they lose candidates, or borrow some."""

import pytest

from lad.benchmark import BenchmarkError
from lad.benchmark.own import OwnQuestion
from lad.rank.candidates import RankError
from lad.rank.known import at_size, read_known

KNOWN = [OwnQuestion("one", ["a", "b", "c", "d"], 3), OwnQuestion("two", ["e", "f"], 1)]


@pytest.mark.parametrize("n", range(2, 7))
def test_every_question_keeps_its_target_and_gets_n_different_candidates(n):
    for fitted, known in zip(at_size(KNOWN, n), KNOWN, strict=True):
        assert len(set(fitted.candidates)) == n
        assert fitted.candidates[fitted.target - 1] == known.candidates[known.target - 1]
        own = [candidate for candidate in fitted.candidates if candidate in known.candidates]
        assert len(own) == min(n, len(known.candidates))


def test_at_its_own_size_a_question_stays_as_it_is():
    assert at_size(KNOWN[:1], 4) == KNOWN[:1]


def test_too_few_candidates_in_all_are_refused():
    with pytest.raises(RankError, match="have 6 different candidates, and 7 are to be ranked at once"):
        at_size(KNOWN, 7)


def test_paths_begin_in_the_folder_of_the_file(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    file = tmp_path / "known.jsonl"
    file.write_text('{"query": "q", "candidates": ["a.png", "b.png"], "target": 1}\n')
    assert read_known(file) == [("q", [tmp_path / "a.png", tmp_path / "b.png"], 1)]
    assert read_known(file, "texts") == [("q", ("a.png", "b.png"), 1)]
    file.write_text('{"query": "q", "candidates": ["Rome", "Paris"], "target": 1}\n')
    assert read_known(file) == [("q", ("Rome", "Paris"), 1)]
    file.write_text('{"query": "q", "candidates": ["a.png", "z.png"], "target": 1}\n')
    with pytest.raises(RankError, match=r"'z\.png' is no file"):
        read_known(file)
    file.write_text('{"query": "q", "candidates": ["a.png"]}\n')
    with pytest.raises(BenchmarkError, match="line 1 has 1 candidates"):
        read_known(file)
