# Which tokens drive each voxel in each image, and whether keeping or removing them says so too.


rule attribute:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
            encoder=fits("<results>/{subject}/encoder/{fit}.zarr"),
        ),
        rois=ancient("<results>/{subject}/rois.json"),
        members="<results>/{subject}/{roi}/members.json",
    output:
        store=[
            directory(path) for path in fits("<results>/{subject}/{roi}/attributions/{fit}.zarr")
        ],
        manifest=fits("<results>/{subject}/{roi}/attributions/{fit}.json"),
        faithfulness=directory("<results>/{subject}/{roi}/faithfulness.zarr"),
        faithfulness_manifest="<results>/{subject}/{roi}/faithfulness.json",
    log:
        "<logs>/attribute/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/attribute/{subject}/{roi}.tsv"
    params:
        code=code("attribute"),
        fits=FITTED,
        position_orders=settings.encoder.position_orders,
        attribution=section("attribution"),
        faithfulness=section("faithfulness"),
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Attributing {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/attribute.py"
