# Figures and tables, each from the relations of the results folder, and the report that shows them all.


rule draw_figure:
    input:
        evaluations=evaluations(),
        benchmark=benchmark_tables(),
        images=lambda w: (
            dataset_files(config["report"]["dataset"], "images", made=str(ARTIFACTS / "fig7.json"))
            if w.figure == "fig7" and photographs(config["report"]["dataset"])
            else []
        ),
        code=code("figures"),
    output:
        multiext(str(ARTIFACTS / "{figure}"), ".pdf", ".svg", ".png", ".json"),
    log:
        log("draw", "figure"),
    conda:
        "../../environment.yml"
    params:
        results=RESULTS,
        folder=ARTIFACTS,
        options=lambda w: artifact_options(w.figure),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "lad draw {wildcards.figure} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule draw_table:
    input:
        evaluations=evaluations(),
        code=code("figures"),
    output:
        multiext(str(ARTIFACTS / "{table}"), ".csv", ".md", ".tex", ".json"),
    log:
        log("draw", "table"),
    conda:
        "../../environment.yml"
    params:
        results=RESULTS,
        folder=ARTIFACTS,
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
        REPORT,
    log:
        str(LOGS / "write_report.log"),
    conda:
        "../../environment.yml"
    params:
        results=RESULTS,
        folder=ARTIFACTS,
        title=config["title"],
        label=config["label"],
        provenance=provenance(),
    message:
        "Writing {output}"
    shell:
        "lad report --results {params.results:q} --artifacts {params.folder:q} --out {output:q} --title {params.title:q}"
        " --label {params.label:q} {params.provenance:q} > {log:q} 2>&1"
