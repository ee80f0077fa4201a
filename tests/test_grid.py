"""What a configuration asks for."""

import copy
from pathlib import Path

import pytest
import yaml

from lad.config import Configuration, parse_configuration
from lad.grid import Benchmark, CalibrationSource, Cell, Scoring, build_grid, presentations, shard_count

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config" / "config.yaml").read_text())
CELL = Cell("demo", "scenes", "random", 4, "vanilla")


def raw(*runs: dict) -> dict:
    run = {"models": ["demo"], "datasets": ["scenes"], "settings": ["random"], "n": [4], "probes": ["vanilla"]}
    return {**copy.deepcopy(CONFIG), "runs": [{**run, **changes} for changes in runs]}


def config(*runs: dict) -> Configuration:
    return parse_configuration(raw(*runs))


def test_a_run_is_a_cross_product():
    grid = build_grid(config({"settings": ["random", "adversarial"], "n": [2, 3, 4], "methods": ["vanilla"]}))
    assert len(grid.cells) == 6
    assert grid.signals == [(cell, "evaluation") for cell in grid.cells]


def test_runs_that_meet_in_a_cell_add_up_without_repeating_a_method():
    grid = build_grid(config({"methods": ["vanilla", "agd"]}, {"methods": ["agd", "agd;k=1"]}))
    assert grid.methods == {Scoring(CELL, CalibrationSource("scenes", "random"), 5): ("vanilla", "agd", "agd;k=1")}


def test_two_spellings_of_a_method_are_one():
    grid = build_grid(config({"methods": ["agd;prior=no;k=1"]}, {"methods": [" agd;k=1;prior=no"]}))
    assert grid.methods == {Scoring(CELL, CalibrationSource("scenes", "random"), 5): ("agd;k=1;prior=no",)}


def test_methods_decide_which_splits_are_extracted():
    only = build_grid(config({"methods": ["vanilla"]}))
    assert only.signals == [(CELL, "evaluation")]
    assert only.calibration_questions == {Benchmark("scenes", "random", 4): 0}
    shifts = build_grid(config({"methods": ["permutation_average"]}))
    assert shifts.signals == [(CELL, "symmetrized")]
    fitted = build_grid(config({"methods": ["agd"]}))
    assert fitted.signals == [(CELL, "calibration"), (CELL, "evaluation")]


def test_a_benchmark_provides_the_largest_calibration_that_any_run_needs():
    grid = build_grid(config({"methods": ["agd"], "calibration_questions": [1, 50]}, {"methods": ["agd"]}))
    assert grid.calibration_questions == {Benchmark("scenes", "random", 4): 50}
    assert {scoring.calibration_questions for scoring in grid.methods} == {1, 5, 50}


def test_calibration_elsewhere_extracts_the_calibration_questions_there():
    grid = build_grid(config({"methods": ["agd"], "calibrated_on": [{"setting": "adversarial"}]}))
    there = Cell("demo", "scenes", "adversarial", 4, "vanilla")
    assert grid.calibrations == {(there, "calibration"): 5}
    assert grid.signals == [(there, "calibration"), (CELL, "evaluation")]


def test_calibration_on_evaluation_questions_asks_the_first_of_them_in_cyclic_shifts_and_none_besides():
    """As the released code does: no calibration questions are needed then."""
    grid = build_grid(config({"methods": ["agd"], "calibrated_on": [{"split": "symmetrized"}]}))
    assert grid.signals == [(CELL, "evaluation"), (CELL, "symmetrized")]
    assert grid.first_questions(CELL, "symmetrized") == 5
    assert grid.first_questions(CELL, "evaluation") is None
    assert grid.calibration_questions == {Benchmark("scenes", "random", 4): 0}


def test_sets_of_calibration_questions_follow_upon_each_other():
    grid = build_grid(config({"methods": ["agd"], "calibration_sets": 3, "calibration_questions": [4]}))
    sources = [CalibrationSource("scenes", "random", set=number) for number in (1, 2, 3)]
    assert [scoring.source for scoring in grid.methods] == sources
    assert grid.calibrations == {(CELL, "calibration"): 12}
    assert grid.calibration_questions == {Benchmark("scenes", "random", 4): 12}


def test_a_split_that_a_method_answers_is_asked_whole_even_if_calibration_needs_but_its_beginning():
    grid = build_grid(
        config({"methods": ["agd"], "calibrated_on": [{"split": "symmetrized"}]}, {"methods": ["permutation_average"]})
    )
    assert grid.first_questions(CELL, "symmetrized") is None


def test_options_decide_which_orders_are_averaged_over():
    grid = build_grid(config({"methods": ["permutation_average;orders=random"]}))
    assert grid.signals == [(CELL, "permuted")]


def test_a_method_that_listens_to_heads_keeps_them_where_it_is_calibrated_and_where_it_answers():
    run = {"methods": ["retrieval_heads"], "calibrated_on": [{"setting": "adversarial"}]}
    there = Cell("demo", "scenes", "adversarial", 4, "vanilla")
    others = {"methods": ["agd", "permutation_average;orders=random"]}
    assert build_grid(config(run, others)).kept == {(CELL, "evaluation"): {"heads"}, (there, "calibration"): {"heads"}}


def test_a_question_without_content_is_asked_where_a_method_needs_it():
    grid = build_grid(config({"methods": ["contextual_calibration"]}))
    assert grid.signals == [(CELL, "content_free"), (CELL, "evaluation")]


def test_every_formulation_that_a_method_asks_for_is_fitted():
    grid = build_grid(config({"methods": ["agd", "agd;formulation=printed+mixture=logs", "pride"]}))
    assert grid.formulations == {CELL: ["printed", "printed+mixture=logs"]}


def test_the_settings_of_a_dataset_with_questions_of_its_own_are_its_tasks():
    grid = build_grid(config({"datasets": ["tasks"], "settings": ["q_bench+", "b"], "methods": ["agd"]}))
    assert grid.settings("tasks") == ["b", "q_bench+"]
    assert grid.settings("scenes") == []
    assert {scoring.calibration_cell for scoring in grid.methods} == set(grid.cells)


def test_methods_that_read_texts_need_a_probe_that_has_them_written():
    grid = build_grid(config({"probes": ["cot-tokens8"], "methods": ["cot"]}, {"methods": ["vanilla"]}))
    assert grid.generating_probes == ["cot-tokens8"]
    assert [grid.needs_generations(scoring) for scoring in grid.methods] == [True, False]


def test_a_method_as_a_mapping_is_the_same_as_its_short_form():
    mappings = [{"method": "agd", "top_k": 4, "prior": False}, {"method": "vanilla"}]
    assert build_grid(config({"methods": mappings})) == build_grid(config({"methods": ["agd;k=4;prior=no", "vanilla"]}))


EVERY_SPLIT = {
    "n": [2, 4],
    "methods": ["agd", "permutation_average", "permutation_average;orders=random", "contextual_calibration"],
}


def test_how_many_presentations_a_split_has_is_known_beforehand():
    """5 calibration and 160 evaluation questions; of two candidates there are but two orders."""
    configured = config(EVERY_SPLIT)
    grid = build_grid(configured)
    counted = {(cell.n, split): presentations(grid, cell, split, configured) for cell, split in grid.signals}
    assert counted == {
        **{(2, "calibration"): (5, 2), (2, "evaluation"): (160, 2), (2, "symmetrized"): (160, 2)},
        **{(2, "permuted"): (160, 2), (2, "content_free"): (1, 1)},
        **{(4, "calibration"): (5, 4), (4, "evaluation"): (160, 5), (4, "symmetrized"): (160, 4)},
        **{(4, "permuted"): (160, 16), (4, "content_free"): (1, 1)},
    }


def test_a_split_of_which_calibration_needs_the_beginning_has_only_that_many():
    configured = config({"methods": ["agd"], "calibrated_on": [{"split": "symmetrized"}]})
    assert presentations(build_grid(configured), CELL, "symmetrized", configured) == (5, 4)


@pytest.mark.parametrize(
    ("size", "shards"),
    [(None, 1), (10_000, 1), (800, 1), (799, 2), (100, 8), (5, 160), (1, 160)],
)
def test_a_split_is_cut_into_shards_of_about_the_size_but_not_into_less_than_questions(size, shards):
    """160 questions in 5 orders: 800 presentations."""
    given = raw({"methods": ["vanilla"]})
    if size:
        given["extraction"]["shard_size"] = size
    configured = parse_configuration(given)
    assert shard_count(build_grid(configured), CELL, "evaluation", configured) == shards


def test_a_task_whose_number_of_questions_is_not_known_beforehand_is_one_shard():
    given = raw({"datasets": ["tasks"], "settings": ["scene_pairs"], "n": [2], "methods": ["vanilla"]})
    given["extraction"]["shard_size"] = 1
    configured = parse_configuration(given)
    ((cell, split),) = build_grid(configured).signals
    assert shard_count(build_grid(configured), cell, split, configured) == 1


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"models": ["demmo"]}, r"run 1: unknown model 'demmo' \(did you mean 'demo'\?\); known: demo, demo-unplanted"),
        ({"datasets": ["coco"]}, "run 1: unknown dataset 'coco'; known: scenes, tasks"),
        ({"probes": ["vanila"]}, "run 1: unknown probe 'vanila'; known: vanilla, instruction"),
        ({"methods": ["adg"]}, r"run 1.methods: unknown method 'adg' \(did you mean 'agd'\?\); known: vanilla"),
        (
            {"methods": [{"method": "agd", "topk": 3}]},
            r"run 1.methods: \{method: agd, topk: 3\}: agd has no option 'topk' \(did you mean 'top_k'\?\); it has",
        ),
        ({"methods": ["vanilla", "cot"]}, "run 1: cot needs generated texts and probe vanilla has none"),
        ({"methods": ["vanilla;k=3"]}, "run 1.methods: .*vanilla has no option 'k'"),
        (
            {"datasets": ["tasks", "plain"], "settings": ["adversarial"]},
            r"run 1: setting adversarial chooses hard negatives by embeddings, and dataset plain has none; give it",
        ),
        ({"datasets": ["plain"], "calibrated_on": [{"setting": "adversarial"}]}, "run 1: .* dataset plain has none"),
        (
            {"settings": ["scene_pairs"]},
            "run 1: unknown setting of dataset scenes 'scene_pairs'; known: random, adversarial",
        ),
        (
            {"calibrated_on": [{"setting": "hard"}]},
            "run 1: unknown setting of calibrated_on 'hard'; known: random, adversarial",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_those_that_do(run, message):
    given = raw(run)
    if "plain" in run.get("datasets", ()):
        given["datasets"]["plain"] = {"captions": "captions.json", "images": "images"}
    with pytest.raises(ValueError, match=message):
        build_grid(parse_configuration(given))


def test_a_bundle_holds_hard_negatives_that_nothing_has_to_choose():
    given = raw({"settings": ["adversarial"], "methods": ["vanilla"]})
    given["datasets"]["scenes"] = {"captions": "none.json", "images": "none"}
    with pytest.raises(ValueError, match="dataset scenes has none"):
        build_grid(parse_configuration(given))
    assert build_grid(parse_configuration({**given, "bundle": "signals.tar"})).settings("scenes") == ["adversarial"]


def test_scorings_with_the_same_methods_share_what_was_parsed_of_them():
    """Thousands of scorings have the same few methods: parsing them each time shows in a large dry run."""
    grid = build_grid(config({"n": [2, 3, 4]}, {"n": [5], "methods": ["agd;k=1"]}))
    two, three, four, five = (grid.parsed(scoring) for scoring in grid.methods)
    assert two is three is four
    assert [(method.name, options.top_k) for method, options in five] == [("agd", 1)]
