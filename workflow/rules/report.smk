# Figures and tables, each from the tables that it needs, and the report that shows them all.


rule draw_figure:
    input:
        tables=lambda w: needed(NEEDS[w.figure]),
        photographs=lambda w: shown_photographs(w.figure),
        code=lambda w: drawing_code(w.figure),
    output:
        multiext(str(DRAWN / "{figure}"), ".pdf", ".svg", ".png", ".json"),
    log:
        log("draw", "figure"),
    conda:
        "../../environment.yml"
    params:
        results=RESULTS,
        folder=DRAWN,
        options=lambda w: artifact_options(w.figure),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "lad draw {wildcards.figure} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule draw_table:
    input:
        tables=lambda w: needed(NEEDS[w.table]),
        code=lambda w: drawing_code(w.table),
    output:
        multiext(str(DRAWN / "{table}"), ".csv", ".md", ".tex", ".json"),
    log:
        log("draw", "table"),
    conda:
        "../../environment.yml"
    params:
        results=RESULTS,
        folder=DRAWN,
        options=lambda w: artifact_options(w.table),
    message:
        "Drawing {wildcards.table}"
    shell:
        "lad draw {wildcards.table} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule write_report:
    input:
        artifacts=ARTIFACT_FILES,
        headline=needed(headline_needs(config, GRID)),
        code=code("report"),
    output:
        REPORT,
    log:
        str(LOGS / "write_report.log"),
    conda:
        "../../environment.yml"
    params:
        results=RESULTS,
        folder=DRAWN,
        title=config["title"],
        label=config["label"],
        provenance=provenance(),
    message:
        "Writing {output}"
    shell:
        "lad report --results {params.results:q} --artifacts {params.folder:q} --out {output:q} --title {params.title:q}"
        " --label {params.label:q} {params.provenance:q} > {log:q} 2>&1"
