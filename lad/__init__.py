"""Logit-Attention Divergence: measure, explain and correct the position bias of multimodal LLMs.

The package mirrors the pipeline: benchmark -> extraction -> calibration -> methods -> evaluation -> report.
`lad.contracts` describes every table that passes between two stages; `lad.cli` is the command line.

The names below are for programs that correct the answers of their own model; docs/use.md shows them at work. Each is
imported when it is first used: `import lad` costs nothing, and what only reads tables needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lad import contracts as contracts
    from lad import parquet as parquet
    from lad.benchmark.own import OwnQuestion as OwnQuestion
    from lad.benchmark.own import own_questions as own_questions
    from lad.benchmark.presentations import build_presentations as build_presentations
    from lad.calibration.calibrate import Calibration as Calibration
    from lad.calibration.calibrate import calibrate as calibrate
    from lad.calibration.calibrate import read_calibration as read_calibration
    from lad.catalog import connect as connect
    from lad.evaluation.differences import differences as differences
    from lad.evaluation.metrics import evaluate as evaluate
    from lad.extraction.backbone import Backbone as Backbone
    from lad.extraction.backbone import load_backbone as load_backbone
    from lad.extraction.extract import Extraction as Extraction
    from lad.extraction.extract import extract as extract
    from lad.extraction.prompts import Probe as Probe
    from lad.extraction.prompts import get_probe as get_probe
    from lad.methods import METHODS as METHODS
    from lad.methods import score as score
    from lad.rank.answer import Answer as Answer
    from lad.rank.answer import Ranked as Ranked
    from lad.rank.black_box import BlackBoxRanker as BlackBoxRanker
    from lad.rank.known import read_known as read_known
    from lad.rank.ranker import Ranker as Ranker

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "Answer",
    "Backbone",
    "BlackBoxRanker",
    "Calibration",
    "Extraction",
    "OwnQuestion",
    "Probe",
    "Ranked",
    "Ranker",
    "__version__",
    "build_presentations",
    "calibrate",
    "connect",
    "contracts",
    "differences",
    "evaluate",
    "extract",
    "get_probe",
    "load_backbone",
    "own_questions",
    "parquet",
    "read_calibration",
    "read_known",
    "score",
]

_HOMES: Final = {
    "lad.benchmark.own": ("OwnQuestion", "own_questions"),
    "lad.benchmark.presentations": ("build_presentations",),
    "lad.calibration.calibrate": ("Calibration", "calibrate", "read_calibration"),
    "lad.catalog": ("connect",),
    "lad.evaluation.differences": ("differences",),
    "lad.evaluation.metrics": ("evaluate",),
    "lad.extraction.backbone": ("Backbone", "load_backbone"),
    "lad.extraction.extract": ("Extraction", "extract"),
    "lad.extraction.prompts": ("Probe", "get_probe"),
    "lad.methods": ("METHODS", "score"),
    "lad.rank.answer": ("Answer", "Ranked"),
    "lad.rank.black_box": ("BlackBoxRanker",),
    "lad.rank.known": ("read_known",),
    "lad.rank.ranker": ("Ranker",),
}
"""Where each name is defined."""

# Type checkers read the imports above, and with a module-level __getattr__ they would believe in any name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in ("contracts", "parquet"):
            return import_module(f"lad.{name}")
        for module, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(module), name)
                return value
        raise AttributeError(f"module 'lad' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
