# Evaluation: metrics, and paired differences between methods of one scoring and of two, with bootstrap intervals over
# questions.


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


rule compare:
    input:
        predictions=table("predictions"),
        reference=lambda w: table("predictions", **GRID.reference(scoring_of(w)).keys),
        code=code("evaluation"),
    output:
        table("comparisons"),
    log:
        log("compare", *RELATIONS["predictions"].keys),
    conda:
        "../../environment.yml"
    params:
        questions=config["calibration"]["questions"],
        resamples=config["evaluation"]["resamples"],
        seed=config["seed"],
    message:
        "Comparing {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad compare --predictions {input.predictions:q} --reference {input.reference:q}"
        " --calibration-questions {params.questions} --resamples {params.resamples} --seed {params.seed}"
        " --out {output:q} > {log:q} 2>&1"
