"""What an artifact needs is said once: the plan, the workflow and the drawing agree on it."""

import copy
from pathlib import Path

import pytest
import yaml

from lad import catalog
from lad.config import parse_configuration
from lad.grid import CalibrationSource, Cell, Scoring, build_grid
from lad.report.artifact import ArtifactError
from lad.report.artifacts import ARTIFACTS
from lad.report.needs import Condition, Needs
from lad.report.options import ArtifactOptions, options_of
from lad.report.planned import configured_options, headline_needs, planned_needs
from lad.report.results import opened

ROOT = Path(__file__).parents[2]
DEMO = parse_configuration(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
RESULTS = Path("results")


@pytest.fixture(scope="module")
def planned() -> dict[str, Needs]:
    """Of the demo's report."""
    return planned_needs(DEMO, build_grid(DEMO))


def scoring(
    setting: str, n: int, probe: str = "vanilla", *, calibrated_on: str = "", questions: int = 5, **source
) -> Scoring:
    cell = Cell("demo", "scenes", setting, n, probe)
    return Scoring(cell, CalibrationSource("scenes", calibrated_on or setting, **source), questions)


def shown_by(planned: dict[str, Needs], relation: str, scoring: Scoring) -> set[str]:
    """The artifacts whose drawing reads a scoring's table."""
    file = catalog.RELATIONS[relation].path(RESULTS, **scoring.keys)
    return {name for name, needs in planned.items() if file in needs.files(RESULTS).get(relation, [])}


@pytest.mark.parametrize(
    ("cell", "artifacts"),
    [
        (scoring("random", 3), {"fig5"}),
        (scoring("random", 4, "roman"), {"fig8"}),
        (scoring("random", 8, "sofa-sigma0.3"), {"fig_sofa"}),
        (scoring("random", 4, "instruction"), {"table1", "published"}),
        (scoring("adversarial", 8, "sofa"), {"table8", "published"}),
        (scoring("adversarial", 4, set=7), {"table_calibration_sets"}),
        (scoring("adversarial", 8, questions=20), {"fig6"}),
        (scoring("adversarial", 8, split="symmetrized"), {"table_divergences"}),
        (scoring("random", 4, calibrated_on="adversarial"), {"table3", "published"}),
        (
            scoring("random", 8),
            {"fig1", "fig5", "fig_heads", "fig_layers", "fig_sofa", "fig_passes"}
            | {"table6", "table7", "table8", "table_baselines", "table_position_tests", "published"},
        ),
    ],
)
def test_a_cell_is_shown_by_these_artifacts_and_by_no_others(planned, cell, artifacts):
    assert shown_by(planned, "metrics", cell) == artifacts


def test_answers_and_comparisons_are_read_by_the_artifacts_that_show_them(planned):
    assert shown_by(planned, "predictions", scoring("random", 8)) == {"fig3", "table2"}
    assert shown_by(planned, "predictions", scoring("adversarial", 4)) == {"fig7"}
    assert shown_by(planned, "comparisons", scoring("random", 4, "instruction")) == {"table1"}
    assert shown_by(planned, "comparisons", scoring("adversarial", 8, split="symmetrized")) == {"table_divergences"}
    assert not shown_by(planned, "comparisons", scoring("random", 8))
    assert not any("comparisons" in planned[name].files(RESULTS) for name in ("fig1", "fig5", "fig6", "table2"))


def test_all_that_the_demo_plans_to_need_it_plans_to_make(planned):
    grid = build_grid(DEMO)
    made = {"metrics": set(grid.methods), "differences": set(grid.methods), "predictions": set(grid.methods)}
    made["comparisons"] = {one for one in grid.methods if grid.reference(one)}
    for needs in (*planned.values(), headline_needs(DEMO, grid)):
        files = needs.files(RESULTS)
        for relation, scorings in made.items():
            known = {catalog.RELATIONS[relation].path(RESULTS, **one.keys) for one in scorings}
            assert set(files.get(relation, [])) <= known


def test_the_first_lines_are_about_every_n_and_setting_of_the_first_artifacts_model():
    shown = headline_needs(DEMO, build_grid(DEMO)).scores
    assert {(condition.n, condition.setting) for condition in shown} == {
        (n, setting) for n in range(2, 13) for setting in ("random", "adversarial")
    }
    assert {condition.probe for condition in shown} == {"vanilla"}


def test_the_photographs_of_figure_7_are_those_of_the_dataset_that_it_shows():
    config = copy.deepcopy(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    config["datasets"]["other"] = config["datasets"]["scenes"]
    run = {"models": ["demo"], "settings": ["adversarial"], "n": [4], "probes": ["vanilla"]}
    config["runs"] = [{**run, "datasets": ["scenes", "other"]}]
    config["report"]["artifacts"] = {"fig7": {"dataset": "other"}}
    configured = parse_configuration(config)
    needs = planned_needs(configured, build_grid(configured))["fig7"]
    assert needs.photographs == ("other",)
    assert {file.parts[2] for file in needs.files(RESULTS)["questions"]} == {"dataset=other"}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_is_drawn_from_what_it_needs_alone(results, options, name):
    """The views of its connection hold these files and no others."""
    artifact = ARTIFACTS[name]
    chosen = artifact.options.read(options(name))
    with opened(results, lambda available: artifact.needs(available, chosen)) as needed:
        files = artifact.needs(needed.available, chosen).files(results)
        for relation in ("metrics", "predictions", "comparisons"):
            keys = ", ".join(catalog.RELATIONS[relation].keys)
            ((count,),) = needed.connection.sql(
                f"select count(*) from (select distinct {keys} from {relation})"
            ).fetchall()
            assert count == len(files.get(relation, []))


def test_a_drawing_that_shows_what_its_needs_do_not_name_is_a_mistake_of_its_module(results, options):
    shown = ArtifactOptions.read(options("fig5"))
    agd, pride = (shown.condition(setting="random", n=4, method=method) for method in ("agd", "pride"))
    with opened(results, lambda available: Needs(scores=(agd,))) as needed:
        assert needed.measures.get(agd).value
        for look_up in (
            lambda: needed.measures.get(pride),
            lambda: needed.measures.select([(pride, "accuracy")]),
            lambda: needed.measures.by_position(pride),
            lambda: needed.measures.difference(agd, pride),
        ):
            with pytest.raises(LookupError, match="the artifact shows what its needs do not name"):
                look_up()


def test_the_first_thing_that_results_lack_is_named_with_what_there_is_and_what_produces_it(results, options):
    shown = ArtifactOptions.read(options("fig5"))

    def refused(**keys) -> str:
        condition = shown.condition(**{"setting": "random", "n": 4, "method": "agd", **keys})
        with pytest.raises(ArtifactError) as error, opened(results, lambda available: Needs(scores=(condition,))):
            pass
        return str(error.value)

    assert refused(method="cot").startswith(
        "metrics of model demo on dataset scenes have no cot (setting random, n = 4, probe vanilla, calibrated on 5"
        " questions of scenes-random): there is no method cot, but "
    )
    assert refused(method="cot").endswith("; `lad score --method cot`, then `lad evaluate`, produce it")
    assert "there is no n = 3, but 2, 4, 8; `lad extract`, `lad calibrate` and `lad score --method agd`" in refused(n=3)
    assert "there is no calibration questions = 7, but 1, 5, 10; `lad calibrate` and `lad score" in refused(
        calibration_questions=7
    )


def test_a_lost_table_is_named_with_what_produces_it(edited, options):
    whole = edited(lambda row: row)
    shown = ArtifactOptions.read(options("table8"))
    sofa, agd = (
        shown.condition(setting="random", n=4, **keys)
        for keys in ({"method": "vanilla", "probe": "sofa"}, {"method": "agd"})
    )
    catalog.RELATIONS["comparisons"].path(whole, **sofa.scoring.keys).unlink()
    with (
        pytest.raises(
            ArtifactError, match=r"^comparisons of model demo, .*probe sofa.* are missing; `lad compare` prod"
        ),
        opened(whole, lambda available: Needs(leads=((agd, sofa),))),
    ):
        pass


def test_tables_that_come_and_go_beside_those_that_are_needed_do_no_harm(edited, options, monkeypatch):
    """As when other cells are being scored again meanwhile."""
    whole = edited(lambda row: row)
    fig1 = ARTIFACTS["fig1"]
    chosen = fig1.options.read(options("fig1"))
    (needed,) = fig1.needs(None, chosen).files(whole)["metrics"]

    def read(available):
        for path in whole.glob("metrics/**/*.parquet"):
            if path != needed:
                path.unlink()
        return fig1.needs(available, chosen)

    with opened(whole, read) as results:
        assert results.measures.get(fig1.needs(None, chosen).scores[0]).value


def test_conditions_and_scorings_name_each_other():
    one = scoring("adversarial", 8, "sofa", split="symmetrized", set=3, questions=7)
    condition = Condition.of(one, "agd", "k=4")
    assert condition.scoring == one
    assert condition.specification == "agd;k=4"
    assert str(condition) == (
        "agd;k=4 (setting adversarial, n = 8, probe sofa, calibrated on 7 questions of scenes-adversarial (evaluation"
        " questions) (set 3))"
    )
    assert not one.is_plain
    assert one.plain(5) == scoring("adversarial", 8)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_option_has_a_meaning(name):
    assert all(option.meaning for option in options_of(ARTIFACTS[name].options))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": "four"}, "option n = 'four': expected a number"),
        ({"n": 4.5}, "option n = 4.5: expected a number"),
        ({"setting": ["random"]}, r"option setting = \['random'\]: expected text"),
        ({"probes": ["roman", 2]}, r"option probes = \['roman', 2\]: expected names separated by commas"),
        ({"probes": 2}, "option probes = 2: expected names separated by commas"),
        (
            {"number": 4},
            "unknown option number; known: model, dataset, probe, label, calibration_questions, setting, n,",
        ),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(given, message):
    whole = {"model": "demo", "dataset": "scenes", "label": "x", **given}
    with pytest.raises(ArtifactError, match=message):
        ARTIFACTS["fig8"].options.read(whole)


def test_an_artifact_is_told_what_it_has_options_for():
    told = configured_options(DEMO, "fig6")
    assert told == {
        **{"model": "demo", "dataset": "scenes", "probe": "vanilla", "label": DEMO.label},
        **{"calibration_questions": 5, "temperature": 5.0, "setting": "adversarial"},
    }
