# Words for one voxel over its images, and whether they may be believed.

# Which fit plays which part: the measured encoders, and as a control untrained ones, named `_random`,
# which have no part in any response and so must not be described.
PARTS = ["all", "first_half", "second_half"]
NULL = ["first_half_shuffled", "second_half_shuffled"]


rule profile:
    input:
        **reads(
            halves=[
                f"<results>/{{subject}}/encoder/{half}{{control}}.zarr"
                for half in ("first_half", "second_half")
            ],
            responses="<results>/{subject}/responses.zarr",
            baselines="<results>/{subject}/baselines.zarr",
            attributions=[
                f"<results>/{{subject}}/{{roi}}/attributions/{fit}.zarr"
                for fit in [*(f"{part}{{control}}" for part in PARTS), *NULL]
            ],
            lens="<embeddings>/lens/shards.json",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        **writes("<results>/{subject}/{roi}/profiles{control}.zarr"),
    log:
        "<logs>/profile/{subject}/{roi}{control}.log",
    benchmark:
        "<benchmarks>/profile/{subject}/{roi}{control}.tsv"
    params:
        code=code("profile"),
        parts=[*PARTS, *NULL],
        profile=section("profile"),
    message:
        "Profiling {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/profile.py"


rule reason_map:
    input:
        **reads(
            profiles=own_regions("{results}/{subject}/{roi}/profiles.zarr"),
            responses="<results>/{subject}/responses.zarr",
        ),
    output:
        maps("<results>/{subject}/maps/reason", labels=True),
    log:
        "<logs>/reason_map/{subject}.log",
    benchmark:
        "<benchmarks>/reason_map/{subject}.tsv"
    params:
        code=code("reason_map"),
    message:
        "Writing which voxels of {wildcards.subject} are described as a map"
    script:
        "../scripts/reason_map.py"


# Sentences of the words that profiles list. Part of no analysis: `snakemake phrase_profiles`.
rule phrases:
    input:
        **reads(
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
        ),
        models=ancient(local_model_files("phrasing")),
    output:
        "<results>/{subject}/{roi}/phrases.tsv",
    log:
        "<logs>/phrases/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/phrases/{subject}/{roi}.tsv"
    resources:
        gpu=gpus("phrasing"),
    params:
        code=code("phrases"),
        models=model_digest("phrasing"),
        phrasing=section("phrasing"),
    message:
        "Phrasing the profiles of {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/phrases.py"
