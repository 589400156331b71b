# What category the voxels of a region prefer: by their words, by responses, by the localiser.


rule categories:
    input:
        **reads(vocabulary="<results>/embeddings/{backbone}/vocabulary.zarr"),
        models=ancient(model_files("backbone")),
    output:
        **writes("<results>/embeddings/{backbone}/categories.zarr"),
    log:
        "<logs>/categories/{backbone}.log",
    benchmark:
        "<benchmarks>/categories/{backbone}.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("categories"),
        models=model_digest("backbone"),
        backbone=section("backbone"),
        prompts=settings.lens.prompts,
        categories={name: each.prompts for name, each in settings.categories.items()},
    message:
        "Embedding the categories"
    script:
        "../scripts/categories.py"


# The random profiles are the same for all regions: dealt once, from the words of all of them.
rule null_profiles:
    input:
        **reads(
            profiles=own_regions("{results}/{subject}/{roi}/profiles.zarr"),
            categories="<embeddings>/categories.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        **writes("<results>/{subject}/null_profiles.zarr"),
    log:
        "<logs>/null_profiles/{subject}.log",
    benchmark:
        "<benchmarks>/null_profiles/{subject}.tsv"
    params:
        code=code("null_profiles"),
        categories=list(settings.categories),
        seed=settings.seed,
    message:
        "Drawing random profiles for {wildcards.subject}"
    script:
        "../scripts/null_profiles.py"


rule preference:
    input:
        **reads(
            profiles=own_regions("{results}/{subject}/{roi}/profiles.zarr"),
            attributions="<results>/{subject}/{roi}/attributions/all.zarr",
            responses="<results>/{subject}/responses.zarr",
            stimuli="<results>/stimuli.zarr",
            null="<results>/{subject}/null_profiles.zarr",
            categories="<embeddings>/categories.zarr",
        ),
        rois=ancient("<results>/{subject}/rois.json"),
        members="<results>/{subject}/{roi}/members.json",
    output:
        **writes("<results>/{subject}/{roi}/preference.zarr"),
    log:
        "<logs>/preference/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/preference/{subject}/{roi}.tsv"
    params:
        code=code("preference"),
        categories=section("categories"),
        false_discovery_rate=settings.profile.false_discovery_rate,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Measuring what {wildcards.roi} of {wildcards.subject} prefers"
    script:
        "../scripts/preference.py"


rule preference_subjects:
    input:
        **reads(preference=regions("{results}/{subject}/{roi}/preference.zarr")),
    output:
        "<results>/preference.tsv",
    log:
        "<logs>/preference_subjects.log",
    benchmark:
        "<benchmarks>/preference_subjects.tsv"
    params:
        code=code("preference_subjects"),
    message:
        "Comparing the subjects' preferences"
    script:
        "../scripts/preference_subjects.py"


rule preference_maps:
    input:
        **reads(
            preference=own_regions("{results}/{subject}/{roi}/preference.zarr"),
            responses="<results>/{subject}/responses.zarr",
        ),
    output:
        maps("<results>/{subject}/preference", labels=True),
    log:
        "<logs>/preference_maps/{subject}.log",
    benchmark:
        "<benchmarks>/preference_maps/{subject}.tsv"
    params:
        code=code("preference_maps"),
        categories=list(settings.categories),
    message:
        "Writing what the voxels of {wildcards.subject} prefer as maps"
    script:
        "../scripts/preference_maps.py"
