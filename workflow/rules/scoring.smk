# Scoring: every method answers every presentation. No model from here on, only queries over the signals.


rule score:
    input:
        signals=lambda w: [
            table("signals", **vars(cell_of(w)), split=split) for split in sorted(GRID.splits[cell_of(w)])
        ],
        calibration=lambda w: (calibration_of(scoring_of(w)) if GRID.needs_calibration(scoring_of(w)) else []),
        generations=lambda w: (
            [table("generations", **vars(cell_of(w)), split=split) for split in sorted(GRID.splits[cell_of(w)])]
            if GRID.needs_generations(scoring_of(w))
            else []
        ),
        code=code("scoring", "calibration"),
    output:
        table("predictions"),
    log:
        log("score", *RELATIONS["predictions"].keys),
    conda:
        "../../environment.yml"
    params:
        signals=lambda w, input: [f"--signals={path}" for path in input.signals],
        methods=lambda w: [f"--method={method}" for method in GRID.methods[scoring_of(w)]],
        calibration=lambda w, input: optional(
            "--calibration", Path(input.calibration).parent if input.calibration else None
        ),
        generations=lambda w, input: [f"--generations={path}" for path in input.generations],
        formulation=config["scoring"]["formulation"],
        top_k=config["scoring"]["top_k"],
        temperature=config["scoring"]["temperature"],
    message:
        "Scoring {wildcards.model}: {wildcards.setting}, {wildcards.n} candidates, {wildcards.probe}"
    shell:
        "lad score {params.signals:q} {params.methods:q} {params.calibration:q} {params.generations:q}"
        " --formulation {params.formulation} --top-k {params.top_k} --temperature {params.temperature}"
        " --out {output:q} > {log:q} 2>&1"
