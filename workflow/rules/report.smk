# Figures and tables, each from the tables that it needs, the report that shows them all, and the explorer of questions.
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
        published=lambda w: W.published(w.table),
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
        explorer=Path(W.explorer).name,
    message:
        "Writing {output}"
    shell:
        "lad report --results {params.results:q} --artifacts {params.folder:q} --out {output:q} --title {params.title:q}"
        " --label {params.label:q} {params.provenance:q} --explorer {params.explorer:q} > {log:q} 2>&1"


rule write_explorer:
    input:
        tables=W.needed(W.explored),
        photographs=explored_photographs(),
        code=code("report/explorer", "report/needs.py", "report/results.py", "pictures.py"),
    output:
        W.explorer,
    log:
        W.log("write_explorer"),
    conda:
        "../../environment.yml"
    params:
        results=W.results,
        title=CONFIG.title,
        label=CONFIG.label,
        questions=CONFIG.calibration.questions,
        words=W.explorer_words(),
        report=Path(W.report).name,
    message:
        "Writing {output}"
    shell:
        "lad explorer --results {params.results:q} --out {output:q} --title {params.title:q} --label {params.label:q}"
        " --calibration-questions {params.questions} {params.words:q} --report {params.report:q} > {log:q} 2>&1"
