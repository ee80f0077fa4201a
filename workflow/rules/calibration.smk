# Calibration: the conditional position bias and the attention prior, from a few questions.


rule calibrate:
    input:
        signals=W.table("signals"),
        code=code("calibration"),
    output:
        position_bias=W.table("position_bias"),
        attention_prior=W.table("attention_prior"),
        position_prior=W.table("position_prior"),
        attention_skill=W.table("attention_skill"),
        fusion=W.table("fusion"),
    log:
        W.log("calibrate", *RELATIONS["position_bias"].keys),
    conda:
        "../../environment.yml"
    params:
        folder=lambda w, output: Path(output.position_bias).parent,
        formulations=lambda w: [f"--formulation={name}" for name in W.grid.formulations.get(cell_of(w), ["printed"])],
    message:
        "Calibrating {wildcards.model} on {wildcards.calibration_questions} questions: {wildcards.setting},"
        " {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad calibrate --signals {input.signals:q} --questions {wildcards.calibration_questions}"
        " --set {wildcards.calibration_set} {params.formulations:q} --out {params.folder:q} > {log:q} 2>&1"
