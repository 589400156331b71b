# The evaluator: another model's features, and a subject's ridge regression on them, fitted on images
# that the first half's encoder has not seen.


rule embed_evaluator:
    input:
        **reads(stimuli="<results>/stimuli.zarr"),
        models=ancient(model_files("evaluator")),
    output:
        **writes("<results>/embeddings/{evaluator}/images/{shard}.zarr"),
    log:
        "<logs>/embed_evaluator/{evaluator}/{shard}.log",
    benchmark:
        "<benchmarks>/embed_evaluator/{evaluator}/{shard}.tsv"
    resources:
        gpu=gpus("evaluator"),
    params:
        code=code("embed_evaluator"),
        models=model_digest("evaluator"),
        images=IMAGES,
        pixels=PIXELS,
        shard_size=settings.backbone.shard_size,
        evaluator=section("evaluator"),
    message:
        "Embedding images for the evaluator, shard {wildcards.shard}"
    script:
        "../scripts/embed_evaluator.py"


rule fit_evaluator:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            images="<evaluator>/images/shards.json",
        ),
    output:
        **writes("<results>/{subject}/evaluator.zarr"),
    log:
        "<logs>/fit_evaluator/{subject}.log",
    benchmark:
        "<benchmarks>/fit_evaluator/{subject}.tsv"
    params:
        code=code("fit_evaluator"),
        alphas=settings.baselines.alphas,
        folds=settings.baselines.folds,
        seed=settings.seed,
    message:
        "Fitting the evaluator of {wildcards.subject}"
    script:
        "../scripts/fit_evaluator.py"
