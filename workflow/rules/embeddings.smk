# Image tokens in the space of language, and what the logit lens reads in them.


rule vocabulary:
    input:
        **reads(stimuli="<results>/stimuli.zarr"),
        models=ancient(model_files("backbone")),
    output:
        **writes("<results>/embeddings/{backbone}/vocabulary.zarr"),
    log:
        "<logs>/vocabulary/{backbone}.log",
    benchmark:
        "<benchmarks>/vocabulary/{backbone}.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("vocabulary"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        backbone=section("backbone"),
        lens=section("lens"),
        texts=lens_texts(),
        seed=settings.seed,
    message:
        "Embedding the vocabulary"
    script:
        "../scripts/vocabulary.py"


rule captions:
    input:
        **reads(stimuli="<results>/stimuli.zarr"),
        models=ancient(model_files("backbone")),
    output:
        **writes("<results>/embeddings/{backbone}/captions.zarr"),
    log:
        "<logs>/captions/{backbone}.log",
    benchmark:
        "<benchmarks>/captions/{backbone}.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("captions"),
        models=model_digest("backbone"),
        backbone=section("backbone"),
    message:
        "Embedding the captions"
    script:
        "../scripts/captions.py"


rule embed:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<results>/embeddings/{backbone}/vocabulary.zarr",
        ),
        models=ancient(model_files("backbone")),
    output:
        images=directory("<results>/embeddings/{backbone}/images/{shard}.zarr"),
        images_manifest="<results>/embeddings/{backbone}/images/{shard}.json",
        lens=directory("<results>/embeddings/{backbone}/lens/{shard}.zarr"),
        lens_manifest="<results>/embeddings/{backbone}/lens/{shard}.json",
    log:
        "<logs>/embed/{backbone}/{shard}.log",
    benchmark:
        "<benchmarks>/embed/{backbone}/{shard}.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("embed"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        backbone=section("backbone"),
        words_per_token=settings.lens.words_per_token,
    message:
        "Embedding images, shard {wildcards.shard}"
    script:
        "../scripts/embed.py"


rule gather:
    input:
        **reads(shards=shards("<results>/{part}/{shard}.zarr")),
    output:
        "<results>/{part}/shards.json",
    log:
        "<logs>/gather/{part}.log",
    benchmark:
        "<benchmarks>/gather/{part}.tsv"
    params:
        code=code("gather"),
    message:
        "Gathering the shards of {wildcards.part}"
    script:
        "../scripts/gather.py"


rule base_rates:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<results>/embeddings/{backbone}/vocabulary.zarr",
            lens="<results>/embeddings/{backbone}/lens/shards.json",
        ),
    output:
        **writes("<results>/embeddings/{backbone}/base_rates.zarr"),
    log:
        "<logs>/base_rates/{backbone}.log",
    benchmark:
        "<benchmarks>/base_rates/{backbone}.tsv"
    params:
        code=code("base_rates"),
        merge_cosine=settings.description.merge_cosine,
    message:
        "Counting how often every word is read"
    script:
        "../scripts/base_rates.py"
