# Evaluation: metrics, and paired differences between methods, with bootstrap intervals over questions.


rule evaluate:
    input:
        predictions=table("predictions"),
        code=code("evaluation"),
    output:
        metrics=table("metrics"),
        differences=table("differences"),
    log:
        log("evaluate", *RELATIONS["predictions"].keys),
    conda:
        "../../environment.yml"
    params:
        resamples=config["evaluation"]["resamples"],
        seed=config["seed"],
    message:
        "Measuring {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad evaluate --predictions {input.predictions:q} --resamples {params.resamples} --seed {params.seed}"
        " --out {output.metrics:q} --differences {output.differences:q} > {log:q} 2>&1"
