# The other entry: a signals bundle in place of benchmark and extraction. No model, no images, no GPU.
from lad.bundle import read_manifest

try:
    MANIFEST = read_manifest(Path(CONFIG.bundle))
    MANIFEST.refuse_missing(W.bundled_partitions())
except ValueError as error:
    raise WorkflowError(str(error))


# A table is unpacked again when the bundle has another of that name; that the bundle's file is newer says nothing.
rule unpack:
    input:
        bundle=ancient(CONFIG.bundle),
    output:
        str(W.results / "{partition}.parquet"),
    log:
        W.log("unpack", "partition"),
    wildcard_constraints:
        partition="(images|lists|questions|presentations|signals)/.+",
    conda:
        "../../environment.yml"
    params:
        member=lambda w: f"{w.partition}.parquet",
        results=W.results,
        sha256=lambda w: MANIFEST.by_path[f"{w.partition}.parquet"].sha256,
    message:
        "Unpacking {wildcards.partition}"
    shell:
        "lad unbundle --bundle {input.bundle:q} --results {params.results:q} --only {params.member:q} > {log:q} 2>&1"
