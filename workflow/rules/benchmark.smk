# Benchmark construction: images, embeddings, questions, presentations.


rule render_scenes:
    input:
        code=modules("demo/scenes.py"),
    output:
        captions=str(RESULTS / "datasets" / "{dataset}" / RENDERED["captions"]),
        instances=str(RESULTS / "datasets" / "{dataset}" / RENDERED["instances"]),
        images=directory(str(RESULTS / "datasets" / "{dataset}" / RENDERED["images"])),
    log:
        log("render_scenes", "dataset"),
    wildcard_constraints:
        dataset=datasets(mmiu=False),
    conda:
        "../../environment.yml"
    params:
        folder=lambda w, output: Path(output.captions).parent,
        images=lambda w: config["datasets"][w.dataset]["render"]["images"],
        seed=lambda w: config["datasets"][w.dataset]["render"]["seed"],
    message:
        "Rendering {params.images} scenes"
    shell:
        "lad scenes --out {params.folder:q} --images {params.images} --seed {params.seed} > {log:q} 2>&1"


rule render_tasks:
    input:
        code=modules("demo/tasks.py", "demo/scenes.py"),
    output:
        annotations=str(RESULTS / "datasets" / "{dataset}" / RENDERED["annotations"]),
        images=directory(str(RESULTS / "datasets" / "{dataset}" / RENDERED["images"])),
    log:
        log("render_tasks", "dataset"),
    wildcard_constraints:
        dataset=datasets(mmiu=True),
    conda:
        "../../environment.yml"
    params:
        folder=lambda w, output: Path(output.annotations).parent,
        questions=lambda w: config["datasets"][w.dataset]["render_tasks"]["questions"],
        seed=lambda w: config["datasets"][w.dataset]["render_tasks"]["seed"],
    message:
        "Rendering tasks of {params.questions} questions"
    shell:
        "lad scene-tasks --out {params.folder:q} --questions {params.questions} --seed {params.seed} > {log:q} 2>&1"


rule download_dataset:
    output:
        str(RESULTS / "datasets" / "{dataset}" / "downloaded.json"),
    log:
        log("download_dataset", "dataset"),
    localrule: True
    conda:
        "../../environment.yml"
    params:
        folder=lambda w: config["datasets"][w.dataset]["folder"],
        sources=lambda w: source_options(w.dataset),
    message:
        "Downloading what {params.folder} lacks of {wildcards.dataset}; {log} shows how far it is"
    shell:
        "lad download --folder {params.folder:q} {params.sources:q} --out {output:q} > {log:q} 2>&1"


rule read_images:
    input:
        data=lambda w: dataset_files(
            w.dataset, "captions", "instances", "images", made=table("images", dataset=w.dataset)
        ),
        code=modules("benchmark/coco.py", "benchmark/flickr8k.py"),
    output:
        table("images"),
    log:
        log("read_images", "dataset"),
    wildcard_constraints:
        dataset=datasets(mmiu=False),
    conda:
        "../../environment.yml"
    params:
        captions=lambda w: dataset_part(w.dataset, "captions"),
        instances=lambda w: optional("--instances", dataset_part(w.dataset, "instances")),
        images=lambda w: dataset_part(w.dataset, "images"),
        format=lambda w: config["datasets"][w.dataset].get("format", "coco"),
        caption_policy=lambda w: config["datasets"][w.dataset].get("caption_policy", "first"),
    message:
        "Reading the images of {wildcards.dataset}"
    shell:
        "lad images --captions {params.captions:q} --image-folder {params.images:q} {params.instances:q}"
        " --format {params.format} --caption-policy {params.caption_policy} --out {output:q} > {log:q} 2>&1"


rule read_mmiu:
    input:
        data=lambda w: dataset_files(w.dataset, "annotations", "images", made=table("images", dataset=w.dataset)),
        code=modules("benchmark/mmiu.py"),
    output:
        images=table("images"),
        refused=str(Path(table("images")).with_name("refused.json")),
    log:
        log("read_mmiu", "dataset"),
    wildcard_constraints:
        dataset=datasets(mmiu=True),
    conda:
        "../../environment.yml"
    params:
        annotations=lambda w: dataset_part(w.dataset, "annotations"),
        images=lambda w: dataset_part(w.dataset, "images"),
        tasks=lambda w: [f"--task={task}" for task in GRID.settings(w.dataset)],
    message:
        "Reading the questions and images of {wildcards.dataset}"
    shell:
        "lad mmiu-images --annotations {params.annotations:q} --image-folder {params.images:q} {params.tasks:q}"
        " --out {output.images:q} --refused {output.refused:q} > {log:q} 2>&1"


rule embed_images:
    input:
        images=table("images"),
        data=lambda w: dataset_files(w.dataset, "images", made=table("embeddings", dataset=w.dataset)),
        checkpoint=lambda w: local_checkpoint(config["datasets"][w.dataset]["embeddings"].get("checkpoint")),
        code=modules("benchmark/embeddings.py", "pictures.py"),
    output:
        table("embeddings"),
    log:
        log("embed_images", "dataset"),
    conda:
        "../../environment.yml"
    threads: config["extraction"]["threads"]
    resources:
        gpu=lambda w: 0 if "--device=cpu" in embedding_options(w.dataset) else 1,
    params:
        folder=lambda w: dataset_part(w.dataset, "images"),
        options=lambda w: embedding_options(w.dataset),
        finished=FINISHED,
    message:
        "Embedding the images of {wildcards.dataset}"
    shell:
        "lad embed --images {input.images:q} --image-folder {params.folder:q} {params.options:q} --threads {threads}"
        " --finished {params.finished:q} --out {output:q} > {log:q} 2>&1"


rule build_questions:
    input:
        images=table("images"),
        embeddings=lambda w: table("embeddings", dataset=w.dataset) if w.setting == "adversarial" else [],
        code=modules("benchmark/questions.py", "benchmark/negatives.py", "benchmark/draws.py"),
    output:
        table("questions"),
    log:
        log("build_questions", "dataset", "setting", "n"),
    wildcard_constraints:
        dataset=datasets(mmiu=False),
    conda:
        "../../environment.yml"
    params:
        evaluation=config["benchmark"]["questions"],
        calibration=lambda w: GRID.calibration_questions[benchmark_of(w)],
        pool=lambda w: optional("--pool", config["datasets"][w.dataset].get("pool")),
        negatives=lambda w, input: (
            [
                f"--embeddings={input.embeddings}",
                f"--category-filter={config['benchmark']['category_filter']}",
                f"--caption-threshold={config['benchmark']['caption_threshold']}",
            ]
            if input.embeddings
            else []
        ),
        seed=config["seed"],
    message:
        "Building the {wildcards.setting} questions with {wildcards.n} candidates"
    shell:
        "lad questions --images {input.images:q} --dataset {wildcards.dataset} --setting {wildcards.setting}"
        " --n {wildcards.n} --evaluation {params.evaluation} --calibration {params.calibration} {params.pool}"
        " {params.negatives:q} --seed {params.seed} --out {output:q} > {log:q} 2>&1"


rule choose_questions:
    input:
        data=lambda w: dataset_files(w.dataset, "annotations", "images", made=table("questions", **dict(w.items()))),
        images=table("images"),
        code=modules("benchmark/mmiu.py", "benchmark/draws.py"),
    output:
        table("questions"),
    log:
        log("choose_questions", "dataset", "setting", "n"),
    wildcard_constraints:
        dataset=datasets(mmiu=True),
    conda:
        "../../environment.yml"
    params:
        annotations=lambda w: dataset_part(w.dataset, "annotations"),
        folder=lambda w: dataset_part(w.dataset, "images"),
        evaluation=config["benchmark"]["questions"],
        calibration=lambda w: GRID.calibration_questions[benchmark_of(w)],
        seed=config["seed"],
    message:
        "Choosing the questions of {wildcards.setting} with {wildcards.n} candidates"
    shell:
        "lad mmiu-questions --annotations {params.annotations:q} --image-folder {params.folder:q}"
        " --images {input.images:q} --dataset {wildcards.dataset} --task {wildcards.setting:q} --n {wildcards.n}"
        " --evaluation {params.evaluation} --calibration {params.calibration} --seed {params.seed}"
        " --out {output:q} > {log:q} 2>&1"


rule build_presentations:
    input:
        questions=table("questions"),
        code=modules("benchmark/presentations.py", "benchmark/draws.py"),
    output:
        table("presentations"),
    log:
        log("build_presentations", "dataset", "setting", "n", "split"),
    conda:
        "../../environment.yml"
    params:
        orders=lambda w: config["benchmark"]["permutations" if w.split == "permuted" else "orders"],
        seed=config["seed"],
    message:
        "Ordering the candidates of the {wildcards.setting} questions with {wildcards.n} candidates ({wildcards.split})"
    shell:
        "lad presentations --questions {input.questions:q} --split {wildcards.split} --rounds {params.orders}"
        " --seed {params.seed} --out {output:q} > {log:q} 2>&1"


rule build_content_free:
    input:
        images=table("images"),
        code=modules("benchmark/content_free.py"),
    output:
        folder=directory(f"{content_free()}/images"),
        images=f"{content_free()}/images.parquet",
        questions=f"{content_free()}/questions.parquet",
        presentations=f"{content_free()}/presentations.parquet",
    log:
        log("build_content_free", "dataset", "n"),
    conda:
        "../../environment.yml"
    params:
        folder=content_free(),
    message:
        "Drawing {wildcards.n} blank images"
    shell:
        "lad content-free --images {input.images:q} --n {wildcards.n} --out {params.folder:q} > {log:q} 2>&1"
