# What tells the voxels of a region apart, and whether they fall into clusters.


rule structure:
    input:
        **reads(
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            responses="<results>/{subject}/responses.zarr",
            lens="<embeddings>/lens/shards.json",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        **writes("<results>/{subject}/{roi}/structure.zarr"),
        clusters=maps("<results>/{subject}/{roi}/clusters", labels=True),
    log:
        "<logs>/structure/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/structure/{subject}/{roi}.tsv"
    params:
        code=code("structure"),
        structure=section("structure"),
        false_discovery_rate=settings.profile.false_discovery_rate,
        reading_reliability=settings.profile.reading_reliability,
        seed=settings.seed,
    message:
        "Measuring the structure within {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/structure.py"


rule structure_subjects:
    input:
        **reads(
            structure=regions("{results}/{subject}/{roi}/structure.zarr"),
            profiles=regions("{results}/{subject}/{roi}/profiles.zarr"),
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        "<results>/clusters.tsv",
    log:
        "<logs>/structure_subjects.log",
    benchmark:
        "<benchmarks>/structure_subjects.tsv"
    params:
        code=code("structure_subjects"),
        draws=settings.structure.draws,
        seed=settings.seed,
    message:
        "Matching the clusters of each region between subjects"
    script:
        "../scripts/structure_subjects.py"
