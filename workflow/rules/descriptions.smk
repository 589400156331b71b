# Words for one voxel and one image.


rule describe:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            attributions="<results>/{subject}/{roi}/attributions/all.zarr",
            lens="<embeddings>/lens/shards.json",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        **writes("<results>/{subject}/{roi}/descriptions.zarr"),
    log:
        "<logs>/describe/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/describe/{subject}/{roi}.tsv"
    params:
        code=code("describe"),
        description=section("description"),
        seed=settings.seed,
    message:
        "Describing {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/describe.py"
