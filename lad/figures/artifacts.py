"""All figures and tables, in the paper's order, and how one of them becomes files.

A figure becomes `fig1.pdf`, `.svg` and `.png`, a table `table1.csv`, `.md` and `.tex`; beside either lies a
`.json` with its caption and the sentence that says what to see, whose numbers come from the very results drawn.
Differs from the paper: figure 4 (a drawing) and table 9 (prompts) are not here; what has a name in place of a number is
ours.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

import duckdb
import matplotlib.style
import pyarrow.csv
from matplotlib.figure import Figure

from lad import catalog
from lad.figures import (
    divergences,
    fig1,
    fig2,
    fig3,
    fig5,
    fig6,
    fig7,
    fig8,
    fig_layers,
    fig_sofa,
    published,
    table1,
    table2,
    table3,
    table4,
    table5,
    table7,
    table_draws,
)
from lad.figures.content import ArtifactError, Options, Picture, Table
from lad.figures.requirements import REQUIREMENTS
from lad.figures.style import GREY, STYLE_SHEET
from lad.figures.typeset import latex, markdown
from lad.figures.wording import start

Draw = Callable[[duckdb.DuckDBPyConnection, Options], Picture | Table]


@dataclass(frozen=True)
class Artifact:
    """A figure or table of the report.

    Attributes:
        title: one line, as a heading.
        caption: what is drawn and how to read it.
        see: the sentence that says what to see; in both, the drawing fills the names in braces from the data.
        alt: for readers who do not see the figure: what kind of picture it is.
    """

    name: str
    kind: Literal["figure", "table"]
    title: str
    caption: str
    see: str
    draw: Draw
    alt: str = ""


PAIRED: Final = (
    " In brackets, paired differences on the same questions with their 95 % bootstrap interval over questions: a"
    " method beats another where that lies above 0."
)
"""What the captions say of the comparisons in the sentences."""

ARTIFACTS: Final = {
    artifact.name: artifact
    for artifact in (
        Artifact(
            name="fig1",
            kind="figure",
            title="Figure 1. Which position is answered, before and after correction",
            caption="Confusion matrices over positions, vanilla on the left, AGD on the right. A row is where the"
            " target was, a column what was answered; each row sums to 100 %;"
            " cells below 0.5 % are left empty. Without bias the diagonal is even.",
            see="Vanilla gives {share} of its answers to position {favourite} (an even share is {fair_share}) and"
            " finds {vanilla_recall} of the targets, depending on where they stand; AGD finds {agd_recall},"
            " {agd_mean} on average.",
            draw=fig1.draw,
            alt="Two heat maps of target position by answered position, vanilla and AGD, with percentages.",
        ),
        Artifact(
            name="fig2",
            kind="figure",
            title="Figure 2. What the logits say, by target position",
            caption="Logits of the position identifiers, one panel per target position: single questions in grey, the"
            " mean of all in colour, the target's position shaded. Without bias every mean would peak in its shade.",
            see="The mean logits peak at the target for {right} of {n} target positions; {detail}.",
            draw=fig2.draw,
            alt="Line charts of the logit of each position, one panel per target position, many grey lines and a mean.",
        ),
        Artifact(
            name="fig3",
            kind="figure",
            title="Figure 3. Where the model looks, and what it says",
            caption="Left, how the last prompt token's attention is shared among the images in the layers that look at"
            " images most, raw and divided by the attention prior; right, the mean logits of the same questions. Shown"
            " is the target position at which the logits mislead most.",
            see="With the target at position {target}, the model {looks}, {says}.",
            draw=fig3.draw,
            alt="Two bar charts by position: share of image attention, raw and purified, and mean logit.",
        ),
        Artifact(
            name="fig5",
            kind="figure",
            title="Figure 5. Accuracy as candidates are added",
            caption="Accuracy against the number of candidates, random distractors on the left, adversarial ones on the"
            " right. Bands are 95 % bootstrap intervals over questions; the dotted line is guessing.",
            see="Vanilla goes from {vanilla}; PriDe from {pride}; AGD from {agd}.",
            draw=fig5.draw,
            alt="Line charts of accuracy against the number of candidates for AGD, PriDe and vanilla, in two settings.",
        ),
        Artifact(
            name="fig6",
            kind="figure",
            title="Figure 6. How much calibration, and which τ",
            caption="Accuracy against the number of calibration questions (left, logarithmic) and against the"
            " temperature τ of the attention posterior (right). Bands are ± one sample standard deviation over the"
            " orders. What does not depend on a parameter is drawn level.",
            see="AGD reaches {budgets}; for τ from {lowest_tau} to {highest_tau} it is {temperatures}.",
            draw=fig6.draw,
            alt="Line charts of accuracy against calibration budget and temperature for AGD, PriDe and vanilla.",
        ),
        Artifact(
            name="fig7",
            kind="figure",
            title="Figure 7. Questions as the model saw them",
            caption="Questions in the order shown, the target framed in green; below each image stand the methods that"
            " answered with it. The questions are the first of their kind, failures included.",
            see="Of all questions in their first order, {shares}; {shown} are shown{photographs}.",
            draw=fig7.draw,
            alt="Rows of candidate images with the caption on the left and the answers of three methods below them.",
        ),
        Artifact(
            name="fig8",
            kind="figure",
            title="Figure 8. Other names for the positions",
            caption="Confusion matrices as in figure 1 when positions are named by letters, Roman numerals or words;"
            " vanilla above, AGD below.",
            see="Vanilla is right in {vanilla}; AGD in {agd}{exception}.",
            draw=fig8.draw,
            alt="Heat maps of target position by answer for each identifier style, vanilla above AGD.",
        ),
        Artifact(
            name="fig_layers",
            kind="figure",
            title="Which layers know",
            caption="For each decoder layer, how often its attention is largest on the target, raw and divided by the"
            " attention prior (bands: ± one sample standard deviation over the orders), and how often the layer is one"
            " of the K that look at images most (bars). Dashed: the answers of vanilla and AGD.",
            see="{layers}.",
            draw=fig_layers.draw,
            alt="Line charts of accuracy by decoder layer for raw and purified attention, with bars for chosen layers.",
        ),
        Artifact(
            name="fig_sofa",
            kind="figure",
            title="SoFA, more or less softened",
            caption="Accuracy against σ, by how much images see later images in every second layer. Bands are ± one"
            " sample standard deviation over the orders. The paper fixes σ = 0.5; SoFA's authors choose it on held-out"
            " questions.",
            see="SoFA is best with {best}.",
            draw=fig_sofa.draw,
            alt="Line charts of SoFA's accuracy against sigma, beside AGD's.",
        ),
        Artifact(
            name="table1",
            kind="table",
            title="Table 1. Main results with 4 candidates",
            caption="Accuracy ± sample standard deviation over the orders; RStd, the standard deviation of recall over"
            " positions (lower is better); consistency, the share of questions answered alike in all orders." + PAIRED,
            see="With {n} candidates vanilla is right in {vanilla}, PriDe in {pride}, AGD in {agd}; {against_pride}.",
            draw=table1.draw,
        ),
        Artifact(
            name="table2",
            kind="table",
            title="Table 2. What an answer costs",
            caption="Seconds per 1,000 presentations, and peak memory; {setting} setting. Forward passes ran on"
            " {device}; one pass leaves the signals of all methods, so vanilla's includes reading out the attention,"
            " and passes and memory are the same in every row. Queries are the scoring of the signals, one thread, each"
            " method as if it ran alone. Calibration comes once: {calibration_questions} questions in N cyclic shifts,"
            " and the fit, which serves all methods. On a CPU, memory is that of the whole process. On a GPU it is the"
            " most that was allocated there; batches and kept image features, which grow with the memory that is free,"
            " are part of it: the model needs less, and it cannot be held against the paper's figures.",
            see="1,000 presentations take {forward} of forward passes; AGD's queries over them take {queries}, and its"
            " calibration, once, {calibration}.",
            draw=table2.draw,
        ),
        Artifact(
            name="table3",
            kind="table",
            title="Table 3. Calibrate on one kind of question, test on another",
            caption="Both calibrations of each kind of test question. Scores and differences as in table 1.",
            see="Calibrated on the other kind of question, AGD reaches {changes}; {against_pride}.",
            draw=table3.draw,
        ),
        Artifact(
            name="table4",
            kind="table",
            title="Table 4. What each part is worth",
            caption="Answering from attention alone or through AGD, with and without dividing by the attention prior,"
            " from the K layers that look at images most or from all; layers count from 0. Scores and differences"
            " as in table 1.",
            see="Attention alone is right in {readout}, {purified} once divided by its prior; AGD in {agd},"
            " {without_prior} without the prior and {all_layers} with all layers; {against_purified}.",
            draw=table4.draw,
        ),
        Artifact(
            name="table5",
            kind="table",
            title="Table 5. Other tasks of choosing among images",
            caption="Accuracy by task and number of candidates, and the change of RStd from vanilla to AGD: below 0,"
            " recall became more even over positions. Calibrated on other questions of the same task." + PAIRED,
            see="{against_vanilla}. {against_purified}. RStd changes by {changes}.",
            draw=table5.draw,
        ),
        Artifact(
            name="table6",
            kind="table",
            title="Table 6. Main results with 8 candidates",
            caption="As table 1, with eight candidates.",
            see="With {n} candidates vanilla is right in {vanilla}, PriDe in {pride}, AGD in {agd}; {against_pride}.",
            draw=table1.draw,
        ),
        Artifact(
            name="table7",
            kind="table",
            title="Table 7. Answers from logits, from attention, from both",
            caption="Accuracy ± sample standard deviation over the orders. Vanilla answers from logits, raw and"
            " purified attention from where the model looks, AGD from both." + PAIRED,
            see="{purifying}. {against_purified}.",
            draw=table7.draw_table7,
        ),
        Artifact(
            name="table8",
            kind="table",
            title="Table 8. Against averaging over permutations, and SoFA",
            caption="Accuracy. Permutation averaging asks each question in all its N cyclic shifts, so it costs N"
            " forward passes where AGD costs one, and answers a question once where AGD answers in each order. SoFA"
            " lets images see later images by half in every second layer." + PAIRED,
            see="With one forward pass instead of N, {against_permutation}.",
            draw=table7.draw_table8,
        ),
        Artifact(
            name="table_baselines",
            kind="table",
            title="Further baselines",
            caption="Accuracy. Above, answers from logits: less their mean over all presentations (batch calibration),"
            " or less what the model answers about blank images (contextual calibration). In the middle, answers from"
            " attention: in the layers that look at images most, or in the heads that found most targets of the"
            " calibration questions. Majority vote sees all orders of a question." + PAIRED,
            see="{purified}; {agd}.",
            draw=table7.draw_baselines,
        ),
        Artifact(
            name="table_draws",
            kind="table",
            title="Other calibration questions",
            caption="Accuracy after calibration on several sets of {questions} questions, none of them in two sets:"
            " mean, sample standard deviation and extremes over the sets. The interval is that of the first set, 95 %"
            " over evaluation questions; as everywhere, it takes the calibration as it is.",
            see="From one set of {questions} calibration questions to another, AGD's accuracy varies by {agd}, PriDe's"
            " by {pride}.",
            draw=table_draws.draw,
        ),
        Artifact(
            name="table_divergences",
            kind="table",
            title="Printed against released",
            caption="What each difference between the paper's text and its authors' code does, one at a time, then all"
            " together; below, the variants of PriDe and of permutation averaging. Leads are paired differences on the"
            " same questions with their 95 % bootstrap interval.",
            see="AGD as printed is right in {printed}; {count} of {of} divergences move it clearly; the largest:"
            " {largest}.",
            draw=divergences.draw,
        ),
        Artifact(
            name="published",
            kind="table",
            title="Beside the published numbers",
            caption="Every value of the paper's tables with a measured counterpart; differences are measured less"
            " published. {tolerance} RStd counts chance as bias: of fewer questions than the paper's it is larger.",
            see="Here {verdict}.",
            draw=published.draw,
        ),
        Artifact(
            name="table_unplanted",
            kind="table",
            title="Without a planted bias",
            caption="The demo model's bias is planted in a last training stage. This is the same architecture without"
            " that stage, which learned from at most four candidates: the gap here is one that nobody put in." + PAIRED,
            see="Vanilla is right in {accuracies}. {reading_attention}; {against_purified}.",
            draw=table7.draw_unplanted,
        ),
    )
}


def draw(name: str, results: Path, options: Mapping[str, Any], out: Path) -> list[Path]:
    """Draw one artifact from a results folder into the folder `out`.

    Args:
        name: one of `ARTIFACTS`.
        results: folder laid out as `lad.catalog` describes.
        options: values for `Options`; what is not given has the artifact's own default.
        out: created where it does not exist.

    Returns:
        The files written: a figure's pdf, svg and png or a table's csv, md and tex; the json last.

    Raises:
        ArtifactError: an unknown artifact or option, or results that are missing; nothing is written then.
    """
    if name not in ARTIFACTS:
        raise ArtifactError(f"unknown artifact '{name}'; known: {', '.join(ARTIFACTS)}")
    artifact = ARTIFACTS[name]
    try:
        chosen = Options.from_mapping({**REQUIREMENTS[name].defaults, **options})
        with catalog.connect(results) as connection, matplotlib.style.context(STYLE_SHEET):
            # One thread takes sums in the order of rows, so that the same results give the same bytes.
            connection.execute("set threads = 1")
            content = artifact.draw(connection, chosen)
            sentence = _sentence(artifact, content)
            if isinstance(content, Picture):
                files = _picture_files(content.figure, chosen.label)
            else:
                files = _table_files(artifact, content, chosen.label, sentence)
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from None
    files["json"] = _description(artifact, content, chosen, sentence)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}.{suffix}" for suffix in files]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    return paths


def _sentence(artifact: Artifact, content: Picture | Table) -> str:
    # A clause may begin a sentence: each full stop of the template starts anew.
    return ". ".join(start(part.format(**content.facts)) for part in artifact.see.split(". "))


def _picture_files(figure: Figure, label: str) -> dict[str, bytes]:
    """The figure in every format, with what it was measured on in the corner; no dates, so that reruns are equal."""
    engine = figure.get_layout_engine()
    if engine is not None:
        margin = 0.16 / figure.get_figheight()
        engine.set(rect=(0, margin, 1, 1 - margin))  # type: ignore[call-arg]
    figure.text(0.995, 0.005, label, ha="right", va="bottom", fontsize=6.5, color=GREY)
    metadata: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    files = {}
    for suffix, facts in metadata.items():
        buffer = BytesIO()
        figure.savefig(buffer, format=suffix, metadata=facts)
        files[suffix] = buffer.getvalue()
    return {**files, "svg": _number_clip_paths(files["svg"])}


def _number_clip_paths(svg: bytes) -> bytes:
    """Clip paths named by their order: matplotlib names them by the layout's last bits, which differ between runs."""
    names = dict.fromkeys(re.findall(rb"url\(#(p[0-9a-f]{10})\)", svg))
    for number, name in enumerate(names):
        svg = svg.replace(name, b"clip%d" % number)
    return svg


def _table_files(artifact: Artifact, table: Table, label: str, sentence: str) -> dict[str, bytes]:
    records = BytesIO()
    pyarrow.csv.write_csv(table.records, records)
    text = (artifact.title, artifact.caption.format(**table.facts), sentence, label)
    return {
        "csv": records.getvalue(),
        "md": markdown(table, *text).encode(),
        "tex": latex(table, artifact.name, *text).encode(),
    }


def _description(artifact: Artifact, content: Picture | Table, options: Options, sentence: str) -> bytes:
    """What the report needs to show the artifact."""
    description: dict[str, Any] = {
        "name": artifact.name,
        "kind": artifact.kind,
        "title": artifact.title,
        "caption": artifact.caption.format(**content.facts),
        "sentence": sentence,
        "alt": artifact.alt,
        "label": options.label,
        "model": options.model,
        "dataset": options.dataset,
        "calibration_questions": options.calibration_questions,
    }
    if isinstance(content, Table):
        description["stub"] = content.stub
        description["groups"] = content.groups
        description["lines"] = [asdict(line) for line in content.lines]
    return (json.dumps(description, ensure_ascii=False, indent=1) + "\n").encode()
