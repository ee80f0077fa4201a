"""RewardBench's form, versions 1 and 2: which response is better? The samples are made, of the published columns."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lad import contracts, parquet
from lad.benchmark import BenchmarkError
from lad.benchmark.formats.reward_bench import SECTIONS, RewardBench, read_preferences

SUBSETS = ("alpacaeval-easy", "mt-bench-easy", "hep-python")
GOOD = {
    **{"prompt": "Add 1 and 1.", "chosen": "2", "chosen_model": "m", "rejected": "3", "rejected_model": "o"},
    **{"subset": "math-prm", "id": 7},
}
FOUR = {
    **{"id": "9", "prompt": "Name a fruit.", "chosen": ["A pear."], "rejected": ["A car.", "A pen.", "Four."]},
    **{"num_correct": 1, "num_incorrect": 3, "total_completions": 4, "models": ["m"] * 4, "subset": "Precise IF"},
}


def version1(count: int = 12) -> list[dict]:
    """Entries of three subsets in turn; code is indented, and prompts have line breaks."""
    return [
        GOOD
        | {"prompt": f"Do\nit {k}.", "chosen": f"\n    return {k}\n", "rejected": f"no {k}", "subset": SUBSETS[k % 3]}
        for k in range(count)
    ]


@pytest.fixture
def written(tmp_path):
    """Write entries: as Parquet, or as lines of JSON, of which texts stand as they are."""

    def write(*entries: dict | str, suffix: str = ".jsonl") -> Path:
        path = tmp_path / f"filtered{suffix}"
        if suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(entries), path)
        else:
            path.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entries))
        return path

    return write


def build(path: Path, setting: str, n: int = 2, **asked: int) -> list[dict]:
    dataset = RewardBench(format="reward_bench", preferences=str(path))
    images = dataset.read_images([setting]).table
    asked = {"evaluation": 100, "calibration": 1, "seed": 0, **asked}
    table = dataset.build_questions(images, dataset="d", setting=setting, n=n, **asked)
    texts = dict(zip(images["image_id"].to_pylist(), images["text"].to_pylist(), strict=True))
    rows = parquet.conform(table, contracts.QUESTIONS, "questions").to_pylist()
    return [{**row, "candidates": [texts[i] for i in row["candidates"]]} for row in rows]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_pair_keeps_its_lines_and_its_code_keeps_its_indentation(written, suffix):
    read = read_preferences(written(*version1(), suffix=suffix))
    assert (len(read.made), read.left) == (12, [])
    third = read.made[2]
    assert (third.query, third.candidates, third.target) == ("Do\nit 2.", ("    return 2", "no 2"), 1)
    assert (third.task, third.id) == ("hep-python", "entry3")


def test_best_of_four_is_a_question_with_four_candidates_and_its_subset_a_setting_without_blanks(written):
    path = written(FOUR, FOUR | {"prompt": "Name a herb."}, suffix=".parquet")
    rows = build(path, "Precise_IF", n=4)
    assert [row["candidates"] for row in rows] == [["A pear.", "A car.", "A pen.", "Four."]] * 2
    assert {row["target"] for row in rows} == {1}


def test_a_setting_is_a_subset_a_section_or_all(written):
    path = written(*version1())
    subsets = {
        setting: {int(row["question_id"].rsplit("entry", 1)[1]) % 3 for row in build(path, setting)}
        for setting in ("hep-python", "Chat", "all")
    }
    assert subsets == {"hep-python": {0}, "Chat": {1, 2}, "all": {0, 1, 2}}
    assert len({part for parts in SECTIONS.values() for part in parts}) == 23
    with pytest.raises(
        BenchmarkError, match=r"has no task 'chat'; it has: .*hep-python; sections: Chat, Reasoning, all$"
    ):
        build(path, "chat")


def test_no_prompt_that_calibrates_is_evaluated(written):
    path = written(*(entry | {"prompt": f"Do it {k // 2}."} for k, entry in enumerate(version1())))
    rows = build(path, "all", calibration=3)
    prompts = [{row["caption"] for row in rows if row["role"] == role} for role in ("evaluation", "calibration")]
    assert not prompts[0] & prompts[1]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (FOUR | {"chosen": ["a", "b"], "subset": "Ties"}, "has 2 chosen responses: no single one is right"),
        (GOOD | {"rejected": "2 "}, "has two responses of the same words"),
        (GOOD | {"rejected": " "}, "has an empty rejected response"),
        (FOUR | {"rejected": [str(k) for k in range(12)]}, "has 13 responses; at most 12 are shown"),
    ],
)
def test_what_has_no_single_right_answer_is_left_out_and_counted(written, entry, reason):
    path = written(GOOD, entry)
    images = RewardBench(format="reward_bench", preferences=str(path)).read_images([])
    assert images.refused == [{"entry": "line 2", "reason": reason}]
    assert images.summary.endswith(f"math-prm: 1 with 2; left out: line 2 {reason}")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{", r"is not JSON \(.*, character 2\)"),
        ("[1]", r"is \[1\], expected is an object with keys"),
        ({"chosen": "a", "rejected": "b"}, "has no prompt; its keys are: chosen, rejected"),
        (GOOD | {"prompt": " "}, "has an empty prompt"),
        (GOOD | {"prompt": [{"role": "user"}]}, r'has prompt \[\{"role": "user"\}\], expected is a text'),
        (GOOD | {"chosen": None}, "has no chosen response"),
        (GOOD | {"chosen": 2}, "has chosen response 2, expected is a text"),
        (FOUR | {"rejected": []}, r"has rejected \[\], expected is at least one text"),
        (FOUR | {"chosen": [3]}, "has chosen response 3, expected is a text"),
        (GOOD | {"subset": None}, "has no subset"),
        (GOOD | {"subset": 4}, "has subset 4, expected is a text"),
    ],
)
def test_an_entry_that_is_not_of_the_form_is_refused_in_one_line(written, entry, fault):
    with pytest.raises(BenchmarkError, match=rf"filtered\.jsonl: line 2 {fault}") as refused:
        read_preferences(written(GOOD, entry))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, written):
    (tmp_path / "no.parquet").write_text("no")
    (tmp_path / "no.json").write_text("{}")
    for name, fault in (("no.parquet", "is no Parquet file"), ("no.json", "is no list"), ("nowhere", "cannot be read")):
        with pytest.raises(BenchmarkError, match=rf"{name}: {fault}"):
            read_preferences(tmp_path / name)
    with pytest.raises(BenchmarkError, match=r"has no entry"):
        read_preferences(written())
