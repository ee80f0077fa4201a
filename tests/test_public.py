"""The public names: each is there, is documented by a type, and is imported when it is first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lad


def test_the_package_itself_imports_neither_torch_nor_duckdb_nor_pyarrow():
    code = "import sys, lad; dir(lad); sys.exit(not {'torch', 'duckdb', 'pyarrow', 'numpy'}.isdisjoint(sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_calibrating_and_scoring_need_no_torch():
    code = "import sys; from lad import calibrate, score, evaluate, connect; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_what_type_checkers_take_it_for():
    (block,) = [node for node in ast.parse(Path(lad.__file__).read_text()).body if is_for_type_checkers(node)]
    declared = {alias.name: statement.module for statement in block.body for alias in statement.names}
    assert set(lad.__all__) == {*declared, "__version__"} <= set(dir(lad))
    for name, module in declared.items():
        assert getattr(lad, name) is getattr(__import__(module, fromlist=[name]), name)


def is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'lad' has no attribute 'calibrat'"):
        lad.calibrat  # noqa: B018
    assert not hasattr(lad, "torch")
