# Benchmark construction: images, embeddings, questions, presentations.


rule render_scenes:
    input:
        code=code("demo/scenes.py"),
    output:
        captions=W.rendered("captions"),
        instances=W.rendered("instances"),
        images=directory(W.rendered("images")),
    log:
        W.log("render_scenes", "dataset"),
    wildcard_constraints:
        dataset=W.datasets(mmiu=False),
    conda:
        "../../environment.yml"
    params:
        folder=lambda w, output: Path(output.captions).parent,
        images=lambda w: CONFIG.datasets[w.dataset].render.images,
        seed=lambda w: CONFIG.datasets[w.dataset].render.seed,
    message:
        "Rendering {params.images} scenes"
    shell:
        "lad scenes --out {params.folder:q} --images {params.images} --seed {params.seed} > {log:q} 2>&1"


rule render_tasks:
    input:
        code=code("demo/tasks.py", "demo/scenes.py"),
    output:
        annotations=W.rendered("annotations"),
        images=directory(W.rendered("images")),
    log:
        W.log("render_tasks", "dataset"),
    wildcard_constraints:
        dataset=W.datasets(mmiu=True),
    conda:
        "../../environment.yml"
    params:
        folder=lambda w, output: Path(output.annotations).parent,
        questions=lambda w: CONFIG.datasets[w.dataset].render_tasks.questions,
        seed=lambda w: CONFIG.datasets[w.dataset].render_tasks.seed,
    message:
        "Rendering tasks of {params.questions} questions"
    shell:
        "lad scene-tasks --out {params.folder:q} --questions {params.questions} --seed {params.seed} > {log:q} 2>&1"


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
        data=lambda w: dataset_files(
            w.dataset, "captions", "instances", "images", made=W.table("images", dataset=w.dataset)
        ),
        code=code("benchmark/coco.py", "benchmark/flickr8k.py"),
    output:
        W.table("images"),
    log:
        W.log("read_images", "dataset"),
    wildcard_constraints:
        dataset=W.datasets(mmiu=False),
    conda:
        "../../environment.yml"
    params:
        captions=lambda w: W.dataset_part(w.dataset, "captions"),
        instances=lambda w: option("instances", W.dataset_part(w.dataset, "instances")),
        images=lambda w: W.dataset_part(w.dataset, "images"),
        format=lambda w: CONFIG.datasets[w.dataset].format,
        caption_policy=lambda w: CONFIG.datasets[w.dataset].caption_policy,
    message:
        "Reading the images of {wildcards.dataset}"
    shell:
        "lad images --captions {params.captions:q} --image-folder {params.images:q} {params.instances:q}"
        " --format {params.format} --caption-policy {params.caption_policy} --out {output:q} > {log:q} 2>&1"


rule read_mmiu:
    input:
        data=lambda w: dataset_files(w.dataset, "annotations", "images", made=W.table("images", dataset=w.dataset)),
        code=code("benchmark/mmiu.py"),
    output:
        images=W.table("images"),
        refused=str(Path(W.table("images")).with_name("refused.json")),
    log:
        W.log("read_mmiu", "dataset"),
    wildcard_constraints:
        dataset=W.datasets(mmiu=True),
    conda:
        "../../environment.yml"
    params:
        annotations=lambda w: W.dataset_part(w.dataset, "annotations"),
        images=lambda w: W.dataset_part(w.dataset, "images"),
        tasks=lambda w: [f"--task={task}" for task in W.grid.settings(w.dataset)],
    message:
        "Reading the questions and images of {wildcards.dataset}"
    shell:
        "lad mmiu-images --annotations {params.annotations:q} --image-folder {params.images:q} {params.tasks:q}"
        " --out {output.images:q} --refused {output.refused:q} > {log:q} 2>&1"


rule embed_images:
    input:
        images=W.table("images"),
        data=lambda w: dataset_files(w.dataset, "images", made=W.table("embeddings", dataset=w.dataset)),
        checkpoint=lambda w: local_checkpoint(CONFIG.datasets[w.dataset].embeddings.checkpoint),
        code=code("benchmark/embeddings.py", "pictures.py"),
    output:
        W.table("embeddings"),
    log:
        W.log("embed_images", "dataset"),
    conda:
        "../../environment.yml"
    threads: CONFIG.extraction.threads
    resources:
        gpu=lambda w: 0 if "--device=cpu" in W.embedding_words(w.dataset) else 1,
    params:
        folder=lambda w: W.dataset_part(w.dataset, "images"),
        options=lambda w: W.embedding_words(w.dataset),
        finished=W.finished,
    message:
        "Embedding the images of {wildcards.dataset}"
    shell:
        "lad embed --images {input.images:q} --image-folder {params.folder:q} {params.options:q} --threads {threads}"
        " --finished {params.finished:q} --out {output:q} > {log:q} 2>&1"


rule build_questions:
    input:
        images=W.table("images"),
        embeddings=lambda w: W.table("embeddings", dataset=w.dataset) if w.setting == "adversarial" else [],
        code=code("benchmark/questions.py", "benchmark/negatives.py", "benchmark/draws.py"),
    output:
        W.table("questions"),
    log:
        W.log("build_questions", "dataset", "setting", "n"),
    wildcard_constraints:
        dataset=W.datasets(mmiu=False),
    conda:
        "../../environment.yml"
    params:
        evaluation=CONFIG.benchmark.questions,
        calibration=lambda w: W.grid.calibration_questions[benchmark_of(w)],
        pool=lambda w: option("pool", CONFIG.datasets[w.dataset].pool),
        negatives=lambda w, input: W.negative_words(input.embeddings),
        seed=CONFIG.seed,
    message:
        "Building the {wildcards.setting} questions with {wildcards.n} candidates"
    shell:
        "lad questions --images {input.images:q} --dataset {wildcards.dataset} --setting {wildcards.setting}"
        " --n {wildcards.n} --evaluation {params.evaluation} --calibration {params.calibration} {params.pool}"
        " {params.negatives:q} --seed {params.seed} --out {output:q} > {log:q} 2>&1"


rule choose_questions:
    input:
        data=lambda w: dataset_files(w.dataset, "annotations", "images", made=W.table("questions", **dict(w.items()))),
        images=W.table("images"),
        code=code("benchmark/mmiu.py", "benchmark/draws.py"),
    output:
        W.table("questions"),
    log:
        W.log("choose_questions", "dataset", "setting", "n"),
    wildcard_constraints:
        dataset=W.datasets(mmiu=True),
    conda:
        "../../environment.yml"
    params:
        annotations=lambda w: W.dataset_part(w.dataset, "annotations"),
        folder=lambda w: W.dataset_part(w.dataset, "images"),
        evaluation=CONFIG.benchmark.questions,
        calibration=lambda w: W.grid.calibration_questions[benchmark_of(w)],
        seed=CONFIG.seed,
    message:
        "Choosing the questions of {wildcards.setting} with {wildcards.n} candidates"
    shell:
        "lad mmiu-questions --annotations {params.annotations:q} --image-folder {params.folder:q}"
        " --images {input.images:q} --dataset {wildcards.dataset} --task {wildcards.setting:q} --n {wildcards.n}"
        " --evaluation {params.evaluation} --calibration {params.calibration} --seed {params.seed}"
        " --out {output:q} > {log:q} 2>&1"


rule build_presentations:
    input:
        questions=W.table("questions"),
        code=code("benchmark/presentations.py", "benchmark/draws.py"),
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
    conda:
        "../../environment.yml"
    params:
        folder=W.content_free(),
    message:
        "Drawing {wildcards.n} blank images"
    shell:
        "lad content-free --images {input.images:q} --n {wildcards.n} --out {params.folder:q} > {log:q} 2>&1"
