"""The configuration: every key with its type, default, bounds and meaning, said once.

`config/*.yaml` are checked against these models before anything runs. The JSON schema for editors and the reference
page of the documentation are made from them (`lad configuration`). A key that is not here stops the run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from lad.benchmark import CategoryFilter
from lad.benchmark.formats import AnyDataset
from lad.calibration.formulation import Base
from lad.extraction import Dtype
from lad.extraction.prompts import MAX_CANDIDATES
from lad.methods import parse_method
from lad.methods.options import Purifies, options_of
from lad.refusal import Refusal
from lad.section import Count, Device, FilePath, Name, Section, Seed, Setting, in_words


def _method(value: object) -> str:
    """A method with its options in one order, whichever way it was written: two spellings would answer twice."""
    if not isinstance(value, str | Mapping):
        raise PydanticCustomError("method", "a method is its name with options, agd;k=4 or {method: agd, top_k: 4}")
    return parse_method(value).text


MethodName = Annotated[str, BeforeValidator(_method), WithJsonSchema({"type": ["string", "object"]})]
Candidates = Annotated[int, Field(ge=2, le=MAX_CANDIDATES)]


class Model(Section):
    checkpoint: FilePath = Field(
        description="Folder, GGUF file or hub id; or `package:NAME/FILE`, a file of an installed Python package."
    )
    revision: str | None = Field(None, description="Revision of a hub checkpoint.")
    dtype: Dtype | None = Field(None, description="In place of `extraction.dtype`.")
    device: Device | None = Field(None, description="In place of `extraction.device`.")
    image_size: int | None = Field(
        None,
        ge=14,
        description="Images are resized to this square; 336 in the paper. The processor sees them as they are"
        " where it is left out.",
    )
    token_budget: Count | None = Field(None, description="In place of `extraction.token_budget`.")
    beyond_context: bool | None = Field(None, description="In place of `extraction.beyond_context`.")
    processor: dict[str, str | int | float | bool] = Field(
        {},
        description="Settings of the image processor that differ from the checkpoint's. `{max_patches: 1}` is one tile"
        " per image for InternVL, which otherwise cuts large images into up to 12. A setting that the processor does"
        " not have is refused, and those it has are listed.",
    )
    layers: Count | None = Field(
        None, description="Layers of the language model, for `lad plan`, which reads them itself from a local folder."
    )
    heads: Count | None = Field(None, description="Attention heads per layer, likewise.")
    parameters: float | None = Field(None, gt=0, description="Billions of parameters, likewise.")


class Benchmark(Section):
    questions: int = Field(
        1000,
        ge=2,
        description="Evaluation questions per benchmark; at most, where a dataset has questions of its own. Of a"
        " dataset of lists: lists, each with all its windows.",
    )
    orders: Count = Field(5, description="Random orders per evaluation question (T).")
    permutations: int = Field(
        16,
        ge=2,
        description="Random orders per evaluation question that `permutation_average;orders=random` averages over; 16"
        " in the released code.",
    )
    category_filter: CategoryFilter = Field(
        "printed",
        description="`printed`: a hard negative's set of categories differs from the target's. `released`: it does not"
        " contain the target's.",
    )
    caption_threshold: float = Field(
        0.9,
        ge=-1,
        le=1.1,
        description="Images whose captions are at least this similar to the target's are no negatives.",
    )


class Extraction(Section):
    device: Device = Field("cpu", description="`cpu`; `cuda`, a GPU that no other job has taken; `cuda:1`, that one.")
    dtype: Dtype = Field("float32", description="Number format of weights and activations.")
    token_budget: Count | None = Field(
        None,
        description="Tokens per forward pass. Left out, as many as make the device fast and fit into half of its free"
        " memory, a power of two.",
    )
    shard_size: Count | None = Field(
        None, description="Presentations per job, about. Left out, a job does a whole cell and split."
    )
    threads: Count = Field(1, description="CPU threads per job; jobs run side by side.")
    beyond_context: bool = Field(
        False,
        description="Also ask presentations that are longer than the model's context window, which are refused"
        " otherwise; the signals' metadata count them.",
    )


class Calibration(Section):
    questions: Count = Field(5, description="Calibration questions, unless a run says otherwise.")


def _meaning(option: str) -> str:
    """What the option of methods means, for the key that sets it for all of them."""
    meaning = options_of(Purifies)[option].meaning
    return f"{meaning[0].upper()}{meaning[1:]}."


class Scoring(Section):
    formulation: Base = Field("printed", description="`printed`: the paper's equations. `released`: its authors' code.")
    top_k: Count = Field(Purifies.top_k, description=_meaning("top_k"))
    temperature: float = Field(Purifies.temperature, gt=0, description=_meaning("temperature"))
    methods: list[MethodName] = Field([], description="Methods of every run that names none.")


class Evaluation(Section):
    resamples: Count = Field(2000, description="Bootstrap resamples of the questions.")


class CalibratedOn(Section):
    dataset: Name | None = Field(None, description="The run's own dataset where it is left out.")
    setting: Setting | None = Field(None, description="The run's own setting where it is left out.")
    split: Literal["calibration", "symmetrized"] = Field(
        "calibration",
        description="`symmetrized`: the first evaluation questions are used again, as in the released code.",
    )


class Run(Section):
    models: list[str] = Field(min_length=1, description="Names of models.")
    datasets: list[str] = Field(min_length=1, description="Names of datasets.")
    settings: list[Setting] = Field(
        min_length=1, description="`random`, `adversarial`; of a dataset with questions of its own, its tasks."
    )
    n: list[Candidates] = Field(min_length=1, description="Numbers of candidates.")
    probes: list[str] = Field(min_length=1, description="How it is asked.")
    methods: list[MethodName] | None = Field(None, min_length=1, description="In place of `scoring.methods`.")
    calibrated_on: list[CalibratedOn] = Field(
        [CalibratedOn()], min_length=1, description="Where calibration questions come from; by default the run's own."
    )
    calibration_questions: list[Count] | None = Field(
        None, min_length=1, description="Sizes of the calibration set, in place of `calibration.questions`."
    )
    calibration_sets: Count = Field(
        1, description="On how many disjoint sets of so many questions to calibrate, one after the other."
    )


class Explorer(Section):
    pictures: Literal["licensed", "all", "none"] = Field(
        "licensed",
        description="Which pictures it shows: those whose licence the images table names; `all`, on a page that you do"
        " not pass on; or `none`.",
    )
    picture_bytes: int = Field(8_000_000, ge=0, description="Bytes that all its thumbnails may take.")
    attention_bytes: int = Field(
        16_000_000, ge=0, description="Bytes that all its attention may take, by layer first, then by head."
    )


class Report(Section):
    model: str = Field(description="Model that the artifacts show, unless they name another.")
    dataset: str = Field(description="Dataset that the artifacts show, unless they name another.")
    probe: str = Field("vanilla", description="How it was asked, unless they name another probe.")
    artifacts: dict[str, dict[str, Any]] = Field(
        min_length=1, description="Figures and tables to draw, each with the options that differ from its defaults."
    )
    explorer: Explorer = Field(Explorer(), description="What `explorer.html` holds.")


class Configuration(Section):
    results: FilePath = Field(description="Folder that everything is written to.")
    bundle: FilePath | None = Field(
        None, description="Signals bundle to start from, in place of the benchmark and extraction stages."
    )
    title: str = Field(description="Title of the report.")
    label: str = Field(description="What the numbers were measured on; stands on every figure.")
    seed: Seed = Field(0, description="Seed of benchmark construction and of the bootstrap.")
    models: dict[Name, Model] = Field(min_length=1, description="Models by name.")
    datasets: dict[Name, AnyDataset] = Field(min_length=1, description="Datasets by name.")
    benchmark: Benchmark = Field(Benchmark(), description="How questions are made.")
    extraction: Extraction = Field(Extraction(), description="How the model runs.")
    calibration: Calibration = Field(Calibration(), description="How methods are calibrated.")
    scoring: Scoring = Field(Scoring(), description="How methods answer, unless they say otherwise.")
    evaluation: Evaluation = Field(Evaluation(), description="How answers are measured.")
    runs: list[Run] = Field(min_length=1, description="What to measure. Runs that meet in the same cell add up.")
    report: Report = Field(description="What is drawn.")

    def device(self, model: str) -> str:
        """The device that a model runs on."""
        return self.models[model].device or self.extraction.device


def parse_configuration(given: Mapping[str, Any]) -> Configuration:
    """The configuration that these keys and values make.

    Raises:
        Refusal: a key that is unknown or missing, or a value that is not allowed. One line with the key, the value
            and what is allowed.
    """
    try:
        return Configuration.model_validate(dict(given))
    except ValidationError as error:
        raise Refusal(f"configuration, {in_words(Configuration, error.errors(include_url=False))}") from None


def read_configuration(file: Path) -> Configuration:
    """The configuration in a YAML file.

    Raises:
        Refusal: it is no YAML, or as `parse_configuration`.
        FileNotFoundError: there is no such file.
    """
    import yaml

    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    # PyYAML lets through what is no UTF-8, and numbers and dates that do not exist.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Refusal(f"{file}: is no YAML ({error})") from None
    if not isinstance(given, dict):
        raise Refusal(f"{file}: is no configuration: expected are keys with values, such as `results: results/mine`")
    return parse_configuration(given)
