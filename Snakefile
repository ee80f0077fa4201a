# The pipeline lies in workflow/, where Snakemake's catalog looks for it.
include: "workflow/Snakefile"


# An included file's default target does not count by itself.
workflow.default_target = "all"
