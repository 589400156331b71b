# How much of what was planted was found. The only rules that read the truth.


rule score_recovery:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            truth_images=lambda wildcards: f"{settings.demo.truth}/images.zarr",
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            baselines="<results>/{subject}/baselines.zarr",
            images=shards("<embeddings>/images/{shard}.zarr"),
            encoder="<results>/{subject}/encoder/all.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            profiles=expand(
                "<results>/{subject}/{roi}/profiles.zarr",
                roi=settings.rois,
                allow_missing=True,
            ),
            controls=expand(
                "<results>/{subject}/{roi}/profiles_random.zarr",
                roi=settings.rois,
                allow_missing=True,
            ),
            attributions=expand(
                "<results>/{subject}/{roi}/attributions/all.zarr",
                roi=settings.rois,
                allow_missing=True,
            ),
        ),
    output:
        voxels="<results>/{subject}/recovery_voxels.tsv",
        scores="<results>/{subject}/recovery_scores.tsv",
    log:
        "<logs>/score_recovery/{subject}.log",
    benchmark:
        "<benchmarks>/score_recovery/{subject}.tsv"
    params:
        code=code("score_recovery"),
        rois=settings.rois,
        alphas=settings.baselines.alphas,
        resamples=settings.bootstrap.resamples,
        position_orders=settings.encoder.position_orders,
        seed=settings.seed,
    message:
        "Scoring {wildcards.subject} against what was planted"
    script:
        "../scripts/score_recovery.py"


rule recovery:
    input:
        voxels=expand("<results>/{subject}/recovery_voxels.tsv", subject=settings.subjects),
        scores=expand("<results>/{subject}/recovery_scores.tsv", subject=settings.subjects),
    output:
        "<results>/recovery.tsv",
    log:
        "<logs>/recovery.log",
    benchmark:
        "<benchmarks>/recovery.tsv"
    params:
        code=code("recovery"),
        subjects=settings.subjects,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Summarising the recovery of what was planted"
    script:
        "../scripts/recovery.py"
