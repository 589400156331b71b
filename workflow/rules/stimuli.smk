# Images: their index, what they show at low level.


rule stimuli:
    input:
        dataset=dataset_files("stimuli"),
    output:
        **writes("<results>/stimuli.zarr"),
    log:
        "<logs>/stimuli.log",
    benchmark:
        "<benchmarks>/stimuli.tsv"
    params:
        code=code("stimuli"),
        dataset=dataset_section(),
        content=dataset_digest("stimuli"),
        subjects=settings.subjects,
    message:
        "Indexing the images"
    script:
        "../scripts/stimuli.py"


rule low_level:
    input:
        **reads(stimuli="<results>/stimuli.zarr"),
    output:
        **writes("<results>/low_level/{shard}.zarr"),
    log:
        "<logs>/low_level/{shard}.log",
    benchmark:
        "<benchmarks>/low_level/{shard}.tsv"
    params:
        code=code("low_level"),
        images=IMAGES,
        pixels=PIXELS,
        shard_size=settings.backbone.shard_size,
    message:
        "Measuring contrast and Gabor energy, shard {wildcards.shard}"
    script:
        "../scripts/low_level.py"
