# How much of what was planted was found. The only rules that read the truth.


rule recovery_voxels:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            truth_images=lambda wildcards: f"{settings.demo.truth}/images.zarr",
            responses="<results>/{subject}/responses.zarr",
            baselines="<results>/{subject}/baselines.zarr",
            images="<embeddings>/images/shards.json",
            vocabulary="<embeddings>/vocabulary.zarr",
            profiles=of_rois("<results>/{subject}/{roi}/profiles.zarr"),
            controls=of_rois("<results>/{subject}/{roi}/profiles_random.zarr"),
            attributions=of_rois("<results>/{subject}/{roi}/attributions/all.zarr"),
        ),
    output:
        "<results>/{subject}/recovery_voxels.tsv",
    log:
        "<logs>/recovery_voxels/{subject}.log",
    benchmark:
        "<benchmarks>/recovery_voxels/{subject}.tsv"
    params:
        code=code("recovery_voxels"),
        rois=settings.rois,
    message:
        "Scoring the words of {wildcards.subject} against what was planted"
    script:
        "../scripts/recovery_voxels.py"


rule recovery_scores:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            baselines="<results>/{subject}/baselines.zarr",
            images="<embeddings>/images/shards.json",
            encoder="<results>/{subject}/encoder/all.zarr",
        ),
    output:
        "<results>/{subject}/recovery_scores.tsv",
    log:
        "<logs>/recovery_scores/{subject}.log",
    benchmark:
        "<benchmarks>/recovery_scores/{subject}.tsv"
    params:
        code=code("recovery_scores"),
        alphas=settings.baselines.alphas,
        resamples=settings.bootstrap.resamples,
        position_orders=settings.encoder.position_orders,
        seed=settings.seed,
    message:
        "Scoring the predictions for {wildcards.subject} against what was planted"
    script:
        "../scripts/recovery_scores.py"


rule recovery_causality:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            truth_images=lambda wildcards: f"{settings.demo.truth}/images.zarr",
            responses="<results>/{subject}/responses.zarr",
            evaluator="<results>/{subject}/evaluator.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            sufficiency=of_rois("<results>/{subject}/{roi}/sufficiency.zarr"),
            counterfactuals=of_rois("<results>/{subject}/{roi}/counterfactuals.zarr"),
            edits=of_rois("<results>/{subject}/{roi}/edits.zarr"),
        ),
        models=ancient(model_files("evaluator")),
    output:
        pairs="<results>/{subject}/recovery_pairs.tsv",
        edits="<results>/{subject}/recovery_edits.tsv",
    log:
        "<logs>/recovery_causality/{subject}.log",
    benchmark:
        "<benchmarks>/recovery_causality/{subject}.tsv"
    resources:
        gpu=gpus("evaluator"),
    params:
        code=code("recovery_causality"),
        models=model_digest("evaluator"),
        rois=settings.rois,
        evaluator=section("evaluator"),
        seed=settings.seed,
    message:
        "Comparing the edits of {wildcards.subject} with exact ones"
    script:
        "../scripts/recovery_causality.py"


rule recovery_preference:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            truth_images=lambda wildcards: f"{settings.demo.truth}/images.zarr",
            responses="<results>/{subject}/responses.zarr",
            preference=of_rois("<results>/{subject}/{roi}/preference.zarr"),
        ),
    output:
        "<results>/{subject}/recovery_preference.tsv",
    log:
        "<logs>/recovery_preference/{subject}.log",
    benchmark:
        "<benchmarks>/recovery_preference/{subject}.tsv"
    params:
        code=code("recovery_preference"),
        rois=settings.rois,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Scoring the preferences of {wildcards.subject} against what was planted"
    script:
        "../scripts/recovery_preference.py"


rule recovery_structure:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            responses="<results>/{subject}/responses.zarr",
            lens="<embeddings>/lens/shards.json",
            base_rates="<embeddings>/base_rates.zarr",
            structure=of_rois("<results>/{subject}/{roi}/structure.zarr"),
        ),
    output:
        "<results>/{subject}/recovery_structure.tsv",
    log:
        "<logs>/recovery_structure/{subject}.log",
    benchmark:
        "<benchmarks>/recovery_structure/{subject}.tsv"
    params:
        code=code("recovery_structure"),
        rois=settings.rois,
        words=settings.structure.words,
        seed=settings.seed,
    message:
        "Comparing the clusters of {wildcards.subject} with what was planted"
    script:
        "../scripts/recovery_structure.py"


rule recovery:
    input:
        voxels=expand("<results>/{subject}/recovery_voxels.tsv", subject=settings.subjects),
        scores=expand("<results>/{subject}/recovery_scores.tsv", subject=settings.subjects),
        preference=expand("<results>/{subject}/recovery_preference.tsv", subject=settings.subjects),
        pairs=expand("<results>/{subject}/recovery_pairs.tsv", subject=settings.subjects),
        edits=expand("<results>/{subject}/recovery_edits.tsv", subject=settings.subjects),
        structure=expand("<results>/{subject}/recovery_structure.tsv", subject=settings.subjects),
    output:
        "<results>/recovery.tsv",
    log:
        "<logs>/recovery.log",
    benchmark:
        "<benchmarks>/recovery.tsv"
    params:
        code=code("recovery"),
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Summarising the recovery of what was planted"
    script:
        "../scripts/recovery.py"


# Rival explainers on the same terms, for `snakemake compare_explainers` alone.
rule recovery_explainers:
    input:
        **reads(
            truth=lambda wildcards: f"{settings.demo.truth}/{wildcards.subject}.zarr",
            truth_images=lambda wildcards: f"{settings.demo.truth}/images.zarr",
            responses="<results>/{subject}/responses.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            explained=of_rois("<results>/{subject}/{roi}/explainers.zarr"),
        ),
    output:
        "<results>/{subject}/recovery_explainers.tsv",
    log:
        "<logs>/recovery_explainers/{subject}.log",
    benchmark:
        "<benchmarks>/recovery_explainers/{subject}.tsv"
    params:
        code=code("recovery_explainers"),
        rois=settings.rois,
    message:
        "Scoring explainers of {wildcards.subject} against what was planted"
    script:
        "../scripts/recovery_explainers.py"


rule tabulate_explainers:
    input:
        voxels=expand("<results>/{subject}/recovery_explainers.tsv", subject=settings.subjects),
    output:
        "<results>/explainers.tsv",
    log:
        "<logs>/tabulate_explainers.log",
    benchmark:
        "<benchmarks>/tabulate_explainers.tsv"
    params:
        code=code("tabulate_explainers"),
    message:
        "Putting explainers into one table"
    script:
        "../scripts/tabulate_explainers.py"


rule figure_explainers:
    input:
        "<results>/explainers.tsv",
    output:
        png=report(
            "<results>/figures/explainers.png",
            caption="../report/figure_explainers.rst",
            category="Recovery",
            labels={"subject": "all", "region": "all", "figure": "explainers"},
        ),
        pdf="<results>/figures/explainers.pdf",
        table="<results>/figures/explainers.tsv",
    log:
        "<logs>/figure_explainers.log",
    benchmark:
        "<benchmarks>/figure_explainers.tsv"
    params:
        code=code("figure_explainers"),
    message:
        "Drawing what explainers found"
    script:
        "../scripts/figure_explainers.py"
