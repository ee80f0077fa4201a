"""A checkpoint may be a file of an installed Python package."""

import sys

import pytest

from lad.packaged import PackagedError, checkpoint_path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a file, whose code cannot be imported."""
    folder = tmp_path / "weights_inside"
    folder.mkdir()
    (folder / "__init__.py").write_text("import a_package_that_nobody_has")
    (folder / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_its_path_is_found_without_importing_the_package(package):
    assert checkpoint_path("package:weights_inside/model.gguf") == str(package / "model.gguf")
    assert "weights_inside" not in sys.modules


@pytest.mark.parametrize("checkpoint", ["resources/demo-model", "Qwen/Qwen2.5-VL-3B-Instruct", "model.gguf"])
def test_any_other_checkpoint_stays_as_it_is(checkpoint):
    assert checkpoint_path(checkpoint) == checkpoint


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        ("package:nobody_has_it/model.gguf", "the Python package nobody_has_it is not installed here. `make texts`"),
        ("package:weights_inside/other.gguf", r"has no file other\.gguf; it has __init__\.py, model\.gguf"),
        ("package:weights_inside", "expected is package:NAME/FILE"),
        ("package:a.b/c", "expected is package:NAME/FILE"),
    ],
)
def test_what_is_missing_is_said_in_one_line(package, checkpoint, told):
    with pytest.raises(PackagedError, match=told) as refused:
        checkpoint_path(checkpoint)
    assert checkpoint in str(refused.value)
    assert "\n" not in str(refused.value)
