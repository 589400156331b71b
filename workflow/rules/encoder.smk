# Encoders of a subject, the ridge regressions beside them, and how well each predicts.

ENCODER = {name: value for name, value in section("encoder").items() if name != "together"}
"""Settings of a fit."""


if settings.encoder.together:

    ruleorder: fit_together > fit_encoder

else:

    ruleorder: fit_encoder > fit_together


rule fit_encoder:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
        ),
    output:
        **writes("<results>/{subject}/encoder/{fit}.zarr"),
    log:
        "<logs>/fit_encoder/{subject}/{fit}.log",
    benchmark:
        "<benchmarks>/fit_encoder/{subject}/{fit}.tsv"
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_encoder"),
        encoder=ENCODER,
        seed=settings.seed,
    message:
        "Fitting the encoder of {wildcards.subject}: {wildcards.fit}"
    script:
        "../scripts/fit_encoder.py"


rule fit_together:
    input:
        **reads(
            responses=expand("<results>/{subject}/responses.zarr", subject=settings.subjects),
            images="<embeddings>/images/shards.json",
        ),
    output:
        stores=directory(
            expand(
                "<results>/{subject}/encoder/{fit}.zarr",
                subject=settings.subjects,
                allow_missing=True,
            )
        ),
        manifests=expand(
            "<results>/{subject}/encoder/{fit}.json",
            subject=settings.subjects,
            allow_missing=True,
        ),
    log:
        "<logs>/fit_together/{fit}.log",
    benchmark:
        "<benchmarks>/fit_together/{fit}.tsv"
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_together"),
        subjects=settings.subjects,
        encoder=ENCODER,
        seed=settings.seed,
    message:
        "Fitting the encoders of all subjects together: {wildcards.fit}"
    script:
        "../scripts/fit_together.py"


rule baselines:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
            low_level="<results>/low_level/shards.json",
            captions="<embeddings>/captions.zarr",
        ),
    output:
        **writes("<results>/{subject}/baselines.zarr"),
    log:
        "<logs>/baselines/{subject}.log",
    benchmark:
        "<benchmarks>/baselines/{subject}.tsv"
    params:
        code=code("baselines"),
        baselines=section("baselines"),
        seed=settings.seed,
    message:
        "Fitting ridge regressions of {wildcards.subject}"
    script:
        "../scripts/baselines.py"


rule scores:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            images="<embeddings>/images/shards.json",
            encoder="<results>/{subject}/encoder/all.zarr",
            baselines="<results>/{subject}/baselines.zarr",
        ),
    output:
        **writes("<results>/{subject}/scores.zarr"),
    log:
        "<logs>/scores/{subject}.log",
    benchmark:
        "<benchmarks>/scores/{subject}.tsv"
    params:
        code=code("scores"),
        resamples=settings.bootstrap.resamples,
        position_orders=settings.encoder.position_orders,
        seed=settings.seed,
    message:
        "Scoring the predictions for {wildcards.subject}"
    script:
        "../scripts/scores.py"


# For a viewer. Nothing reads them, and they wait for no profile.
rule score_maps:
    input:
        **reads(
            scores="<results>/{subject}/scores.zarr",
            baselines="<results>/{subject}/baselines.zarr",
            responses="<results>/{subject}/responses.zarr",
        ),
    output:
        **{name: maps(f"<results>/{{subject}}/maps/{name}", labels=False) for name in MEASURES},
    log:
        "<logs>/score_maps/{subject}.log",
    benchmark:
        "<benchmarks>/score_maps/{subject}.tsv"
    params:
        code=code("score_maps"),
    message:
        "Writing how well the voxels of {wildcards.subject} are predicted as maps"
    script:
        "../scripts/score_maps.py"


rule synthetic:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            encoder="<results>/{subject}/encoder/all.zarr",
            images="<embeddings>/images/shards.json",
        ),
        dataset=unseen_files(),
        models=ancient(model_files("backbone")),
    output:
        **writes("<results>/{subject}/synthetic.zarr"),
    log:
        "<logs>/synthetic/{subject}.log",
    benchmark:
        "<benchmarks>/synthetic/{subject}.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("synthetic"),
        models=model_digest("backbone"),
        dataset=dataset_section(),
        backbone=section("backbone"),
        resamples=settings.bootstrap.resamples,
        position_orders=settings.encoder.position_orders,
        seed=settings.seed,
    message:
        "Scoring the predictions for {wildcards.subject} on images of another kind"
    script:
        "../scripts/synthetic.py"
