# Whether what the lens says is right, would be said again, and how sure it is. Part of no analysis:
# `snakemake calibrate_lens`.


rule calibration:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            lens="<embeddings>/lens/shards.json",
            base_rates="<embeddings>/base_rates.zarr",
        ),
        models=ancient(model_files("backbone")),
        dataset=dataset_files("stimuli"),
    output:
        "<results>/words.tsv",
    log:
        "<logs>/calibration.log",
    benchmark:
        "<benchmarks>/calibration.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("calibration"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        content=dataset_digest("stimuli"),
        instances=settings.dataset.instances,
        backbone=section("backbone"),
        lens=section("lens", "reference_images", "words_per_token"),
        description=section("description", "token_fraction", "words", "phrase_words", "false_words"),
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Comparing what the lens says with captions and objects"
    script:
        "../scripts/calibration.py"


rule stability:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
        models=ancient(model_files("backbone")),
        dataset=dataset_files("stimuli"),
    output:
        "<results>/stability.tsv",
    log:
        "<logs>/stability.log",
    benchmark:
        "<benchmarks>/stability.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("stability"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        content=dataset_digest("stimuli"),
        backbone=section("backbone"),
        lens=section("lens", "reference_images", "words_per_token", "prompts"),
        level=settings.description.false_words,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Reading tokens again by other prompts, words and temperatures"
    script:
        "../scripts/stability.py"


rule temperature:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
        models=ancient(model_files("backbone")),
        dataset=dataset_files("stimuli"),
    output:
        "<results>/temperature.tsv",
    log:
        "<logs>/temperature.log",
    benchmark:
        "<benchmarks>/temperature.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("temperature"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        content=dataset_digest("stimuli"),
        backbone=section("backbone"),
        reference_images=settings.lens.reference_images,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Comparing the lens's probabilities with captions"
    script:
        "../scripts/temperature.py"


rule figure_calibration:
    input:
        words="<results>/words.tsv",
        stability="<results>/stability.tsv",
        temperature="<results>/temperature.tsv",
    output:
        png=report(
            "<results>/figures/calibration.png",
            caption="../report/figure_calibration.rst",
            category="Lens",
            labels={"figure": "calibration"},
        ),
        pdf="<results>/figures/calibration.pdf",
        table="<results>/figures/calibration.tsv",
    log:
        "<logs>/figure_calibration.log",
    benchmark:
        "<benchmarks>/figure_calibration.tsv"
    params:
        code=code("figure_calibration"),
        level=settings.description.false_words,
    message:
        "Drawing how far the lens may be believed"
    script:
        "../scripts/figure_calibration.py"
