"""The configuration: every key with its type, default, bounds and meaning, said once.

`config/*.yaml` are checked against these models before anything runs. The JSON schema for editors and the reference
page of the documentation are made from them (`lad configuration`). A key that is not here stops the run.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from lad.benchmark import CaptionFormat, CaptionPolicy, CategoryFilter, EmbeddingBackend
from lad.calibration.formulation import Base
from lad.extraction import Dtype
from lad.extraction.prompts import MAX_CANDIDATES
from lad.methods import parse_method
from lad.methods.options import Purifies, options_of
from lad.spelling import did_you_mean


def _without_braces(path: str) -> str:
    """Snakemake takes what stands in braces for a wildcard, and the cause is hard to see in what it says then."""
    if "{" in path or "}" in path:
        raise PydanticCustomError("braces", "a path cannot have braces, which Snakemake takes for wildcards; rename it")
    return path


def _method(value: object) -> str:
    """A method with its options in one order, whichever way it was written: two spellings would answer twice."""
    if not isinstance(value, str | Mapping):
        raise PydanticCustomError("method", "a method is its name with options, agd;k=4 or {method: agd, top_k: 4}")
    return parse_method(value).text


FilePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_without_braces)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Setting = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:[0-9]+)?)$")]
MethodName = Annotated[str, BeforeValidator(_method), WithJsonSchema({"type": ["string", "object"]})]
Count = Annotated[int, Field(ge=1)]
Candidates = Annotated[int, Field(ge=2, le=MAX_CANDIDATES)]
Seed = Annotated[int, Field(ge=0)]

PATTERNS: Final = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "letters, digits, '.', '_' and '-', first a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._+-]*$": "letters, digits, '.', '_', '+' and '-', first a letter or digit",
    r"^(cpu|cuda(:[0-9]+)?)$": "cpu, cuda, cuda:0 ...",
    r"^https?://[^;]+$": "an address that begins with http:// or https://, without ';'",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[0-9a-f]{32}$": "32 hexadecimal digits",
}
"""What the patterns allow, for people."""


class Section(BaseModel):
    """A part of the configuration. Values are taken as they are: "4" is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Model(Section):
    checkpoint: FilePath = Field(description="Folder or hub id.")
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


class RenderedScenes(Section):
    images: int = Field(ge=2, description="How many scenes.")
    seed: Seed = Field(description="Seed of the scenes.")


class RenderedTasks(Section):
    questions: Count = Field(description="Questions per task.")
    seed: Seed = Field(description="Seed of the tasks.")


class Download(Section):
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^;]+$")] = Field(description="Address of the file.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(None, description="Checksum.")
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = Field(None, description="Checksum.")
    bytes: Count | None = Field(None, description="Size of the file.")
    unpack: Literal[False] | FilePath = Field(
        False,
        description="Folder below the dataset's that the zip archive is unpacked to; false keeps the file as it is.",
    )


class Embeddings(Section):
    backend: EmbeddingBackend = Field(
        description="`clip`: any CLIP or SigLIP checkpoint. `vision_tower`: that of a multimodal LLM."
    )
    checkpoint: FilePath | None = Field(
        None, description="Folder or hub id; for `clip` the paper's openai/clip-vit-large-patch14 where it is left out."
    )
    revision: str | None = Field(None, description="Revision of a hub checkpoint.")
    device: Device | None = Field(None, description="In place of `extraction.device`.")

    @model_validator(mode="after")
    def _names_its_checkpoint(self) -> Self:
        if self.backend == "vision_tower" and self.checkpoint is None:
            raise PydanticCustomError("checkpoint", "backend vision_tower needs a checkpoint")
        return self


class Dataset(Section):
    render: RenderedScenes | None = Field(None, description="Render the demo's scenes instead of reading files.")
    render_tasks: RenderedTasks | None = Field(
        None, description="Render the demo's tasks in MMIU's format instead of reading files."
    )
    format: CaptionFormat = Field("coco", description="What the captions are written in.")
    captions: FilePath | None = Field(None, description="COCO's captions file, or Flickr8k.token.txt.")
    instances: FilePath | None = Field(
        None,
        description="COCO's instances file. With it, images without a category are in no question; without it the"
        " category filter of hard negatives has nothing to go by.",
    )
    annotations: FilePath | None = Field(None, description="MMIU's annotation file, JSON or Parquet.")
    images: FilePath | None = Field(None, description="Folder of the image files.")
    folder: FilePath | None = Field(None, description="The dataset's own folder, which downloads are put below.")
    download: list[Download] = Field([], description="Files to fetch where they are not there yet.")
    caption_policy: CaptionPolicy = Field(
        "first", description="Which of an image's captions asks for it; `all` joins them by spaces to one text."
    )
    pool: int | None = Field(None, ge=2, description="Draw candidates from this many images only; 20000 in the paper.")
    embeddings: Embeddings | None = Field(
        None, description="What hard negatives are chosen by. The adversarial setting needs it."
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = (self.render, self.captions, self.annotations, self.render_tasks)
        read = self.captions or self.annotations
        if sum(kind is not None for kind in kinds) != 1 or (read and self.images is None):
            raise PydanticCustomError(
                "dataset",
                "a dataset is one of: render; captions and images; annotations and images; render_tasks",
            )
        if self.download and (self.folder is None or self.images is None):
            raise PydanticCustomError("download", "download needs the keys folder and images")
        return self

    @property
    def is_mmiu(self) -> bool:
        """Whether the dataset has MMIU's format: its settings are its tasks, and it has questions of its own."""
        return self.annotations is not None or self.render_tasks is not None


class Benchmark(Section):
    questions: int = Field(
        1000, ge=2, description="Evaluation questions per benchmark; of an MMIU-format dataset at most."
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
        min_length=1, description="`random`, `adversarial`; of an MMIU-format dataset, its tasks."
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


class Report(Section):
    model: str = Field(description="Model that the artifacts show, unless they name another.")
    dataset: str = Field(description="Dataset that the artifacts show, unless they name another.")
    artifacts: dict[str, dict[str, Any]] = Field(
        min_length=1, description="Figures and tables to draw, each with the options that differ from its defaults."
    )


class Configuration(Section):
    results: FilePath = Field(description="Folder that everything is written to.")
    bundle: FilePath | None = Field(
        None, description="Signals bundle to start from, in place of the benchmark and extraction stages."
    )
    title: str = Field(description="Title of the report.")
    label: str = Field(description="What the numbers were measured on; stands on every figure.")
    seed: Seed = Field(0, description="Seed of benchmark construction and of the bootstrap.")
    models: dict[Name, Model] = Field(min_length=1, description="Models by name.")
    datasets: dict[Name, Dataset] = Field(min_length=1, description="Datasets by name.")
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
        ValueError: a key that is unknown or missing, or a value that is not allowed. One line with the key, the value
            and what is allowed.
    """
    try:
        return Configuration.model_validate(dict(given))
    except ValidationError as error:
        raise ValueError(f"configuration, {_in_words(error.errors(include_url=False))}") from None


def read_configuration(file: Path) -> Configuration:
    """The configuration in a YAML file.

    Raises:
        ValueError: it is no YAML, or as `parse_configuration`.
        FileNotFoundError: there is no such file.
    """
    import yaml

    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: is no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(given, dict):
        raise ValueError(f"{file}: is no configuration: expected are keys with values, such as `results: results/mine`")
    return parse_configuration(given)


# --- what is wrong, in one line --------------------------------------------------------------------------------

_IN_WORDS: Final = {
    "missing": "is missing",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list, [a, b]",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "string_too_short": "a text that is not empty",
}


def _in_words(errors: list[ErrorDetails]) -> str:
    """The first thing that is wrong; of the members of a union the one that says most."""
    error = errors[0]
    path = [part for part in error["loc"] if not _is_member(part)]
    where = _place(path[:-1] if error["type"] in ("extra_forbidden", "missing") else path)
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            known = list(_keys_at(path[:-1]))
            return f"{where}: unknown key '{path[-1]}'{did_you_mean(str(path[-1]), known)}; known: {', '.join(known)}"
        case "missing":
            return f"{where}: the key {path[-1]} is missing"
        case "value_error":
            return f"{where}: {context['error']}"
        case "string_pattern_mismatch":
            allowed = PATTERNS[context["pattern"]]
        case "literal_error":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        case kind if kind in _IN_WORDS:
            allowed = _IN_WORDS[kind].format(**context)
        case _:
            return f"{where}: {error['msg']}"
    value = error["input"]
    hint = did_you_mean(value, allowed.split(", ")) if isinstance(value, str) else ""
    return f"{where}: cannot be {json.dumps(value, default=str)}{hint}; allowed: {allowed}"


def _place(path: list[int | str]) -> str:
    """Where in the configuration; runs are counted from 1, and of another list the value says which item it is."""
    if path[:1] == ["runs"] and len(path) > 1:
        path = [f"run {int(path[1]) + 1}", *path[2:]]
    return ".".join(part for part in path if isinstance(part, str)) or "top level"


def _is_member(part: int | str) -> bool:
    """Whether a part of an error's place names a member of a union or a check, not a key."""
    return isinstance(part, str) and bool(re.search(r"[\[(]|^(str|int|float|bool)$", part))


def _keys_at(path: list[int | str]) -> Iterator[str]:
    """The keys that the section at this place has."""
    place: Any = Configuration
    for part in path:
        # A key of a section leads to that field; an index or a name leads to a value of its list or dictionary.
        place = _plain(place.model_fields[part].annotation if _is_section(place) else get_args(place)[-1])
    yield from place.model_fields


def _plain(annotation: Any) -> Any:
    """The type itself, without what may stand around it: None as an alternative, bounds."""
    while not _is_section(annotation) and get_origin(annotation) not in (list, dict):
        annotation = next(inner for inner in get_args(annotation) if inner is not type(None))
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
