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
        dataset=section("dataset"),
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
    log:
        "<logs>/rois/{subject}.log",
    benchmark:
        "<benchmarks>/rois/{subject}.tsv"
    params:
        code=code("rois"),
        dataset=section("dataset"),
        rois=settings.roi_references(),
        seed=settings.seed,
    message:
        "Finding the regions of {wildcards.subject}"
    script:
        "../scripts/rois.py"
