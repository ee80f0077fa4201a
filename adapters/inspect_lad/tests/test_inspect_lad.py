"""The extension in real evaluations: a model that leans to the first positions, and knows something, is asked.

The model is written here, so that its bias is known; inspect_ai, the logs and lad are the real ones.
"""

import hashlib
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

inspect_ai = pytest.importorskip("inspect_ai", reason="inspect_ai is not installed: pip install ./adapters/inspect_lad")

from inspect_ai import Task  # noqa: E402
from inspect_ai import eval as evaluate_tasks  # noqa: E402
from inspect_ai.dataset import MemoryDataset, Sample  # noqa: E402
from inspect_ai.model import (  # noqa: E402
    ChatCompletionChoice,
    ChatMessageAssistant,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    TopLogprob,
    get_model,
    modelapi,
)
from inspect_ai.scorer import choice  # noqa: E402
from inspect_ai.solver import multiple_choice  # noqa: E402
from inspect_lad import choose, in_orders, position_bias  # noqa: E402

from lad import contracts, parquet  # noqa: E402
from lad.evaluation.metrics import evaluate  # noqa: E402
from lad.logs import LogError, deal_calibration, parse_log, signals_of  # noqa: E402
from lad.methods import score  # noqa: E402

LEAN = (1.8, 0.4, 0.0, -0.6)
QUESTIONS = 32
EPOCHS = 4


def noise(*key: object) -> float:
    """A normal draw that follows from the key."""
    digits = hashlib.sha256(repr(key).encode()).digest()
    first, second = (int.from_bytes(part) / 2**64 for part in (digits[:8], digits[8:16]))
    return math.sqrt(-2 * math.log(first + 1e-12)) * math.cos(2 * math.pi * second)


@modelapi("leaning")
class Leaning(ModelAPI):
    """A model that finds the largest number, but for noise and its lean; it answers `prefix` and a letter."""

    def __init__(self, model_name, *, prefix: str = "", logprobs: bool = True, told: int = 20, **others):
        super().__init__(model_name)
        self.prefix, self.logprobs, self.told = prefix, logprobs, told

    async def count_text_tokens(self, text: str) -> int:
        return len(text) // 4  # inspect_ai's own count asks the network for a vocabulary

    async def generate(self, input, tools, tool_choice, config) -> ModelOutput:
        options = re.findall(r"^([A-D])\) (\d+)$", input[-1].text, re.MULTILINE)
        numbers = [int(number) for _, number in options]
        scores = [
            lean + 1.2 * (number == max(numbers)) + 0.5 * noise(numbers, number)
            for lean, number in zip(LEAN, numbers, strict=True)
        ]
        total = math.log(sum(map(math.exp, scores)))
        ranked = sorted(((s - total, letter) for s, (letter, _) in zip(scores, options, strict=True)), reverse=True)
        top = [TopLogprob(token=f" {letter}", logprob=value) for value, letter in ranked[: self.told]]
        content = [Logprob(token=token, logprob=-0.1) for token in re.findall(r"\w+|\W", self.prefix)]
        content.append(Logprob(token=top[0].token, logprob=top[0].logprob, top_logprobs=top))
        return ModelOutput(
            model="leaning",
            choices=[
                ChatCompletionChoice(
                    message=ChatMessageAssistant(content=self.prefix + ranked[0][1]),
                    stop_reason="stop",
                    logprobs=Logprobs(content=content) if self.logprobs and config.logprobs else None,
                )
            ],
        )


def leaning_model(prefix: str = "", **behaviour):
    return get_model("leaning/model", prefix=prefix, memoize=False, **behaviour)


def questions(count: int = QUESTIONS) -> MemoryDataset:
    samples = []
    for at in range(count):
        numbers = [10 + (37 * at + 11 * k) % 83 for k in range(4)]
        target = "ABCD"[numbers.index(max(numbers))]
        samples.append(
            Sample(id=f"q{at:02d}", input="Which is largest?", choices=list(map(str, numbers)), target=target)
        )
    return MemoryDataset(samples)


def run(tmp_path: Path, model, solvers, scorer=None, epochs: int = EPOCHS, dataset=None, **config):
    task = Task(dataset=dataset or questions(), solver=solvers, scorer=scorer or position_bias(), epochs=epochs)
    [log] = evaluate_tasks(task, model=model, log_dir=str(tmp_path), display="none", max_retries=0, **config)
    assert log.status == "success", log.error
    return log


def metrics_of(log) -> dict[str, float]:
    return {name: each.value for part in log.results.scores for name, each in part.metrics.items()}


def read(log):
    return signals_of(parse_log("inspect", {}).read(Path(log.location.removeprefix("file://")))).signals


@pytest.fixture(scope="module")
def leaning(tmp_path_factory):
    return run(tmp_path_factory.mktemp("leaning"), leaning_model(), [in_orders(), choose()])


def test_the_metrics_are_those_that_lad_computes_from_the_log(leaning):
    signals = read(leaning)
    predictions = score(signals, None, "vanilla")
    told = {(r["metric"], r["target_position"], r["position"]): r["value"] for r in evaluate(predictions).to_pylist()}
    found = metrics_of(leaning)
    assert found["accuracy"] == pytest.approx(told["accuracy", None, None] / 100)
    assert found["flip_rate"] == pytest.approx(1 - told["consistency", None, None] / 100)
    for at in (1, 2, 3, 4):
        assert found[f"recall_{at}"] == pytest.approx(told["recall", at, None] / 100)
        assert found[f"selection_rate_{at}"] == pytest.approx(told["selection_rate", None, at] / 100)


def test_the_planted_lean_is_measured_and_corrected(leaning):
    found = metrics_of(leaning)
    shares = [found[f"selection_rate_{at}"] for at in (1, 2, 3, 4)]
    assert shares == sorted(shares, reverse=True)
    assert found["recall_1"] > found["recall_4"] + 0.5
    assert found["cramers_v"] > 0.4
    assert found["corrected_pride"] > found["corrected_vanilla"] + 0.2
    assert found["corrected_permutation_average"] > found["corrected_vanilla"] + 0.2


def test_chi_squared_is_pearson_s(leaning):
    stats = pytest.importorskip("scipy.stats")
    counts = np.bincount(score(read(leaning), None, "vanilla")["position"], minlength=5)[1:]
    expected = stats.chisquare(counts).statistic
    found = metrics_of(leaning)
    assert found["chi_squared"] == pytest.approx(expected)
    assert found["cramers_v"] == pytest.approx(math.sqrt(expected / (counts.sum() * 3)))


def test_each_choice_stands_once_at_each_position(leaning):
    for question in {sample.id for sample in leaning.samples}:
        orders = [s.metadata["lad_order"] for s in leaning.samples if s.id == question]
        assert all(sorted(column) == [1, 2, 3, 4] for column in zip(*orders, strict=True))


def test_the_log_has_the_log_probabilities_of_the_model(leaning):
    samples = {(sample.id, sample.epoch): sample for sample in leaning.samples}
    for row in read(leaning).to_pylist():
        sample = samples[row["question_id"], row["round"] + 1]
        numbers = [int(sample.choices[candidate - 1]) for candidate in sample.metadata["lad_order"]]
        scores = np.array(
            [
                lean + 1.2 * (number == max(numbers)) + 0.5 * noise(numbers, number)
                for lean, number in zip(LEAN, numbers, strict=True)
            ]
        )
        np.testing.assert_allclose(np.exp(row["candidate_logprobs"]), np.exp(scores) / np.exp(scores).sum(), rtol=1e-4)
        assert numbers[row["target_position"] - 1] == max(numbers)


def test_a_task_with_multiple_choice_needs_only_the_orders(tmp_path, leaning):
    """inspect_ai's own solver and scorer: the letter stands behind "ANSWER:", its token is found there."""
    model = leaning_model("ANSWER: ")
    asked = {"logprobs": True, "top_logprobs": 20}
    own = run(tmp_path / "own", model, [in_orders(), multiple_choice()], **asked)
    assert metrics_of(own) == pytest.approx(metrics_of(leaning), nan_ok=True)
    standard = run(tmp_path / "standard", model, [in_orders(), multiple_choice()], choice(), **asked)
    assert metrics_of(standard)["accuracy"] == pytest.approx(metrics_of(leaning)["accuracy"])
    assert read(standard).equals(read(own))


def test_without_log_probabilities_votes_are_left(tmp_path, leaning):
    log = run(tmp_path, leaning_model(logprobs=False), [in_orders(), choose()])
    found, known = metrics_of(log), metrics_of(leaning)
    assert math.isnan(found["corrected_pride"])
    assert found["corrected_vanilla"] == known["corrected_vanilla"]
    signals = read(log)
    assert signals["candidate_logprobs"].null_count == EPOCHS * QUESTIONS
    _, rest = deal_calibration(signals, 20)
    votes = score(rest, None, "majority_vote")["correct"].to_pylist()
    assert found["corrected_majority_vote"] == pytest.approx(np.mean(votes))


def test_letters_that_are_not_among_the_most_probable_are_null_until_a_floor_is_given(tmp_path):
    log = run(tmp_path, leaning_model(told=2), [in_orders(), choose()], dataset=questions(4))
    shown = parse_log("inspect", {}).read(Path(log.location.removeprefix("file://")))
    assert all(one.logprobs.count(None) == 2 for one in shown)
    assert signals_of(shown).signals["candidate_logprobs"].null_count == len(shown)
    assert signals_of(shown, floor=-9.0).metadata["values_at_floor"] == 2 * len(shown)


def test_too_few_questions_to_calibrate_on_are_no_number(tmp_path):
    log = run(tmp_path, leaning_model(), [in_orders(), choose()], dataset=questions(8))
    assert all(math.isnan(value) for name, value in metrics_of(log).items() if name.startswith("corrected"))
    assert metrics_of(log)["accuracy"] > 0


def test_random_orders_are_those_of_fewer_epochs_and_more(tmp_path):
    logs = [
        run(tmp_path / str(epochs), leaning_model(), [in_orders("random"), choose()], None, epochs, questions(3))
        for epochs in (2, 5)
    ]
    few, many = ({(s.id, s.epoch): s.metadata["lad_order"] for s in log.samples} for log in logs)
    assert few.items() <= many.items()
    assert len({tuple(order) for (question, _), order in many.items() if question == "q00"}) == 5


def test_a_shuffled_dataset_is_read_as_it_was_shown(tmp_path):
    dataset = questions(5)
    dataset.shuffle_choices(seed=1)
    log = run(tmp_path, leaning_model("ANSWER: "), [multiple_choice()], choice(), 1, dataset)
    plain = run(tmp_path, leaning_model("ANSWER: "), [multiple_choice()], choice(), 1, questions(5))
    shown = [one for each in (plain, log) for one in parse_log("inspect", {}).read(Path(each.location))]
    signals = signals_of(shown).signals
    assert signals["round"].to_pylist() == 5 * [0] + 5 * [1]
    orders = signals["order"].to_pylist()
    assert any(before != after for before, after in zip(orders[:5], orders[5:], strict=True))


def test_a_log_that_hides_its_order_is_refused(tmp_path):
    log = run(tmp_path, leaning_model("ANSWER: "), [multiple_choice(shuffle=True)], choice(), 1)
    with pytest.raises(LogError, match=r"sample q\d\d epoch 1 was shuffled by the option shuffle"):
        read(log)


def test_files_that_are_no_logs_are_refused(tmp_path):
    (tmp_path / "x.eval").write_bytes(b"PK")
    with pytest.raises(LogError, match=r"x.eval: not a readable log of inspect_ai"):
        parse_log("inspect", {}).read(tmp_path / "x.eval")


def test_the_command_reads_the_log(tmp_path, leaning):
    out, aside = tmp_path / "out.parquet", tmp_path / "aside.parquet"
    asked = ["--format", "inspect", "--log", leaning.location.removeprefix("file://"), "--out", str(out)]
    asked += ["--calibration", "10", "--calibration-out", str(aside)]
    subprocess.run([sys.executable, "-m", "lad", "import", *asked], check=True)
    assert len(parquet.read(out, contracts.SIGNALS)) == (QUESTIONS - 10) * EPOCHS
    assert len(parquet.read(aside, contracts.SIGNALS)) == 10 * EPOCHS
