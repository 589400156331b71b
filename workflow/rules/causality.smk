# Whether the explanations are true: pictures from words alone, features inserted and removed. What
# is tested comes from the first half of the training images, the evaluator from the second.


# The models that make and change images. What is said to them is no business of theirs.
PAINTER = {key: value for key, value in section("generator").items() if key != "prompt"}


rule features:
    input:
        **reads(
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            faithfulness="<results>/{subject}/{roi}/faithfulness.zarr",
            attributions="<results>/{subject}/{roi}/attributions/first_half.zarr",
            encoder="<results>/{subject}/encoder/first_half.zarr",
            evaluator="<results>/{subject}/evaluator.zarr",
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
            lens="<embeddings>/lens/shards.json",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        **writes("<results>/{subject}/{roi}/features.zarr"),
    log:
        "<logs>/features/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/features/{subject}/{roi}.tsv"
    params:
        code=code("features"),
        features=section("features", "voxels", "faithfulness_quantile", "distinct_cosine"),
        draws=settings.sufficiency.samples,
        attribution=section("attribution", "nodes", "maximum_nodes", "tolerance", "token_fraction"),
        description=section("description", "token_fraction", "words", "phrase_words", "false_words"),
        profile=section("profile", "false_discovery_rate", "reading_reliability", "words"),
        position_orders=settings.encoder.position_orders,
        seed=settings.seed,
    message:
        "Gathering what the first half says of {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/features.py"


rule plan:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            features="<results>/{subject}/{roi}/features.zarr",
            responses="<results>/{subject}/responses.zarr",
            lens="<embeddings>/lens/shards.json",
            vocabulary="<embeddings>/vocabulary.zarr",
            categories="<embeddings>/categories.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        **writes(
            pictures="<results>/{subject}/{roi}/plans/pictures.zarr",
            edits="<results>/{subject}/{roi}/plans/edits.zarr",
        ),
    log:
        "<logs>/plan/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/plan/{subject}/{roi}.tsv"
    params:
        code=code("plan"),
        prompt=settings.generator.prompt,
        response_quantile=settings.features.response_quantile,
        categories={name: each.prompts for name, each in settings.categories.items()},
        sufficiency=section("sufficiency"),
        counterfactual=section("counterfactual"),
        seed=settings.seed,
    message:
        "Planning pictures and edits for {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/plan.py"


rule paint:
    input:
        **reads(
            pictures="<results>/{subject}/{roi}/plans/pictures.zarr",
            edits="<results>/{subject}/{roi}/plans/edits.zarr",
            encoder="<results>/{subject}/encoder/first_half.zarr",
            evaluator="<results>/{subject}/evaluator.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
        rois=ancient("<results>/{subject}/rois.json"),
        members="<results>/{subject}/{roi}/members.json",
        models=ancient(
            [*model_files("backbone"), *model_files("evaluator"), *model_files("generator")]
        ),
    output:
        **writes(
            generated="<results>/{subject}/{roi}/generated.zarr",
            edits="<results>/{subject}/{roi}/edits.zarr",
        ),
    log:
        "<logs>/paint/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/paint/{subject}/{roi}.tsv"
    resources:
        gpu=gpus("generator"),
    params:
        code=code("paint"),
        models=model_digest("backbone", "evaluator", "generator"),
        images=IMAGES,
        pixels=PIXELS,
        generator=PAINTER,
        method=settings.counterfactual.method,
        backbone=section("backbone"),
        evaluator=section("evaluator"),
        words_per_token=settings.lens.words_per_token,
        position_orders=settings.encoder.position_orders,
    message:
        "Generating pictures and edits for {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/paint.py"


rule sufficiency:
    input:
        **reads(
            generated="<results>/{subject}/{roi}/generated.zarr",
            responses="<results>/{subject}/responses.zarr",
        ),
    output:
        **writes("<results>/{subject}/{roi}/sufficiency.zarr"),
    log:
        "<logs>/sufficiency/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/sufficiency/{subject}/{roi}.tsv"
    params:
        code=code("sufficiency"),
        seed=settings.seed,
    message:
        "Measuring the sufficiency of the words for {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/sufficiency.py"


rule counterfactuals:
    input:
        **reads(edits="<results>/{subject}/{roi}/edits.zarr"),
    output:
        **writes("<results>/{subject}/{roi}/counterfactuals.zarr"),
    log:
        "<logs>/counterfactuals/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/counterfactuals/{subject}/{roi}.tsv"
    params:
        code=code("counterfactuals"),
        seed=settings.seed,
    message:
        "Measuring the counterfactuals of {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/counterfactuals.py"
