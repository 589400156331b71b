# Responses: the voxels of a subject, and which of them belong to which region. A region that a
# subject lacks is left out there, so what follows for it is known once its regions are.


# A file of a few lines, not worth a job of a cluster.
localrules:
    regions,


rule responses:
    input:
        dataset=dataset_files("{subject}", "regions"),
    output:
        **writes("<results>/{subject}/responses.zarr"),
    log:
        "<logs>/responses/{subject}.log",
    benchmark:
        "<benchmarks>/responses/{subject}.tsv"
    params:
        code=code("responses"),
        dataset=dataset_section(),
        content=dataset_digest("responses"),
    message:
        "Reading the responses of {wildcards.subject}"
    script:
        "../scripts/responses.py"


rule rois:
    input:
        **reads(responses="<results>/{subject}/responses.zarr"),
        dataset=dataset_files("regions"),
    output:
        **writes("<results>/{subject}/rois.zarr"),
        # What the jobs of one region depend on, which a further region leaves as it is.
        members=of_rois("<results>/{subject}/{roi}/members.json"),
    log:
        "<logs>/rois/{subject}.log",
    benchmark:
        "<benchmarks>/rois/{subject}.tsv"
    params:
        code=code("rois"),
        dataset=dataset_section(),
        content=dataset_digest("regions", settings.roi_references().values()),
        rois=settings.roi_references(),
    message:
        "Finding the regions of {wildcards.subject}"
    script:
        "../scripts/rois.py"


# Apart from `rois`: when a checkpoint has run, Snakemake plans every job that depends on it anew.
checkpoint regions:
    input:
        **reads(rois="<results>/{subject}/rois.zarr"),
    output:
        "<results>/{subject}/regions.tsv",
    log:
        "<logs>/regions/{subject}.log",
    benchmark:
        "<benchmarks>/regions/{subject}.tsv"
    params:
        code=code("regions"),
    message:
        "Listing the regions of {wildcards.subject}"
    script:
        "../scripts/regions.py"
