"""Sentences say what the numbers say, in either direction; queries behind figures equal plain loops."""

import json
import re
from collections import defaultdict

import numpy as np
import pytest

from lad import catalog
from lad.grid import CalibrationSource
from lad.report.artifacts import ARTIFACTS, fig2, fig3, fig6
from lad.report.drawing import draw
from lad.report.measures import Difference, Measure
from lad.report.needs import Contest, Needs
from lad.report.results import opened
from lad.report.wording import Pair, comparison, numbers, tally


def sentence(folder, name):
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["sentence"].replace("\u00a0", " ")


def measure(value, half_width=1.0):
    return Measure(value, None, value - half_width, value + half_width)


def paired(value, low, high, where="here"):
    """Two methods whose own intervals overlap widely: only the paired difference can tell them apart."""
    return Pair(where, measure(90 + value, 30), measure(90, 30), Difference(value, low, high))


def set_accuracy(method, value):
    """An edit of metrics that gives one method this accuracy everywhere."""

    def change(row):
        if row["method"] == method and row["metric"] == "accuracy":
            return row | {"value": value, "low": value - 1, "high": value + 1}
        return row

    return change


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (97.0, 90.0, "AGD beats purified attention here (+7.0 points, unpaired)"),
        (91.5, 90.0, "AGD is ahead of purified attention, but not clearly, here (+1.5 points, unpaired)"),
        (90.0, 90.0, "AGD does not beat purified attention here (0.0 points, unpaired)"),
        (90.04, 90.0, "AGD does not beat purified attention here (0.0 points, unpaired)"),
        (83.0, 90.0, "AGD does not beat purified attention here (\u22127.0 points, unpaired)"),
    ],
)
def test_without_a_paired_difference_one_beats_the_other_where_their_intervals_do_not_overlap(ours, theirs, said):
    words = comparison([Pair("here", measure(ours), measure(theirs))], "agd", "purified_attention")
    assert words.replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.7, 0.2, 1.3, "AGD beats purified attention here (+0.7 points, 0.2 to 1.3)"),
        (0.7, 0.04, 1.3, "AGD is ahead of purified attention, but not clearly, here (+0.7 points, 0.0 to 1.3)"),
        (0.4, -0.3, 1.2, "AGD is ahead of purified attention, but not clearly, here (+0.4 points, \u22120.3 to 1.2)"),
        (0.04, -0.04, 0.1, "AGD does not beat purified attention here (0.0 points, 0.0 to 0.1)"),
        (-0.4, -1.2, 0.3, "AGD does not beat purified attention here (\u22120.4 points, \u22121.2 to 0.3)"),
    ],
)
def test_one_beats_the_other_where_the_paired_difference_lies_above_0_and_what_is_printed_bears_it_out(
    value, low, high, said
):
    words = comparison([paired(value, low, high)], "agd", "purified_attention")
    assert words.replace("\u00a0", " ") == said


def test_a_tally_counts_wins_and_losses_and_names_the_worst():
    won, open_, lost = paired(7, 6, 8), paired(1.5, -0.5, 3.5), paired(-7, -8, -6, "at N = 8")
    assert tally([won, lost, open_, won], "agd", "purified_attention").replace("\u00a0", " ") == (
        "AGD beats purified attention in 2 of 4 combinations of N and setting, is ahead, but not clearly, in 1, and"
        " does not beat it in 1; the worst is at N = 8 (\u22127.0 points, \u22128.0 to \u22126.0)"
    )


def test_a_pair_carries_the_difference_of_its_own_cell(results, options):
    chosen = ARTIFACTS["table1"].options.read(options("table1"))
    with catalog.connect(results) as connection:
        (expected,) = connection.execute(
            "select value, low, high from differences where model = 'demo' and n = 4 and setting = 'random' and probe ="
            " 'vanilla' and calibration_setting = 'adversarial'"
            " and calibration_split = 'calibration' and calibration_set = 1 and calibration_questions = 5"
            " and method = 'agd' and"
            " variant = '' and against = 'pride' and against_variant = ''"
        ).fetchall()
    keys = {"setting": "random", "n": 4, "source": CalibrationSource("scenes", "adversarial")}
    contest = Contest("here", *(chosen.condition(**keys, method=method) for method in ("agd", "pride")))
    with opened(results, lambda available: Needs.of([contest])) as needed:
        abroad = Pair.measured(needed.measures, contest)
    assert abroad.difference == Difference(*expected)
    assert abroad.difference.value == pytest.approx(abroad.ours.value - abroad.theirs.value)


@pytest.mark.parametrize(
    "name", ["table1", "table3", "table4", "table6", "table7", "table8", "table_unplanted", "table_baselines"]
)
def test_every_comparison_of_methods_on_the_same_questions_is_paired(drawn, name):
    assert "unpaired" not in sentence(drawn, name)
    assert re.search(r"points, \u2212?[\d.]+ to \u2212?[\d.]+\)", sentence(drawn, name))


def test_numbers_in_a_row_are_a_range_and_others_are_listed():
    assert numbers([2, 3, 4, 5]) == "2 to 5"
    assert numbers([2, 4, 8]) == "2, 4 and 8"
    assert numbers([4, 5]) == "4 and 5"


@pytest.mark.parametrize("name", ["table4", "table7", "table_unplanted"])
@pytest.mark.parametrize(("purified", "said"), [(10.0, "AGD beats"), (100.0, "AGD does not beat")])
def test_where_agd_does_not_beat_purified_attention_the_sentence_says_so(
    edited, options, tmp_path, name, purified, said
):
    draw(name, edited(set_accuracy("purified_attention", purified)), options(name), tmp_path)
    other = {"AGD beats": "AGD does not beat", "AGD does not beat": "AGD beats"}[said]
    assert f"{said} purified attention" in sentence(tmp_path, name)
    assert f"{other} purified attention" not in sentence(tmp_path, name)


def test_where_permutation_averaging_is_better_the_sentence_says_so(edited, options, tmp_path):
    draw("table8", edited(set_accuracy("permutation_average", 100.0)), options("table8"), tmp_path)
    assert "AGD does not beat permutation averaging" in sentence(tmp_path, "table8")


def test_figure_1_names_the_position_that_vanilla_answers_most(results, drawn):
    with catalog.connect(results) as connection:
        rows = connection.execute(
            "select position, target_position from predictions where model = 'demo' and method = 'vanilla' and n = 8"
            " and probe = 'vanilla' and setting = 'random' and calibration_setting = 'random'"
            " and calibration_split = 'calibration' and calibration_set = 1"
            " and calibration_questions = 5"
        ).fetchall()
    counts = np.bincount([position for position, _ in rows], minlength=9)
    favourite, share = int(counts.argmax()), 100 * counts.max() / counts.sum()
    assert f"Vanilla gives {share:.1f} % of its answers to position {favourite} " in sentence(drawn, "fig1")


def read_signals(results, n):
    with catalog.connect(results) as connection:
        return (
            connection.sql(
                "select target_position, identifier_logits, candidate_attention from signals where model = 'demo' and"
                f" setting = 'random' and n = {n} and probe = 'vanilla' and split = 'evaluation'"
                " order by round, presentation_id"
            )
            .to_arrow_table()
            .to_pylist()
        )


def test_figure_2_draws_each_questions_logits_less_their_mean(results, options):
    expected = defaultdict(list)
    for row in read_signals(results, 8):
        logits = np.array(row["identifier_logits"])
        expected[row["target_position"]].append(logits - logits.mean())
    chosen = fig2.Options.read(options("fig2"))
    with opened(results, lambda available: fig2.needs(available, chosen)) as needed:
        rows = needed.ask(fig2.LOGITS_SQL).to_pylist()
    drawn = defaultdict(list)
    for row in rows:
        drawn[row["target_position"]].append(row["logit"])
    for target, profiles in expected.items():
        np.testing.assert_allclose(np.reshape(drawn[target], (-1, 8)), profiles, atol=1e-6)


def test_figure_3_shows_attention_over_the_layers_of_equation_9_and_divided_by_the_prior(results, options):
    n, top_k = 8, 2
    with catalog.connect(results) as connection:
        prior = np.zeros((5, n))
        for layer, position, value in connection.execute(
            "select layer, position, prior from attention_prior where model = 'demo' and setting = 'random' and n = 8"
            " and probe = 'vanilla' and split = 'calibration' and calibration_set = 1 and calibration_questions = 5"
            " and formulation = 'printed' and row = 'last'"
        ).fetchall():
            prior[layer, position - 1] = value
    chosen = fig3.Options.read(options("fig3"))
    with opened(results, lambda available: fig3.needs(available, chosen)) as needed:
        rows = needed.ask(fig3.DIVERGENCE_SQL, temperature=5.0).to_pylist()
    expected = defaultdict(list)
    for row in read_signals(results, n):
        attention = np.array(row["candidate_attention"])
        chosen = np.argsort(-attention.sum(axis=1))[:top_k]
        raw = attention[chosen].mean(axis=0)
        purified = np.exp((np.log(attention[chosen]) - np.log(prior[chosen])).mean(axis=0))
        expected[row["target_position"]].append([100 * raw / raw.sum(), 100 * purified / purified.sum()])
    for row in rows:
        raw, purified = np.mean(expected[row["target_position"]], axis=0)[:, row["position"] - 1]
        assert row["attention"] == pytest.approx(raw, abs=1e-4)
        assert row["purified"] == pytest.approx(purified, abs=1e-4)


def test_figure_3_shows_the_target_position_at_which_the_logits_mislead_most(results, drawn):
    means = np.zeros((8, 8))
    by_target = defaultdict(list)
    for row in read_signals(results, 8):
        by_target[row["target_position"] - 1].append(row["identifier_logits"])
    for target, logits in by_target.items():
        means[target] = np.mean(logits, axis=0)
    excess = [max(np.delete(means[i], i)) - means[i, i] for i in range(8)]
    assert sentence(drawn, "fig3").startswith(f"With the target at position {int(np.argmax(excess)) + 1}, ")


def test_figure_6_takes_the_configured_tau_from_the_row_without_variant(results, options):
    chosen = fig6.Options.read(options("fig6"))
    with opened(results, lambda available: fig6.needs(available, chosen)) as needed:
        agd = [tau for tau, _ in fig6._measured(needed, chosen, 4, "tau", "agd")]
    assert agd == [1.0, 5.0, 9.0]


def test_figure_7_shares_add_up_to_all_questions(drawn):
    shares = [int(word) for word in sentence(drawn, "fig7").replace(";", " ").split() if word.isdigit()][:-1]
    assert sum(shares) == pytest.approx(100, abs=2)
