# Figures and tables, each from the tables that it needs, and the report that shows them all.
ARTIFACT_FILES = [str(W.artifacts / f"{artifact}.json") for artifact in CONFIG.report.artifacts]


rule draw_figure:
    input:
        tables=lambda w: W.needed(W.needs[w.figure]),
        photographs=lambda w: photographs_in(w.figure),
        code=lambda w: drawing_code(w.figure),
    output:
        multiext(str(W.artifacts / "{figure}"), ".pdf", ".svg", ".png", ".json"),
    log:
        W.log("draw", "figure"),
    wildcard_constraints:
        figure=one_of(names_of("figure")),
    conda:
        "../../environment.yml"
    params:
        results=W.results,
        folder=W.artifacts,
        options=lambda w: W.drawing_words(w.figure),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "lad draw {wildcards.figure} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule draw_table:
    input:
        tables=lambda w: W.needed(W.needs[w.table]),
        code=lambda w: drawing_code(w.table),
    output:
        multiext(str(W.artifacts / "{table}"), ".csv", ".md", ".tex", ".json"),
    log:
        W.log("draw", "table"),
    wildcard_constraints:
        table=one_of(names_of("table")),
    conda:
        "../../environment.yml"
    params:
        results=W.results,
        folder=W.artifacts,
        options=lambda w: W.drawing_words(w.table),
    message:
        "Drawing {wildcards.table}"
    shell:
        "lad draw {wildcards.table} --results {params.results:q} --out {params.folder:q} {params.options:q} > {log:q} 2>&1"


rule write_report:
    input:
        artifacts=ARTIFACT_FILES,
        headline=W.needed(W.headline),
        code=code("report/page.py", "report/page.html.j2", "report/page.css", "report/headline.py"),
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
