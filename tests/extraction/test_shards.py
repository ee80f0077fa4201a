"""Work in parts: whole questions, and the same table whatever the parts."""

import pyarrow as pa
import pytest

from lad import contracts, parquet
from lad.extraction.extract import extract
from lad.extraction.prompts import get_probe
from lad.extraction.shards import Shard, ShardError, merge, shard_files

QUESTIONS, ROUNDS = 7, 2


@pytest.fixture(scope="module")
def presentations(asked) -> pa.Table:
    return asked(4, QUESTIONS)[1]


@pytest.fixture
def extract_shards(cpu_backbone, images, scenes, asked, tmp_path):
    """Extract in so many shards, each as a process of its own would, and merge: `extract_shards(3)`."""

    def run(count: int, probe: str = "vanilla", relation: str = "signals", **options) -> tuple[pa.Table, dict]:
        questions, presentations = asked(4, QUESTIONS)
        contract = contracts.CONTRACTS[relation]
        files = shard_files(tmp_path / f"{count}", relation, count)
        for number, file in enumerate(files, start=1):
            shard = Shard(number, count)
            work = {"questions": questions, "presentations": shard.of(presentations), **options}
            made = extract(cpu_backbone, get_probe(probe), images=images, image_folder=scenes / "images", **work)
            parquet.write(getattr(made, relation), file, contract, {**made.metadata, "shard": str(shard)})
        return merge(files, contract)

    return run


@pytest.mark.parametrize("count", range(1, QUESTIONS + 1))
def test_shards_together_are_the_table_in_its_order_and_no_question_is_cut(presentations, count):
    parts = [Shard(number, count).of(presentations) for number in range(1, count + 1)]
    assert pa.concat_tables(parts).equals(presentations)
    questions = [set(part["question_id"].to_pylist()) for part in parts]
    assert sum(map(len, questions)) == QUESTIONS == len(set.union(*questions))
    assert max(map(len, questions)) - min(map(len, questions)) <= 1


def test_from_one_question_a_shard_to_all_in_one_the_merged_tables_are_equal_bit_by_bit(
    cpu_extraction_of, extract_shards
):
    made = cpu_extraction_of(4, evaluation=QUESTIONS, keep=["heads"])
    whole, facts = made.signals, made.metadata
    for count in range(1, QUESTIONS + 1):
        merged, metadata = extract_shards(count, keep=["heads"])
        assert merged.equals(parquet.conform(whole, contracts.SIGNALS, "whole")), count
        assert metadata["presentations"] == facts["presentations"] == QUESTIONS * ROUNDS
        assert metadata["weights"] == facts["weights"]
        assert metadata["device"] == facts["device"]


def test_drawn_texts_are_the_same_in_shards(cpu_extraction_of, extract_shards):
    probe = "self_consistency-samples3-tokens8"
    whole = cpu_extraction_of(4, probe, evaluation=QUESTIONS).generations
    merged, metadata = extract_shards(3, probe, "generations")
    assert merged.equals(whole)
    assert metadata["generated_tokens"] == sum(whole["tokens"].to_pylist())


def test_another_cut_of_finished_presentations_computes_nothing_and_keeps_them_once(
    extract_shards, tmp_path, monkeypatch
):
    finished = tmp_path / "finished"
    first, facts = extract_shards(2, finished=finished)
    size = sum(path.stat().st_size for path in finished.rglob("*.parquet"))
    monkeypatch.setattr("lad.extraction.extract.read_batch", lambda *_, **__: pytest.fail("computed again"))
    for count in (7, 3, 1):
        again, metadata = extract_shards(count, finished=finished)
        assert again.equals(first)
        assert metadata["seconds"] == pytest.approx(facts["seconds"], abs=0.01)
    assert sum(path.stat().st_size for path in finished.rglob("*.parquet")) <= size


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ShardError, match=text):
        Shard.parse(text)


def test_more_shards_than_questions_are_refused(presentations):
    with pytest.raises(ShardError, match="shard 1/8: only 7 questions are there"):
        Shard(1, 8).of(presentations)


@pytest.fixture
def files(extracted, tmp_path):
    """Two whole shards on disk, to be spoilt."""
    signals, facts = extracted(4, evaluation=2)
    files = shard_files(tmp_path, "signals", 2)
    for number, file in enumerate(files, start=1):
        parquet.write(signals[2 * number - 2 : 2 * number], file, contracts.SIGNALS, {**facts, "shard": f"{number}/2"})
    assert len(merge(files, contracts.SIGNALS)[0]) == 4
    return files


def test_files_of_another_cut_or_order_are_not_merged(files):
    with pytest.raises(ShardError, match=r"2-of-2/signals.parquet: is shard 2/2, not 1/2"):
        merge(files[::-1], contracts.SIGNALS)
    with pytest.raises(ShardError, match=r"1-of-2/signals.parquet: is shard 1/2, not 1/1"):
        merge(files[:1], contracts.SIGNALS)


def test_shards_that_were_made_differently_are_not_merged(files):
    facts = parquet.read_metadata(files[1])
    other = {**facts, "dtype": "bfloat16"}
    parquet.write(parquet.read(files[1], contracts.SIGNALS), files[1], contracts.SIGNALS, other)
    with pytest.raises(ShardError, match=r"2-of-2/signals.parquet: dtype is bfloat16, in \S+ it is float32"):
        merge(files, contracts.SIGNALS)


def test_seconds_add_up_and_memory_does_not(files):
    facts = parquet.read_metadata(files[1])
    other = {**facts, "seconds": facts["seconds"] + 1, "peak_memory_bytes": 10**12, "device": "another"}
    parquet.write(parquet.read(files[1], contracts.SIGNALS), files[1], contracts.SIGNALS, other)
    _, metadata = merge(files, contracts.SIGNALS)
    assert metadata["seconds"] == pytest.approx(2 * facts["seconds"] + 1)
    assert metadata["peak_memory_bytes"] == 10**12
    assert metadata["device"] == ", ".join(sorted(["another", facts["device"]]))
    assert metadata["shards"] == 2
