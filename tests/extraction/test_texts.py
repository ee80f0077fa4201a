"""Texts of generating probes: decoded as by transformers, drawn as often as they should be, the same in any batch."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import plain
import pyarrow as pa
import pytest
import torch
from kills import extract_with_own_locks, files, fork
from PIL import Image
from transformers import AutoModelForImageTextToText

from benchmarks import architectures
from lad import contracts, parquet
from lad.extraction import extract as extraction
from lad.extraction import memory
from lad.extraction.backbone import load_backbone
from lad.extraction.batch import collate
from lad.extraction.extract import ExtractionError
from lad.extraction.forward import answer_trie, read_batch
from lad.extraction.inputs import encode, prepare
from lad.extraction.prompt_tokens import PromptBuilder
from lad.extraction.prompts import PROBES, Generation, Probe, get_probe
from lad.extraction.texts import gumbel_noise, next_tokens, noise_stream

SAMPLED = "self_consistency-samples4-tokens8"


# --- the choice of a token -------------------------------------------------------------------------------------


def streams(texts: int, seed: int = 0) -> np.ndarray:
    return np.array([noise_stream(seed, "question", [1, 2], sample) for sample in range(texts)], dtype=np.uint64)


def test_tokens_are_drawn_as_often_as_softmax_of_the_top_k_says():
    """Chi-square of 40,000 draws: 7 degrees of freedom, beyond 30 once in ten thousand times."""
    scores = torch.tensor([[0.3, -1.0, 2.0, 0.9, 1.4, -0.2, 0.0, 1.1, 0.5, -3.0]])
    generation = Generation(new_tokens=1, samples=40_000, temperature=0.7, top_k=8)
    for step in (0, 3):
        rows = np.zeros(generation.samples, dtype=np.int64)
        drawn = np.bincount(next_tokens(scores, rows, generation, step, streams(40_000)), minlength=10)
        weights = np.exp(scores[0].double().numpy() / 0.7)
        weights[np.argsort(weights)[:2]] = 0
        expected = weights / weights.sum() * generation.samples
        assert drawn[weights == 0].sum() == 0
        kept = weights > 0
        assert ((drawn[kept] - expected[kept]) ** 2 / expected[kept]).sum() < 30


def test_draws_of_two_steps_or_two_samples_have_nothing_to_do_with_each_other():
    noise = np.stack([gumbel_noise(streams(50_000), step, np.full(50_000, 7)) for step in (0, 1)])
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=0.02)
    assert noise.var() == pytest.approx(np.pi**2 / 6, abs=0.05)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[0, 1:], noise[0, :-1])[0, 1]) < 0.02


def test_all_tokens_that_tie_with_the_last_of_the_top_k_can_be_drawn():
    scores = torch.tensor([[2.0, 1.0, 1.0, 1.0, 0.0]])
    generation = Generation(new_tokens=1, temperature=1.0, top_k=2)
    assert set(next_tokens(scores, np.zeros(500, dtype=np.int64), generation, 0, streams(500))) == {0, 1, 2, 3}


def test_a_rounding_error_that_swaps_two_ranks_does_not_change_the_draw():
    generation = Generation(new_tokens=1, temperature=0.7, top_k=4)
    scores = torch.tensor([[1.0, 1.0, 0.5, 0.2, 0.1]])
    rows = np.zeros(2_000, dtype=np.int64)
    one, other = (
        next_tokens(scores + torch.tensor([nudge, 0, 0, 0, 0]), rows, generation, 0, streams(2_000))
        for nudge in (1e-6, -1e-6)
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize("other", [(1, "q", [1, 2], 0), (0, "p", [1, 2], 0), (0, "q", [2, 1], 0), (0, "q", [1, 2], 1)])
def test_seed_question_order_and_sample_each_have_noise_of_their_own(other):
    assert noise_stream(*other) != noise_stream(0, "q", [1, 2], 0) == noise_stream(0, "q", (1, 2), 0)


# --- decoding, on a random model that writes on and on ---------------------------------------------------------

ASKED = PROBES["cot"]
CAPTION = "a red circle"
SIZES = [(120, 60), (50, 64), (56, 56)]
ORDERS = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]
DRAWN = Generation(new_tokens=24, samples=4, temperature=0.7, top_k=40)


class Writer:
    """A tiny Qwen2.5-VL with random weights and a repetition penalty, and three orders of three pictures."""

    def __init__(self, folder: Path):
        path = architectures.build("qwen2_5_vl", folder)
        self.backbone = load_backbone(path)
        self.eager = AutoModelForImageTextToText.from_pretrained(path, attn_implementation="eager").eval()
        assert self.backbone.model.generation_config.repetition_penalty > 1
        self.pictures = [Image.effect_noise(size, 90).convert("RGB") for size in SIZES]
        for k, picture in enumerate(self.pictures):
            picture.save(folder / f"{k}.png")
        self.encoded = encode(self.backbone, [prepare(self.backbone, folder / f"{k}.png") for k in range(len(SIZES))])
        self.trie = answer_trie(self.backbone, ASKED.identifiers(3))

    def batch(self, orders):
        build = PromptBuilder(self.backbone, ASKED)
        shown = [[self.encoded[k] for k in order] for order in orders]
        return collate([build(CAPTION, [image.placeholder for image in images]) for images in shown], shown)

    def write(self, generation: Generation, orders=ORDERS):
        noise = np.array(
            [[noise_stream(0, "q", order, sample) for sample in range(generation.samples)] for order in orders],
            dtype=np.uint64,
        )
        return read_batch(self.backbone, self.batch(orders), self.trie, generation=generation, streams=noise).texts

    def inputs(self, order) -> dict:
        shown = plain.Presentation(CAPTION, [self.pictures[k] for k in order], len(order))
        return plain.model_inputs(self.backbone, ASKED, shown)


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> Writer:
    return Writer(tmp_path_factory.mktemp("writer"))


@pytest.fixture
def often_ended(writer, monkeypatch):
    """Every fifteenth token ends a text, so that texts end early, late and never."""
    ends = list(range(0, architectures.VOCABULARY, 15))
    monkeypatch.setitem(vars(writer.backbone), "eos_token_ids", ends)
    return ends


def test_greedy_texts_are_those_of_generate(writer):
    for order, (written,) in zip(ORDERS, writer.write(Generation(new_tokens=40)), strict=True):
        inputs = writer.inputs(order)
        with torch.inference_mode():
            told = writer.eager.generate(**inputs, max_new_tokens=40, do_sample=False)[
                0, inputs["input_ids"].shape[1] :
            ]
        assert written.text == writer.backbone.processor.tokenizer.decode(told, skip_special_tokens=True)
        ended = told[-1].item() in writer.backbone.eos_token_ids
        assert (written.tokens, written.finished) == (len(told) - ended, ended)


def test_drawn_texts_are_those_of_a_full_pass_per_token(writer, often_ended):
    """The oracle: eager, no cache, one text at a time, repetition penalty by hand."""
    found = writer.write(DRAWN)
    for order, sample in ((ORDERS[0], 0), (ORDERS[1], 3), (ORDERS[2], 1)):
        inputs, answer = writer.inputs(order), []
        noise = np.array([noise_stream(0, "q", order, sample)], dtype=np.uint64)
        for step in range(DRAWN.new_tokens):
            logits, _ = plain.logits_and_attention(writer.eager, plain.answered(inputs, answer))
            logits, seen = logits.clone(), list({*inputs["input_ids"][0].tolist(), *answer})
            penalty = writer.backbone.model.generation_config.repetition_penalty
            logits[seen] = torch.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
            (token,) = next_tokens(logits[None], np.zeros(1, dtype=np.int64), DRAWN, step, noise)
            if token in often_ended:
                break
            answer.append(int(token))
        text = found[ORDERS.index(order)][sample]
        assert text.text == writer.backbone.processor.tokenizer.decode(answer, skip_special_tokens=True)
        assert (text.tokens, text.finished) == (len(answer), len(answer) < DRAWN.new_tokens)


def test_texts_are_the_same_together_and_alone_and_with_fewer_samples(writer, often_ended):
    together = writer.write(DRAWN)
    lengths = [text.tokens for texts in together for text in texts]
    assert min(lengths) < 5 < max(lengths), "texts end at various steps, so that rows are dropped"
    assert len({text.text for texts in together for text in texts}) > 10, "texts part, so that rows are copied"
    assert [writer.write(DRAWN, [order])[0] for order in ORDERS] == together
    fewer = writer.write(Generation(new_tokens=24, samples=2, temperature=0.7, top_k=40))
    assert fewer == [texts[:2] for texts in together]


def test_samples_that_have_written_the_same_share_a_row(writer):
    """Four greedy samples are one text four times, and cost the passes of one."""
    rows = []
    hook = writer.backbone.model.register_forward_pre_hook(
        lambda model, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    four = writer.write(Generation(new_tokens=6, samples=4))
    hook.remove()
    assert four == [texts * 4 for texts in writer.write(Generation(new_tokens=6))]
    assert rows == [3] * 6


# --- extraction, on the demo model -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampled(extraction_of):
    return extraction_of(4, SAMPLED, evaluation=6)


def texts_of(generations: pa.Table) -> dict:
    rows = generations.to_pylist()
    return {(row["presentation_id"], row["sample"]): (row["text"], row["tokens"], row["finished"]) for row in rows}


def test_every_presentation_has_its_samples_in_order(sampled):
    generations, ids = sampled.generations, sampled.signals["presentation_id"].to_pylist()
    assert generations["presentation_id"].to_pylist() == [one for one in ids for _ in range(4)]
    assert generations["sample"].to_pylist() == [*range(4)] * len(ids)
    assert sampled.signals["generated_text"].to_pylist() == generations["text"].to_pylist()[::4]
    assert len(set(generations["text"].to_pylist())) > 1
    assert sampled.metadata["generation"] == {"new_tokens": 8, "samples": 4, "temperature": 0.7, "top_k": 40}
    assert sampled.metadata["seed"] == 0
    assert sampled.metadata["generated_tokens"] == sum(generations["tokens"].to_pylist())


def test_a_text_says_how_many_tokens_it_has_and_whether_it_was_cut(extraction_of):
    whole, cut = (extraction_of(4, probe, evaluation=2).generations.to_pylist() for probe in ("cot", "cot-tokens1"))
    assert [row["text"] for row in whole] == [row["text"] for row in cut]
    assert {(row["tokens"], row["finished"]) for row in whole} == {(1, True)}
    assert {(row["tokens"], row["finished"]) for row in cut} == {(1, False)}


def test_the_signals_of_a_generating_probe_are_those_of_its_prompt_alone(extraction_of, backbone, monkeypatch):
    generating = extraction_of(4, "cot").signals
    monkeypatch.setitem(PROBES, "cot", Probe("cot", prompt="cot"))
    silent = extraction_of(4, "cot")
    assert silent.generations is None
    assert silent.signals.drop_columns("generated_text").equals(generating.drop_columns("generated_text"))


def test_another_batch_size_order_of_presentations_or_cut_gives_the_same_texts(extraction_of, asked, sampled):
    expected = texts_of(sampled.generations)
    _, presentations = asked(4, 6)
    assert texts_of(extraction_of(4, SAMPLED, evaluation=6, token_budget=1).generations) == expected
    shuffled = presentations.take(np.random.default_rng(0).permutation(len(presentations)))
    assert texts_of(extraction_of(4, SAMPLED, evaluation=6, presentations=shuffled).generations) == expected
    halves = (presentations.slice(0, 5), presentations.slice(5))
    parts = (extraction_of(4, SAMPLED, evaluation=6, presentations=half).generations for half in halves)
    assert texts_of(pa.concat_tables(parts)) == expected


def test_another_seed_gives_other_texts_and_a_greedy_probe_has_none(extraction_of, sampled):
    other = extraction_of(4, SAMPLED, evaluation=6, seed=1)
    assert texts_of(other.generations) != texts_of(sampled.generations)
    one, two = (extraction_of(4, "cot", seed=seed) for seed in (0, 1))
    assert texts_of(one.generations) == texts_of(two.generations)
    assert one.metadata["seed"] is None


def test_killed_between_two_batches_no_text_is_lost_or_drawn_again(cpu_extraction_of, tmp_path, monkeypatch):
    def run(finished: Path):
        return cpu_extraction_of(4, SAMPLED, evaluation=6, token_budget=300, finished=finished)

    finished, read, computed = tmp_path / "finished", extraction.read_batch, []

    def wait_after_the_second(*batch, **options):
        computed.append(batch)
        if len(computed) == 3:
            threading.Event().wait()
        return read(*batch, **options)

    with monkeypatch.context() as patched:
        patched.setattr(extraction, "read_batch", wait_after_the_second)
        child = fork.Process(target=extract_with_own_locks, args=(run, finished))
        child.start()
    while child.is_alive() and len(files(finished)) < 2:
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert len(files(finished)) == 2
    monkeypatch.setattr(
        extraction,
        "read_batch",
        lambda backbone, batch, *rest, **options: (
            computed.append(len(batch.token_ids)) or read(backbone, batch, *rest, **options)
        ),
    )
    resumed = run(finished)
    assert sum(computed) < len(resumed.signals)
    assert texts_of(resumed.generations) == texts_of(run(tmp_path / "whole").generations)
    assert run(finished).generations.equals(resumed.generations)


def test_the_same_pictures_asked_as_another_question_have_texts_of_their_own(extraction_of, asked, tmp_path):
    """Finished work is found by what determines it, and that includes the question here."""
    questions, presentations = asked(4, 3)
    renamed = {
        name: table.set_column(
            table.column_names.index("question_id"),
            "question_id",
            [[f"x{q}" for q in table["question_id"].to_pylist()]],
        )
        for name, table in (("questions", questions), ("presentations", presentations))
    }
    finished = tmp_path / "finished"
    first = extraction_of(4, SAMPLED, finished=finished)
    second = extraction_of(4, SAMPLED, finished=finished, **renamed)
    assert texts_of(first.generations) != texts_of(second.generations)


def test_logits_that_are_no_numbers_name_the_presentation(backbone, extraction_of):
    weight = backbone.model.lm_head.weight
    before = weight.clone()
    with torch.no_grad():
        weight[300] = torch.nan
    try:
        with pytest.raises(ExtractionError, match=r"presentation scenes-random-n04-e\S+: the logits are no numbers"):
            extraction_of(4, "cot")
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_a_presentation_whose_texts_do_not_fit_is_named_with_them(extraction_of, monkeypatch):
    monkeypatch.setattr(extraction, "read_batch", lambda *_, **__: torch.empty(2**50, dtype=torch.uint8))
    with pytest.raises(ExtractionError, match=r"one presentation of \d+ tokens and 4 texts of up to 8"):
        extraction_of(4, SAMPLED, evaluation=1)


def test_room_is_left_for_the_caches_of_all_samples(backbone, monkeypatch):
    """Ten texts behind a prompt of 128 tokens end in 10 x (128 + 896) cached tokens, 80 for each of the prompt's."""
    config = backbone.model.config.get_text_config()
    cached = 4 * 2 * config.num_key_value_heads * (config.hidden_size // config.num_attention_heads) * backbone.layers
    alone = 4 * (8 * config.hidden_size + 3 * config.intermediate_size) + cached
    writing = Generation(new_tokens=896, samples=10)
    for room, budget in ((128, 128), (129, 128), (255, 128), (256, 256)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, room=room: 2 * room * alone)
        assert memory.token_budget(backbone) == budget
        monkeypatch.setattr(memory, "free_bytes", lambda device, room=room: 2 * room * (alone + 80 * cached))
        assert memory.token_budget(backbone, writing, 128) == budget


# --- names -----------------------------------------------------------------------------------------------------


def test_the_papers_settings_are_those_of_the_plain_names():
    assert get_probe("cot").generation == Generation(new_tokens=1024)
    assert get_probe("self_consistency").generation == Generation(512, samples=10, temperature=0.7, top_k=40)


def test_settings_can_be_given_in_the_name():
    assert get_probe("cot-tokens64").generation == Generation(new_tokens=64)
    named = get_probe("self_consistency-samples3-tokens64-temperature0.5-topk20")
    assert named.generation == Generation(new_tokens=64, samples=3, temperature=0.5, top_k=20)
    assert named.text(4, "a dog") == PROBES["self_consistency"].text(4, "a dog")


@pytest.mark.parametrize(
    "name", ["cot-samples3", "cot-tokens", "cot-", "self_consistency-tokens64-samples3", "roman-x"]
)
def test_a_setting_that_a_probe_does_not_have_is_refused(name):
    with pytest.raises(ValueError, match=f"unknown probe '{name}'; known: vanilla"):
        get_probe(name)


@pytest.mark.parametrize("name", ["cot-tokens0", "self_consistency-samples0", "self_consistency-temperature0"])
def test_an_impossible_setting_is_refused(name):
    with pytest.raises(ValueError, match=f"probe '{name}': samples, tokens and topk are at least 1"):
        get_probe(name)


def test_the_texts_keep_their_contract_on_disk(sampled, tmp_path):
    parquet.write(sampled.generations, tmp_path / "generations.parquet", contracts.GENERATIONS, sampled.metadata)
    assert parquet.read(tmp_path / "generations.parquet", contracts.GENERATIONS).equals(sampled.generations)
