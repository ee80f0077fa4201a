"""The table of ranked lists: first stage first, its numbers those of `rankings`, others' numbers below."""

import pytest

from lad.report.artifact import ArtifactError
from lad.report.artifacts.table_ranking import Options, draw, needs, read_published
from lad.report.results import opened

OPTIONS = Options(model="demo", dataset="passages", label="made up")


def drawn_with(results, **options):
    chosen = Options(**{**vars(OPTIONS), **options})
    with opened(results, lambda available: needs(available, chosen)) as part:
        return draw(part, chosen)


@pytest.fixture(scope="module")
def table(results):
    return drawn_with(results)


def test_each_average_is_a_block_that_begins_with_the_first_stage(table):
    assert table.stub == ("Average", "Method")
    assert [line.labels for line in table.lines] == [
        (average, method) for average in ("micro", "macro") for method in ("First stage", "AGD", "Vanilla")
    ]
    assert [line.block for line in table.lines] == [0, 0, 0, 1, 1, 1]


def test_cells_are_the_values_with_intervals_and_the_last_one_is_the_lead(table):
    records = {(row["group"], row["method"], row["metric"]): row for row in table.records.to_pylist()}
    agd = records["", "agd", "ndcg_at_10"]
    cells = [cell.text for cell in table.lines[1].cells]
    assert cells[0] == f"{agd['value']:.1f} ({agd['low']:.1f} to {agd['high']:.1f})"
    assert cells[1] == f"{records['', 'agd', 'mrr_at_10']['value']:.1f}"
    assert cells[-1] == f"+{agd['lead']:.1f} ({agd['lead_low']:.1f} to {agd['lead_high']:.1f})"
    assert table.lines[0].cells[-1].text == "–"
    assert {row["group"] for row in table.records.to_pylist()} == {"", "macro", "group 0", "group 1"}


def test_the_best_of_each_block_is_marked_and_the_sentence_names_it(table):
    assert [line.cells[0].best for line in table.lines] == [False, True, False] * 2
    told = table.facts["told"]
    assert told.startswith("ranked, windows of 4: the first stage has ")
    assert "the best method, AGD, " in told
    assert "a lead of +" in told
    assert "2 of 2 methods are ahead of the first stage with the whole interval" in told
    assert table.facts["lists"] == "24"


def test_published_numbers_stand_below_those_of_their_setting(results, tmp_path):
    file = tmp_path / "published.csv"
    file.write_text(
        "method,setting,group,metric,value,source\n"
        'Reader,ranked,,ndcg_at_10,41.25,"Table 2 of a paper"\n'
        "Reader,ranked,,recall_at_5,70,Table 2 of a paper\n"
        "Other,elsewhere,,ndcg_at_10,1,a page\n"
    )
    table = drawn_with(results, published=file)
    *measured, line = table.lines
    assert len(measured) == 6
    assert line.labels == ("micro", "Reader (published)")
    assert [cell.text for cell in line.cells] == ["41.2", "–", "–", "–", "70.0", "–", "–"]
    assert table.facts["published"] == " Published numbers are those of Table 2 of a paper."


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Reader,ranked,,ndcg,1,x", "line 2 has metric ndcg; known: recall_at_1"),
        ("Reader,ranked,,ndcg_at_10,high,x", "line 2 has value 'high', expected is a number"),
        ("Reader,ranked", "line 2 has no group"),
        ("Reader,ranked,,ndcg_at_10,nan,x", "line 2 has value 'nan', expected is a number"),
        ("", "has no numbers; its columns are method, setting"),
    ],
)
def test_a_file_of_published_numbers_that_cannot_be_used_is_refused(results, tmp_path, row, said):
    file = tmp_path / "published.csv"
    file.write_text(f"method,setting,group,metric,value,source\n{row}\n")
    with pytest.raises(ArtifactError, match=said):
        drawn_with(results, published=file)
    with pytest.raises(ArtifactError, match="cannot be read"):
        drawn_with(results, published=tmp_path / "nowhere.csv")


def test_published_numbers_may_come_from_a_spreadsheet_that_marks_its_files(tmp_path):
    file = tmp_path / "published.csv"
    file.write_text("method,setting,group,metric,value,source\nReader,ranked,,ndcg_at_10,41,x\n", encoding="utf-8-sig")
    assert [row["method"] for row in read_published(file, {"ranked"})] == ["Reader"]


def test_without_lists_it_says_what_has_rankings(results):
    with pytest.raises(ArtifactError, match="no ranked lists of model demo on dataset scenes"):
        drawn_with(results, dataset="scenes")
    with pytest.raises(ArtifactError, match="option metrics: unknown ndcg; known: "):
        drawn_with(results, metrics=("ndcg",))
