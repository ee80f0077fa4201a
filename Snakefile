# The pipeline, in order. `snakemake --cores all` makes everything that config/config.yaml asks for.
from snakemake.utils import min_version

min_version("9.27")


# A configuration of one's own (--configfile) replaces the demo's as a whole; --config key=value changes the demo's.
if "runs" not in config:

    configfile: "config/config.yaml"


include: "workflow/rules/layout.smk"


if "bundle" in config:

    include: "workflow/rules/bundle.smk"

else:

    include: "workflow/rules/benchmark.smk"
    include: "workflow/rules/extraction.smk"


include: "workflow/rules/calibration.smk"
include: "workflow/rules/scoring.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/figures.smk"


rule all:
    default_target: True
    input:
        W.report,
        ARTIFACT_FILES,
        W.benchmark_tables(),
