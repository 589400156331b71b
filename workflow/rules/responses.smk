# Responses: the voxels of a subject, and which of them belong to which region. A region that a
# subject lacks is left out there, so what follows for it is known once its regions are.


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
        seed=settings.seed,
    message:
        "Reading the responses of {wildcards.subject}"
    script:
        "../scripts/responses.py"


checkpoint rois:
    input:
        **reads(responses="<results>/{subject}/responses.zarr"),
        dataset=dataset_files("regions"),
    output:
        **writes("<results>/{subject}/rois.zarr"),
        sizes="<results>/{subject}/rois.tsv",
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
        seed=settings.seed,
    message:
        "Finding the regions of {wildcards.subject}"
    script:
        "../scripts/rois.py"
