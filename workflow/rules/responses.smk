# Responses: the voxels of a subject, and which of them belong to which region.


rule responses:
    input:
        dataset=dataset_files(),
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


rule rois:
    input:
        dataset=dataset_files(),
        **reads(responses="<results>/{subject}/responses.zarr"),
    output:
        **writes("<results>/{subject}/rois.zarr"),
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
