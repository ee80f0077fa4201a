"""The explorer in a browser: what it lists is what SQL counts, and nothing that it quotes is taken for a program.

The tests drive the Chromium that is installed, without a window, with no network.
"""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
from made_once import made_once

from lad import catalog, contracts, parquet
from lad.catalog import RELATIONS
from lad.report.explorer.page import explorer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome is installed")

DESKTOP = {"width": 1400, "height": 1000}
PHONE = {"width": 390, "height": 844}
CELL = {"model": "demo", "dataset": "scenes", "setting": "random", "n": 8, "probe": "vanilla"}
HOSTILE = (
    "</script><script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 1'>",
    "\"quoted\" & 'quoted' \\ ${window.harmed = 1} `ticked`",
    "\u202eright to left\u202c, \u2066isolated, 🦉 and \u0000-free <b>bold</b>",
)
MANY = 3_000


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser):
    """Opens a file without a network; in the end the console must hold no error, and nothing else was asked for."""
    contexts, said, asked = [], [], []

    def open_page(path, address="", viewport=DESKTOP):
        context = browser.new_context(viewport=viewport, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{path}{address}")
        page.wait_for_selector("#explorer:not([aria-busy])", timeout=60_000)
        page.wait_for_selector("article, .view > p", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert {re.match("[a-z]+:", url)[0] for url in asked} <= {"file:", "data:"}
    assert sum(url.startswith("file:") for url in asked) == len(contexts)


def written(results, out, **settings):
    given = {"calibration_questions": 5, "pictures": "all", "report": "report.html", **settings}
    explorer(results, out / "explorer.html", "A title", "made-up", **given)


@pytest.fixture(scope="module")
def path(few_results, of_all_processes):
    images = {"scenes": few_results / "datasets" / "scenes" / "images"}
    folder = made_once(of_all_processes / "explorer", lambda out: written(few_results, out, image_folders=images))
    return folder / "explorer.html"


@pytest.fixture(scope="module")
def counted(few_results):
    """How many questions of the cell have an order, or every order, in which a condition in SQL holds."""
    with catalog.connect(few_results) as connection:

        def count(condition, having="bool_or(holds)"):
            return connection.execute(
                f"""
                with answers as (
                    select question_id, presentation_id, target_position, {condition} as holds, flips
                    from (
                        select question_id, presentation_id, any_value(target_position) as target_position,
                            bool_and(correct) filter (method = 'vanilla') as vanilla_right,
                            bool_and(correct) filter (method = 'agd') as agd_right,
                            max(candidate) filter (method = 'vanilla') as says,
                            max(position) filter (method = 'vanilla') as answered,
                            max(candidate) filter (method = 'purified_attention') as looks
                        from predictions where n = 8 group by all
                    )
                    join (
                        select question_id, count(distinct candidate) > 1 as flips
                        from predictions where n = 8 and method = 'vanilla' group by all
                    ) using (question_id)
                )
                select count(*) from (select question_id from answers group by question_id having {having})
                """
            ).fetchone()[0]

        yield count


def address(question="", **criteria):
    asked = "&".join(f"{key}={value}" for key, value in criteria.items())
    return f"#{'/'.join([*map(str, CELL.values()), *([question] if question else [])])}{f'?{asked}' if asked else ''}"


def number_of_matches(page):
    return int(page.locator(".status").inner_text().split(" of ")[0].replace(",", ""))


def choose(page, name, value):
    page.locator(f".filters [name={name}]").select_option(value)


def test_it_opens_from_a_file_and_shows_a_question(opened, path):
    page = opened(path)
    assert number_of_matches(page) == 16
    assert page.locator("article .order").count() == 5
    assert page.locator("article .order").first.locator("img.picture").count() == 8
    assert page.locator("header a").get_attribute("href") == "report.html"


@pytest.mark.parametrize(
    ("criteria", "condition"),
    [
        ({"outcome": "wrong"}, "not vanilla_right"),
        ({"outcome": "right"}, "vanilla_right"),
        ({"outcome": "wrong", "otherOutcome": "right"}, "not vanilla_right and agd_right"),
        ({"divergence": "yes"}, "says != looks"),
        ({"outcome": "wrong", "target": "7"}, "not vanilla_right and target_position = 7"),
        ({"answered": "2", "divergence": "no"}, "answered = 2 and says = looks"),
    ],
)
@pytest.mark.parametrize(("every", "having"), [("", "bool_or(holds)"), ("yes", "bool_and(holds)")])
def test_filters_find_the_questions_that_sql_finds(opened, path, counted, criteria, condition, every, having):
    page = opened(path, address())
    for name, value in {**criteria, "every": every}.items():
        choose(page, name, value)
    assert number_of_matches(page) == counted(condition, having)
    assert page.locator(".questions li").count() == counted(condition, having)


@pytest.mark.parametrize(("flips", "having"), [("yes", "bool_and(flips)"), ("no", "not bool_or(flips)")])
def test_questions_whose_answers_flip_between_orders_are_found(opened, path, counted, flips, having):
    page = opened(path, address())
    choose(page, "flips", flips)
    assert number_of_matches(page) == counted("true", having)


def test_a_search_looks_into_captions_and_ids_and_clearing_brings_all_back(opened, path):
    page = opened(path, address())
    page.locator("[name=text]").fill("E00007")
    assert number_of_matches(page) == 1
    assert page.locator("article code").inner_text() == "scenes-random-n08-e00007"
    page.get_by_role("button", name="Clear filters").click()
    assert number_of_matches(page) == 16


@pytest.mark.parametrize("link", ["#scenes-random-n08-e00005", address("scenes-random-n08-e00005", outcome="wrong")])
def test_a_link_leads_to_a_single_question(opened, path, link):
    page = opened(path, link)
    assert page.locator("article code").inner_text() == "scenes-random-n08-e00005"
    assert page.locator("select[name=outcome]").input_value() == ("wrong" if "?" in link else "")


def test_a_link_to_nothing_says_so(opened, path):
    page = opened(path, "#no-such-question")
    assert "The address names no question of this page." in page.locator(".status").inner_text()


def test_the_address_follows_and_going_back_goes_back(opened, path):
    page = opened(path, address())
    choose(page, "outcome", "wrong")
    first = page.locator("article code").inner_text()
    page.locator(".toolbar").get_by_role("button", name="Next ›").click()
    page.wait_for_function(f"document.querySelector('article code').textContent !== '{first}'")
    assert "?outcome=wrong" in page.url
    page.go_back()
    page.wait_for_function(f"document.querySelector('article code').textContent === '{first}'")


def test_keys_lead_through_the_questions(opened, path):
    page = opened(path, address())

    def at(number):
        page.wait_for_function(f"document.querySelector('article code').textContent.endsWith('e{number:05d}')")

    at(0)
    for key, number in (("j", 1), ("ArrowRight", 2), ("k", 1), ("ArrowLeft", 0), ("k", 0)):
        page.keyboard.press(key)
        at(number)
    page.keyboard.press("/")
    page.keyboard.type("jjj")
    assert page.locator("[name=text]").input_value() == "jjj"
    assert number_of_matches(page) == 0
    page.locator("[name=text]").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('.questions') !== null")


def test_answers_probabilities_and_attention_are_those_of_the_results(opened, path, few_results):
    question = "scenes-random-n08-e00003"
    page = opened(path, address(question))
    signals = RELATIONS["signals"].path(few_results, **CELL, split="evaluation")
    rows = parquet.read(signals, contracts.SIGNALS).to_pylist()
    shown = sorted((row for row in rows if row["question_id"] == question), key=lambda row: row["round"])
    told = page.locator(".probability").all_inner_texts()
    probabilities = np.exp([row["candidate_logprobs"] for row in shown]).ravel()
    assert [float(text.split()[0]) for text in told] == pytest.approx(100 * probabilities, abs=0.06)
    with catalog.connect(few_results) as connection:
        answers = connection.execute(
            "select candidate, position, correct from predictions where question_id = ? and method = 'agd'"
            " order by round",
            [question],
        ).fetchall()
    line = page.locator(".answers tbody tr").filter(has_text=re.compile("^AGD"))
    said = [f"{'✓' if correct else '✗'} c{candidate} ({position})" for candidate, position, correct in answers]
    assert line.locator("td").all_inner_texts()[:5] == said
    attention = np.minimum(shown[0]["candidate_attention"], 1)  # made-up attention may be more
    for scale, expected in (("attention", lambda a: a), ("share", lambda a: a / a.sum(axis=1, keepdims=True))):
        page.locator("[name=scale]").select_option(scale)
        page.locator(".values summary").first.click()
        page.locator(".values table").first.wait_for()  # drawn when it is opened, and anew for another scale
        table = page.locator(".values table").first.locator("td").all_inner_texts()
        values = np.array([float(text) for text in table]).reshape(5, 8)
        assert values == pytest.approx(expected(attention), rel=0.06, abs=0.006)


def test_heat_maps_say_in_words_what_they_show(opened, path):
    page = opened(path, address())
    labels = [canvas.get_attribute("aria-label") for canvas in page.locator("canvas").all()]
    assert len(labels) == 10  # of five orders, by layer and by head
    assert all(re.search(r"largest: [\d.e-]+, layer \d, (position|head) \d", label) for label in labels)
    page.locator("[name=columns]").select_option("candidates")
    page.wait_for_function("document.querySelector('canvas').getAttribute('aria-label').includes('candidate')")


def test_attention_is_shown_by_any_row_and_over_its_prior(opened, path):
    page = opened(path, address())
    before = page.locator("canvas").first.get_attribute("aria-label")
    page.locator("[name=row]").select_option("query")
    page.wait_for_function(f"document.querySelector('canvas').getAttribute('aria-label') !== {json.dumps(before)}")
    page.locator("[name=scale]").select_option("purified")
    assert page.locator("canvas").count() == 10


def test_on_a_phone_nothing_is_wider_than_the_screen(opened, path):
    page = opened(path, address(), PHONE)
    for question in ("", "scenes-random-n08-e00004"):
        page.evaluate(f"location.hash = '{address(question)}'")
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert page.locator("article").is_visible() == bool(question)
    page.get_by_role("button", name="‹ List").click()
    assert page.locator(".questions").is_visible()
    assert not page.locator("article").is_visible()


def test_whatever_captions_and_file_names_hold_is_text(opened, few_results, tmp_path):
    results = shutil.copytree(few_results, tmp_path / "results")
    path = RELATIONS["questions"].path(results, dataset="scenes", setting="random", n=8)
    rows = parquet.read(path, contracts.QUESTIONS).to_pylist()
    rows = [row | {"caption": HOSTILE[row["rank"] % len(HOSTILE)]} for row in rows]
    parquet.write(parquet.from_rows(rows, contracts.QUESTIONS), path, contracts.QUESTIONS)
    path = RELATIONS["images"].path(results, dataset="scenes")
    rows = [
        row
        | {"file_name": f"{HOSTILE[row['image_id'] % len(HOSTILE)]}{row['image_id']}.png", "license": HOSTILE[0]}
        | {"attribution": "javascript:window.harmed = 1"}
        for row in parquet.read(path, contracts.IMAGES).to_pylist()
    ]
    parquet.write(parquet.from_rows(rows, contracts.IMAGES), path, contracts.IMAGES)
    explorer(results, tmp_path / "page.html", HOSTILE[0], HOSTILE[1], calibration_questions=5)
    page = opened(tmp_path / "page.html", address("scenes-random-n08-e00000"))
    for caption in HOSTILE:
        assert page.locator("article h2").text_content() == caption
        assert caption in page.locator(".candidates").text_content()
        page.keyboard.press("j")
        page.wait_for_timeout(100)
    assert HOSTILE[0] in page.locator("h1").text_content()
    assert page.evaluate("window.harmed") is None
    assert page.locator("article b, article script, img[src=x], a[href^=javascript]").count() == 0


def test_thousands_of_questions_are_opened_and_filtered_at_once(opened, few_results, tmp_path):
    results = _repeated(few_results, tmp_path / "results")
    written = explorer(results, tmp_path / "page.html", "Many", "made-up", calibration_questions=5)
    assert written.questions == MANY
    # Answers, probabilities and orders of 1,000 questions in five orders of eight take less than this, packed.
    bare = explorer(results, tmp_path / "bare.html", "Many", "made-up", calibration_questions=5, attention_bytes=0)
    assert bare.total_bytes / MANY < 300
    page = opened(tmp_path / "page.html", address())
    assert page.locator(".questions li").count() == 50
    choose(page, "target", "5")
    found = number_of_matches(page)
    assert 50 < found < MANY
    page.keyboard.press("n")
    assert f"page 2 of {-(-found // 50)}" in page.locator(".pages").inner_text()
    spent = page.evaluate(
        "() => { const before = performance.now(); const select = document.querySelector('[name=sort]');"
        " select.value = 'flips'; select.dispatchEvent(new Event('change')); return performance.now() - before; }"
    )
    assert spent < 2_000


def _repeated(results, folder):
    """One cell whose questions are asked again and again, under other names."""
    times = -(-MANY // 16)
    keys = {"dataset": "scenes", "setting": "random", "n": 8}
    shutil.copytree(results / "images", folder / "images")
    scoring = next(keys for keys in RELATIONS["predictions"].partitions(results) if keys["n"] == 8)
    for name, partition in (
        ("questions", keys),
        ("presentations", {**keys, "split": "evaluation"}),
        ("signals", {**CELL, "split": "evaluation"}),
        ("predictions", scoring),
    ):
        relation = RELATIONS[name]
        table = parquet.read(relation.path(results, **partition), relation.contract)
        if name == "questions":
            table = table.filter(pa.array([role == "evaluation" for role in table["role"].to_pylist()]))
        copies = [_renamed(table, copy) for copy in range(times)]
        whole = pa.concat_tables(copies)
        named = whole["question_id"].to_pylist()
        kept = pa.array([int(question.split("-")[0]) * 16 + int(question[-5:]) < MANY for question in named])
        parquet.write(whole.filter(kept), relation.path(folder, **partition), relation.contract)
    return folder


def _renamed(table, copy):
    for column in {"question_id", "presentation_id"} & {*table.column_names}:
        ids = pa.array([f"{copy}-{value}" for value in table[column].to_pylist()])
        table = table.set_column(table.column_names.index(column), column, ids)
    if "rank" in table.column_names:
        ranks = pa.array([16 * copy + rank for rank in table["rank"].to_pylist()], pa.int32())
        table = table.set_column(table.column_names.index("rank"), "rank", ranks)
    return table
