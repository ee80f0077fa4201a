"""The artifacts are the modules of their package, and nothing else is."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from lad.report import artifacts
from lad.report.artifacts import ARTIFACTS, describe, find_artifacts, sources
from lad.report.drawing import draw
from lad.report.options import options_of

FOLDER = Path(artifacts.__file__).parent
TABLE_TIES = dedent(
    """
    from dataclasses import dataclass

    from lad.report.artifact import Artifact
    from lad.report.needs import Available, Needs
    from lad.report.options import ArtifactOptions, Setting, Size
    from lad.report.results import Results
    from lad.report.tabulate import Column, Layout, Row


    @dataclass(frozen=True, kw_only=True)
    class Options(ArtifactOptions):
        setting: Setting = "random"
        n: Size = 4

        @property
        def layout(self) -> Layout:
            where = {"setting": self.setting, "n": self.n}
            return Layout(self, ("Method",), [Row(("Vanilla",), {"method": "vanilla"})], [Column("", "rstd", where)])


    def needs(available: Available, options: Options) -> Needs:
        return options.layout.needs(available)


    def draw(results: Results, options: Options):
        (count,) = results.ask(__import__("pathlib").Path(__file__).with_suffix(".sql")).to_pylist()
        return options.layout.table(results, {"count": str(count["scores"])})


    ARTIFACT = Artifact(
        name="table_new",
        kind="table",
        order=1000,
        title="A new table",
        caption="It is new.",
        sentence="There are {count} scores.",
        in_runs="`vanilla`",
        options=Options,
        needs=needs,
        draw=draw,
    )
    """
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder whose modules belong to the package."""
    known, modules = set(sys.modules), dict(artifacts._MODULES)
    monkeypatch.setattr(artifacts, "__path__", [*artifacts.__path__, str(tmp_path)])
    yield tmp_path
    artifacts._MODULES.clear()
    artifacts._MODULES.update(modules)
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_module_and_its_query_are_all_that_a_new_artifact_takes(folder, results, monkeypatch):
    (folder / "table_new.py").write_text(TABLE_TIES)
    (folder / "table_new.sql").write_text("select count(distinct method) as scores from metrics where variant = ''")
    found = find_artifacts(artifacts.__path__)
    assert list(found) == [*ARTIFACTS, "table_new"]
    assert sources("table_new") == [folder / "table_new.py", folder / "table_new.sql"]
    monkeypatch.setattr("lad.report.drawing.ARTIFACTS", found)
    draw("table_new", results, {"model": "demo", "dataset": "scenes", "label": "x"}, folder / "drawn")
    assert "There are 11 scores." in (folder / "drawn" / "table_new.md").read_text()


def test_two_artifacts_of_one_name_or_place_are_refused(folder):
    (folder / "table_new.py").write_text(TABLE_TIES.replace("order=1000", "order=10"))
    with pytest.raises(ImportError, match="table_new: another artifact has the name table_new, or its order"):
        find_artifacts(artifacts.__path__)


def test_a_module_without_an_artifact_is_refused(folder):
    (folder / "table_new.py").write_text("")
    with pytest.raises(AttributeError, match=r"artifacts\.table_new' has no attribute 'ARTIFACT'"):
        find_artifacts(artifacts.__path__)


def test_no_artifact_is_made_of_another():
    """So that a drawing depends on its own module, and on what all share."""
    for module in FOLDER.glob("*.py"):
        if module.name != "__init__.py":
            assert "import lad.report.artifacts" not in module.read_text()
            assert "from lad.report.artifacts" not in module.read_text(), module.name


def test_every_query_lies_beside_its_artifact():
    for query in FOLDER.glob("*.sql"):
        assert any(query in sources(name) for name in ARTIFACTS), query.name


def test_all_are_listed_with_their_options():
    text = describe()
    for artifact in ARTIFACTS.values():
        assert f"{artifact.name}: {artifact.title}" in text
    listed = describe("table5")
    assert [line.split()[0].rstrip(":") for line in listed.splitlines()[2:]] == [
        option.name for option in options_of(ARTIFACTS["table5"].options)
    ]
    with pytest.raises(ValueError, match="unknown artifact 'fig4'; known: fig1, fig2"):
        describe("fig4")
