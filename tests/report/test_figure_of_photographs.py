"""Figure 7 of real photographs: every caption is whole, and nothing overlaps or is cut off."""

from itertools import combinations, pairwise
from pathlib import Path

import matplotlib.style
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from lad import contracts, parquet
from lad.benchmark.formats.coco import read_images
from lad.benchmark.presentations import build_presentations
from lad.benchmark.questions import build_questions
from lad.catalog import RELATIONS
from lad.grid import CalibrationSource
from lad.report.artifacts import fig7
from lad.report.drawing import draw
from lad.report.results import opened
from lad.report.style import STYLE_SHEET

METHODS = ("vanilla", "purified_attention", "agd")
ANSWERED_RIGHT = [(False, True, True), (True, True, True), (False, False, False), (True, False, False)]
"""By which methods, one question after the other: each kind of question in turn."""


@pytest.fixture(scope="module")
def results(photographs, tmp_path_factory) -> Path:
    """A question for each of the five photographs of longest captions, and made-up answers: all of them are shown."""
    folder = tmp_path_factory.mktemp("results")
    annotations = photographs / "captions_val2014_subset.json"
    images = read_images(annotations, photographs / "images", caption_policy="longest")
    wordy = sorted(images.to_pylist(), key=lambda row: len(row["caption"]))[-5:]
    images = parquet.from_rows(wordy, contracts.IMAGES)
    options = {"dataset": "coco", "setting": "random", "n": 4, "evaluation": 5, "calibration": 0, "seed": 3}
    questions = build_questions(images, **options)
    presentations = build_presentations(questions, "evaluation", rounds=1, seed=0)
    keys = {"dataset": "coco", "setting": "random", "n": 4}
    calibrated = {
        "model": "m",
        **keys,
        "probe": "vanilla",
        **CalibrationSource("coco", "random").keys,
        "calibration_questions": 5,
    }
    written = {
        "images": (images, {"dataset": "coco"}),
        "questions": (questions, keys),
        "presentations": (presentations, {**keys, "split": "evaluation"}),
        "predictions": (answers(presentations), calibrated),
    }
    for name, (table, partition) in written.items():
        parquet.write(table, RELATIONS[name].path(folder, **partition), RELATIONS[name].contract)
    return folder


def answers(presentations: pa.Table) -> pa.Table:
    rows = []
    for k, shown in enumerate(presentations.to_pylist()):
        right = dict(zip(METHODS, ANSWERED_RIGHT[k % 4], strict=True))
        for method in METHODS:
            target = shown["target_position"]
            position = target if right[method] else target % 4 + 1
            rows.append(
                {
                    **{name: shown[name] for name in ("presentation_id", "question_id", "round", "n_candidates")},
                    **{"method": method, "variant": "", "position": position, "target_position": target},
                    **{"candidate": shown["order"][position - 1], "correct": right[method]},
                }
            )
    return parquet.from_rows(rows, contracts.PREDICTIONS)


@pytest.fixture(scope="module")
def options(photographs) -> dict:
    where = {"model": "m", "dataset": "coco", "setting": "random", "images": photographs / "images"}
    return where | {"label": "made-up answers"}


@pytest.fixture(scope="module")
def figure(results, options):
    chosen = fig7.Options.read(options)
    with opened(results, lambda available: fig7.needs(available, chosen)) as needed:
        with matplotlib.style.context(STYLE_SHEET):
            drawn = fig7.draw(needed, chosen).figure
        FigureCanvasAgg(drawn).draw()
        # What follows asks where things are: laid out once more, the figure would move.
        drawn.set_layout_engine("none")
        yield drawn


def test_every_kind_is_shown_by_its_photographs_in_their_own_proportions(figure, results, photographs):
    assert len(figure.axes) == 5 * (1 + 4)
    sizes = {Image.open(path).size for path in (photographs / "images").iterdir()}
    for line in range(5):
        for axes in figure.axes[5 * line + 1 : 5 * line + 5]:
            height, width, channels = axes.images[0].get_array().shape
            assert channels == 3
            assert max(width, height) == 336
            assert any(abs(width / height - w / h) < 0.01 for w, h in sizes)


def test_captions_are_whole_however_long(figure, results):
    captions = parquet.read(results / "images" / "dataset=coco" / "images.parquet", contracts.IMAGES)[
        "caption"
    ].to_pylist()
    written = {" ".join(figure.axes[5 * line].texts[0].get_text().split()) for line in range(5)}
    assert written == {f"“{' '.join(caption.split())}”" for caption in captions}
    assert max(map(len, written)) > 200


def extents(figure) -> dict[Text, object]:
    """Where each piece of text is, in pixels, frames included."""
    renderer = figure.canvas.get_renderer()
    found = {}
    for axes in figure.axes:
        for text in (*axes.texts, axes.title):
            if text.get_text():
                patch = text.get_bbox_patch()
                found[text] = (patch or text).get_window_extent(renderer)
    return found


def test_no_text_lies_on_another(figure):
    for (one, a), (other, b) in combinations(extents(figure).items(), 2):
        overlap = np.minimum(a.max, b.max) - np.maximum(a.min, b.min)
        assert overlap.min() <= 1, f"{one.get_text()!r} and {other.get_text()!r}"


def test_no_caption_reaches_into_a_photograph(figure):
    for line in range(5):
        caption, *photographs = figure.axes[5 * line : 5 * line + 5]
        right = max(box.x1 for text, box in extents(figure).items() if text.axes is caption)
        assert right < photographs[0].get_window_extent().x0
        for one, next_one in pairwise(photographs):
            assert one.get_window_extent().x1 < next_one.get_window_extent().x0


def test_nothing_is_cut_off_at_the_edge_of_the_file(results, options, tmp_path):
    draw("fig7", results, options, tmp_path)
    with Image.open(tmp_path / "fig7.png") as image:
        grey = np.asarray(image.convert("L"))
    assert grey.shape[1] == 1380
    for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]):
        assert (edge == 255).all()
