# Evaluation: metrics, and paired differences between methods of one scoring and of two, with bootstrap intervals over
# questions; of datasets of lists also how these are ranked, with intervals over lists.


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


rule compare:
    input:
        predictions=W.table("predictions"),
        reference=lambda w: W.table("predictions", **W.grid.reference(scoring_of(w)).keys),
        code=code("evaluation"),
    output:
        W.table("comparisons"),
    log:
        W.log("compare", *RELATIONS["predictions"].keys),
    conda:
        "../../environment.yml"
    params:
        questions=CONFIG.calibration.questions,
        resamples=CONFIG.evaluation.resamples,
        seed=CONFIG.seed,
    message:
        "Comparing {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad compare --predictions {input.predictions:q} --reference {input.reference:q}"
        " --calibration-questions {params.questions} --resamples {params.resamples} --seed {params.seed}"
        " --out {output:q} > {log:q} 2>&1"


rule rank_lists:
    input:
        predictions=W.table("predictions"),
        presentations=lambda w: W.ranked(w),
        questions=W.table("questions"),
        lists=W.table("lists"),
        code=code("evaluation"),
    output:
        W.table("rankings"),
    log:
        W.log("rank_lists", *RELATIONS["predictions"].keys),
    wildcard_constraints:
        dataset=W.of_lists(),
    conda:
        "../../environment.yml"
    params:
        presentations=lambda w: [option("presentations", path) for path in W.ranked(w)],
        resamples=CONFIG.evaluation.resamples,
        seed=CONFIG.seed,
    message:
        "Ranking lists by {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad rankings --predictions {input.predictions:q} {params.presentations:q} --questions {input.questions:q}"
        " --lists {input.lists:q} --resamples {params.resamples} --seed {params.seed} --out {output:q} > {log:q} 2>&1"


# All choices of one cell in one job: what its calibration signals hold beyond 40 questions is left out.
rule measure_choices:
    input:
        calibration=lambda w: W.table("signals", **vars(cell_of(w)), split="calibration"),
        evaluation=lambda w: W.table("signals", **vars(cell_of(w)), split="evaluation"),
        code=code("calibration", "methods", "evaluation", "choosing.py"),
    output:
        W.table("choices"),
    log:
        W.log("measure_choices", *RELATIONS["choices"].keys),
    conda:
        "../../environment.yml"
    params:
        methods=[f"--method={name}" for name in W.chosen_for],
        resamples=CONFIG.evaluation.resamples,
        seed=CONFIG.seed,
    message:
        "Choosing calibration questions for {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates"
    shell:
        "lad choices --calibration {input.calibration:q} --evaluation {input.evaluation:q} {params.methods:q}"
        " --resamples {params.resamples} --seed {params.seed} --out {output:q} > {log:q} 2>&1"
