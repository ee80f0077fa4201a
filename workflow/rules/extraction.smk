# Extraction: the only stage that runs the model. It does not list its code: `extractor_version` re-runs it.
# Probes that have the model write texts have a rule of their own, with the texts as a second output.


rule extract_signals:
    input:
        images=shown("images"),
        data=shown_data,
        questions=shown("questions"),
        presentations=shown("presentations"),
        checkpoint=lambda w: local_checkpoint(config["models"][w.model]["checkpoint"]),
    output:
        signals=table("signals"),
    log:
        log("extract_signals", "model", "dataset", "setting", "n", "probe", "split"),
    wildcard_constraints:
        probe=one_of({cell.probe for cell in GRID.cells} - set(GRID.generating_probes)),
    conda:
        "../../environment.yml"
    threads: config["extraction"]["threads"]
    resources:
        gpu=0 if config["extraction"]["device"] == "cpu" else 1,
    params:
        folder=shown_folder,
        checkpoint=lambda w: config["models"][w.model]["checkpoint"],
        options=lambda w: model_options(w.model),
        questions=lambda w: optional("--first-questions", GRID.first_questions(cell_of(w), w.split)),
        heads=lambda w: "--head-attention" if cell_of(w) in GRID.by_head else "",
        answer_text=lambda w: "--answer-text" if w.split == "evaluation" else "",
        extractor_version=EXTRACTOR_VERSION,
        finished=FINISHED,
        texts="",
    message:
        "Asking {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}, {wildcards.split}"
    shell:
        "lad extract --checkpoint {params.checkpoint} --probe {wildcards.probe} --images {input.images}"
        " --image-folder {params.folder} --questions {input.questions} --presentations {input.presentations}"
        " {params.options} {params.questions} {params.heads} {params.answer_text} {params.texts} --threads {threads}"
        " --finished {params.finished} --out {output.signals} > {log} 2>&1"


use rule extract_signals as extract_generations with:
    output:
        signals=table("signals"),
        generations=table("generations"),
    log:
        log("extract_generations", "model", "dataset", "setting", "n", "probe", "split"),
    wildcard_constraints:
        probe=one_of(GRID.generating_probes),
    params:
        answer_text="",
        texts=lambda w, output: f"--generations {output.generations} --seed {config['seed']}",
    message:
        "Letting {wildcards.model} write: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe},"
        " {wildcards.split}"
