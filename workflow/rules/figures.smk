# Figures and tables, each from the relations of the results folder, and the report that shows them all.
EVALUATIONS = [
    W.table(relation, **scoring.keys) for scoring in W.grid.methods for relation in ("metrics", "differences")
]
ARTIFACT_FILES = [str(W.artifacts / f"{artifact}.json") for artifact in CONFIG.report.artifacts]


def photographs(dataset: str) -> str | None:
    """The folder of a dataset's pictures; None where a bundle is the start and the folder is not there."""
    folder = W.image_folder(dataset)
    return None if CONFIG.bundle and not Path(folder).is_dir() else folder


def artifact_options(artifact: str) -> list[str]:
    """The `--option name=value` arguments of `lad draw`: the artifact's own over those of all."""
    chosen = configured_options(CONFIG, artifact)
    if artifact == "fig7" and (folder := photographs(chosen["dataset"])):
        chosen["images"] = folder
    values = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in chosen.items()}
    return [f"--option={name}={value}" for name, value in values.items()]


rule draw_figure:
    input:
        evaluations=EVALUATIONS,
        benchmark=W.benchmark_tables(),
        images=lambda w: (
            dataset_files(CONFIG.report.dataset, "images", made=str(W.artifacts / "fig7.json"))
            if w.figure == "fig7" and photographs(CONFIG.report.dataset)
            else []
        ),
        code=code("figures"),
    output:
        multiext(str(W.artifacts / "{figure}"), ".pdf", ".svg", ".png", ".json"),
    log:
        W.log("draw", "figure"),
    wildcard_constraints:
        figure=r"fig\w+",
    conda:
        "../../environment.yml"
    params:
        results=W.results,
        folder=W.artifacts,
        options=lambda w: artifact_options(w.figure),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "lad draw {wildcards.figure} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule draw_table:
    input:
        evaluations=EVALUATIONS,
        code=code("figures"),
    output:
        multiext(str(W.artifacts / "{table}"), ".csv", ".md", ".tex", ".json"),
    log:
        W.log("draw", "table"),
    wildcard_constraints:
        table=r"table\w+|published",
    conda:
        "../../environment.yml"
    params:
        results=W.results,
        folder=W.artifacts,
        options=lambda w: artifact_options(w.table),
    message:
        "Drawing {wildcards.table}"
    shell:
        "lad draw {wildcards.table} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule write_report:
    input:
        artifacts=ARTIFACT_FILES,
        code=code("figures"),
    output:
        W.report,
    log:
        W.log("write_report"),
    conda:
        "../../environment.yml"
    params:
        results=W.results,
        folder=W.artifacts,
        title=CONFIG.title,
        label=CONFIG.label,
        provenance=W.provenance_words(),
    message:
        "Writing {output}"
    shell:
        "lad report --results {params.results:q} --artifacts {params.folder:q} --out {output:q} --title {params.title:q}"
        " --label {params.label:q} {params.provenance:q} > {log:q} 2>&1"
