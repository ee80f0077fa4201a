# Calibration: the conditional position bias and the attention prior, from a few questions.


rule calibrate:
    input:
        signals=table("signals", split="calibration"),
        code=code("calibration"),
    output:
        position_bias=table("position_bias"),
        attention_prior=table("attention_prior"),
        position_prior=table("position_prior"),
    log:
        log("calibrate", "model", "dataset", "setting", "n", "probe", "calibration_questions"),
    conda:
        "../../environment.yml"
    params:
        folder=lambda w, output: Path(output.position_bias).parent,
    message:
        "Calibrating {wildcards.model} on {wildcards.calibration_questions} questions: {wildcards.setting},"
        " {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad calibrate --signals {input.signals} --questions {wildcards.calibration_questions}"
        " --out {params.folder} > {log} 2>&1"
