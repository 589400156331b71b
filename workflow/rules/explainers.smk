# The words of rival explainers beside MINE's: `snakemake compare_explainers`. No part of the analysis
# waits for it.


rule embed_dense:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<results>/embeddings/{backbone}/vocabulary.zarr",
        ),
        models=ancient(model_files("backbone")),
    output:
        **writes("<results>/embeddings/{backbone}/dense/{shard}.zarr"),
    log:
        "<logs>/embed_dense/{backbone}/{shard}.log",
    benchmark:
        "<benchmarks>/embed_dense/{backbone}/{shard}.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("embed_dense"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        backbone=section("backbone"),
        seed=settings.seed,
    message:
        "Denoising tokens, shard {wildcards.shard}"
    script:
        "../scripts/embed_dense.py"


rule explain:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
            dense="<embeddings>/dense/shards.json",
            lens="<embeddings>/lens/shards.json",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            attributions="<results>/{subject}/{roi}/attributions/all.zarr",
        ),
    output:
        **writes("<results>/{subject}/{roi}/explainers.zarr"),
    log:
        "<logs>/explain/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/explain/{subject}/{roi}.tsv"
    params:
        code=code("explain"),
        alphas=settings.baselines.alphas,
        folds=settings.baselines.folds,
        level=settings.profile.false_discovery_rate,
        seed=settings.seed,
    message:
        "Asking rival explainers for the words of {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/explain.py"
