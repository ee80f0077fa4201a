# Evaluation: metrics, and paired differences between methods, with bootstrap intervals over questions.


rule evaluate:
    input:
        predictions=W.table("predictions"),
        code=code("evaluation"),
    output:
        metrics=W.table("metrics"),
        differences=W.table("differences"),
    log:
        W.log("evaluate", *RELATIONS["predictions"].keys),
    conda:
        "../../environment.yml"
    params:
        resamples=CONFIG.evaluation.resamples,
        seed=CONFIG.seed,
    message:
        "Measuring {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad evaluate --predictions {input.predictions:q} --resamples {params.resamples} --seed {params.seed}"
        " --out {output.metrics:q} --differences {output.differences:q} > {log:q} 2>&1"
