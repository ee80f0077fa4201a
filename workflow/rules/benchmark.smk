# Benchmark construction: images, lists, embeddings, questions, presentations.


rule render_dataset:
    input:
        code=lambda w: code(*CONFIG.datasets[w.dataset].code),
    output:
        directory(W.rendered()),
    log:
        W.log("render_dataset", "dataset"),
    wildcard_constraints:
        dataset=W.all_rendered(),
    conda:
        "../../environment.yml"
    params:
        words=lambda w: W.rendering_words(w.dataset),
    message:
        "Rendering {wildcards.dataset}"
    shell:
        "lad render {params.words:q} --out {output:q} > {log:q} 2>&1"


rule download_dataset:
    output:
        W.receipt(),
    log:
        W.log("download_dataset", "dataset"),
    localrule: True
    conda:
        "../../environment.yml"
    params:
        folder=lambda w: CONFIG.datasets[w.dataset].folder,
        sources=lambda w: W.download_words(w.dataset),
    message:
        "Downloading what {params.folder} lacks of {wildcards.dataset}; {log} shows how far it is"
    shell:
        "lad download --folder {params.folder:q} {params.sources:q} --out {output:q} > {log:q} 2>&1"


rule read_images:
    input:
        data=lambda w: dataset_files(w.dataset, made=W.table("images", dataset=w.dataset)),
        code=lambda w: W.code_of(w.dataset),
    output:
        W.table("images"),
    log:
        W.log("read_images", "dataset"),
    conda:
        "../../environment.yml"
    params:
        files=lambda w: W.reading_words(w.dataset),
        tasks=lambda w: W.tasks(w.dataset),
    message:
        "Reading {wildcards.dataset}"
    shell:
        "lad images {params.files:q} {params.tasks:q} --out {output:q} > {log:q} 2>&1"


rule build_lists:
    input:
        images=W.table("images"),
        data=lambda w: dataset_files(w.dataset, made=W.table("lists", **dict(w.items()))),
        code=lambda w: W.code_of(w.dataset),
    output:
        W.table("lists"),
    log:
        W.log("build_lists", "dataset", "setting"),
    wildcard_constraints:
        dataset=W.of_lists(),
    conda:
        "../../environment.yml"
    params:
        files=lambda w: W.reading_words(w.dataset),
    message:
        "Writing the lists of {wildcards.dataset}, {wildcards.setting}"
    shell:
        "lad lists --images {input.images:q} --setting {wildcards.setting:q} {params.files:q} --out {output:q}"
        " > {log:q} 2>&1"


rule embed_images:
    input:
        images=W.table("images"),
        data=lambda w: image_files(w.dataset, made=W.table("embeddings", dataset=w.dataset)),
        checkpoint=lambda w: W.embedding_checkpoint(w.dataset),
        code=lambda w: W.embedding_code(w.dataset),
    output:
        W.table("embeddings"),
    log:
        W.log("embed_images", "dataset"),
    conda:
        "../../environment.yml"
    threads: CONFIG.extraction.threads
    resources:
        gpu=lambda w: int(any(word.startswith("--device=cuda") for word in W.embedding_words(w.dataset))),
    params:
        options=lambda w: W.embedding_words(w.dataset),
        finished=W.finished,
    message:
        "Embedding the candidates of {wildcards.dataset}"
    shell:
        "lad embed --images {input.images:q} {params.options:q} --threads {threads} --finished {params.finished:q}"
        " --out {output:q} > {log:q} 2>&1"


rule build_questions:
    input:
        images=W.table("images"),
        data=lambda w: (
            dataset_files(w.dataset, made=W.table("questions", **dict(w.items())))
            if CONFIG.datasets[w.dataset].has_own_questions
            else []
        ),
        embeddings=lambda w: W.question_embeddings(w),
        code=lambda w: W.question_code(w.dataset),
    output:
        W.table("questions"),
    log:
        W.log("build_questions", "dataset", "setting", "n"),
    conda:
        "../../environment.yml"
    params:
        evaluation=CONFIG.benchmark.questions,
        calibration=lambda w: W.grid.calibration_questions[benchmark_of(w)],
        words=lambda w: W.question_words(w),
        seed=CONFIG.seed,
    message:
        "Building the {wildcards.setting} questions with {wildcards.n} candidates"
    shell:
        "lad questions --images {input.images:q} --dataset {wildcards.dataset} --setting {wildcards.setting:q}"
        " --n {wildcards.n} --evaluation {params.evaluation} --calibration {params.calibration} {params.words:q}"
        " --seed {params.seed} --out {output:q} > {log:q} 2>&1"


rule build_presentations:
    input:
        questions=W.table("questions"),
        code=code("benchmark/presentations.py", "seeded.py"),
    output:
        W.table("presentations"),
    log:
        W.log("build_presentations", "dataset", "setting", "n", "split"),
    conda:
        "../../environment.yml"
    params:
        orders=lambda w: CONFIG.benchmark.permutations if w.split == "permuted" else CONFIG.benchmark.orders,
        seed=CONFIG.seed,
    message:
        "Ordering the candidates of the {wildcards.setting} questions with {wildcards.n} candidates ({wildcards.split})"
    shell:
        "lad presentations --questions {input.questions:q} --split {wildcards.split} --rounds {params.orders}"
        " --seed {params.seed} --out {output:q} > {log:q} 2>&1"


rule build_content_free:
    input:
        images=W.table("images"),
        code=code("benchmark/content_free.py"),
    output:
        folder=directory(f"{W.content_free()}/images"),
        images=f"{W.content_free()}/images.parquet",
        questions=f"{W.content_free()}/questions.parquet",
        presentations=f"{W.content_free()}/presentations.parquet",
    log:
        W.log("build_content_free", "dataset", "n"),
    wildcard_constraints:
        dataset=W.of_images(),
    conda:
        "../../environment.yml"
    params:
        folder=W.content_free(),
    message:
        "Drawing {wildcards.n} blank images"
    shell:
        "lad content-free --images {input.images:q} --n {wildcards.n} --out {params.folder:q} > {log:q} 2>&1"


use rule build_content_free as build_content_free_texts with:
    output:
        images=f"{W.content_free()}/images.parquet",
        questions=f"{W.content_free()}/questions.parquet",
        presentations=f"{W.content_free()}/presentations.parquet",
    log:
        W.log("build_content_free_texts", "dataset", "n"),
    wildcard_constraints:
        dataset=W.of_texts(),
    message:
        "Writing {wildcards.n} texts without content"
