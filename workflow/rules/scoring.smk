# Scoring: every method answers every presentation. No model from here on, only queries over the signals.


rule score:
    input:
        signals=lambda w: [
            W.table("signals", **vars(cell_of(w)), split=split) for split in sorted(W.grid.splits[cell_of(w)])
        ],
        calibration=lambda w: (
            W.table("position_bias", **scoring_of(w).calibration_keys)
            if W.grid.needs_calibration(scoring_of(w))
            else []
        ),
        generations=lambda w: (
            [W.table("generations", **vars(cell_of(w)), split=split) for split in sorted(W.grid.splits[cell_of(w)])]
            if W.grid.needs_generations(scoring_of(w))
            else []
        ),
        code=code("methods", "calibration", "panning.py"),
    output:
        W.table("predictions"),
    log:
        W.log("score", *RELATIONS["predictions"].keys),
    conda:
        "../../environment.yml"
    params:
        signals=lambda w, input: [f"--signals={path}" for path in input.signals],
        methods=lambda w: [f"--method={method}" for method in W.grid.methods[scoring_of(w)]],
        calibration=lambda w, input: option(
            "calibration", Path(input.calibration).parent if input.calibration else None
        ),
        generations=lambda w, input: [f"--generations={path}" for path in input.generations],
        formulation=CONFIG.scoring.formulation,
        top_k=CONFIG.scoring.top_k,
        temperature=CONFIG.scoring.temperature,
    message:
        "Scoring {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad score {params.signals:q} {params.methods:q} {params.calibration:q} {params.generations:q}"
        " --formulation {params.formulation} --top-k {params.top_k} --temperature {params.temperature}"
        " --out {output:q} > {log:q} 2>&1"
