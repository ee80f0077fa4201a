# Extraction: the only stage that runs the model. It does not list its code: `extractor_version` re-runs it.
# Probes that have the model write texts have a rule of their own, with the texts as a second output.
# With `extraction.shard_size`, a job extracts a shard of a cell and split, and a last rule merges them.


# A GGUF file takes transformers long to read: it is written once as a folder, which every job loads in a second.
rule convert_checkpoint:
    input:
        lambda w: local_checkpoint(CONFIG.models[w.model].checkpoint),
    output:
        directory(W.converted()),
    log:
        W.log("convert_checkpoint", "model"),
    wildcard_constraints:
        model=W.of_gguf(),
    conda:
        "../../environment.yml"
    params:
        checkpoint=lambda w: CONFIG.models[w.model].checkpoint,
    message:
        "Reading the weights of {wildcards.model}"
    shell:
        "lad convert --checkpoint {params.checkpoint:q} --out {output:q} > {log:q} 2>&1"


rule extract_signals:
    input:
        images=lambda w: W.shown("images", w),
        data=shown_data,
        questions=lambda w: W.shown("questions", w),
        presentations=lambda w: W.shown("presentations", w),
        checkpoint=lambda w: W.checkpoint_files(w.model),
    output:
        signals=extracted("signals"),
    log:
        W.extraction_log("extract_signals"),
    wildcard_constraints:
        probe=one_of({cell.probe for cell in W.grid.cells} - set(W.grid.generating_probes)),
    conda:
        "../../environment.yml"
    threads: CONFIG.extraction.threads
    resources:
        gpu=lambda w: 0 if CONFIG.device(w.model) == "cpu" else 1,
    params:
        folder=W.folder_words,
        checkpoint=lambda w: W.checkpoint(w.model),
        options=lambda w: W.model_words(w.model),
        questions=lambda w: option("first_questions", W.grid.first_questions(cell_of(w), w.split)),
        shard=lambda w: f"--shard={w.shard}/{w.shards}" if W.is_sharded else "",
        keep=lambda w: [f"--keep={what}" for what in sorted(W.grid.kept.get((cell_of(w), w.split), ()))],
        answer_text=lambda w: "--answer-text" if w.split == "evaluation" else "",
        extractor_version=EXTRACTOR_VERSION,
        finished=W.finished,
        texts=[],
    message:
        "Asking {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}, {wildcards.split}"
        " {params.shard}"
    shell:
        "lad extract --checkpoint {params.checkpoint:q} --probe {wildcards.probe} --images {input.images:q}"
        " {params.folder:q} --questions {input.questions:q} --presentations {input.presentations:q}"
        " {params.options:q} {params.questions} {params.shard} {params.keep:q} {params.answer_text} {params.texts:q}"
        " --threads {threads} --finished {params.finished:q} --out {output.signals:q} > {log:q} 2>&1"


use rule extract_signals as extract_generations with:
    output:
        signals=extracted("signals"),
        generations=extracted("generations"),
    log:
        W.extraction_log("extract_generations"),
    wildcard_constraints:
        probe=one_of(W.grid.generating_probes),
    params:
        answer_text="",
        texts=lambda w, output: [f"--generations={output.generations}", f"--seed={CONFIG.seed}"],
    message:
        "Letting {wildcards.model} write: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe},"
        " {wildcards.split} {params.shard}"


if W.is_sharded:

    rule merge_shards:
        input:
            W.shards_of,
        output:
            str(Path(W.table("signals")).with_name("{relation}.parquet")),
        log:
            W.log("merge_shards", *RELATIONS["signals"].keys, "relation"),
        wildcard_constraints:
            relation="signals|generations",
        conda:
            "../../environment.yml"
        params:
            folder=lambda w: W.shards_folder(**vars(cell_of(w)), split=w.split),
            shards=lambda w, input: len(input),
        message:
            "Merging {params.shards} shards of {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates,"
            " {wildcards.probe}, {wildcards.split}"
        shell:
            "lad merge --folder {params.folder:q} --shards {params.shards} --relation {wildcards.relation}"
            " --out {output:q} > {log:q} 2>&1"
