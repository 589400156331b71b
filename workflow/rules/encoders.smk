# Forms of encoders on equal terms: `snakemake compare_encoders`. No part of the analysis waits for it.


SIZES = ["all", *map(str, settings.encoders.images)]
"""Numbers of training images that forms are fitted on."""


rule fit_form:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            images="<embeddings>/images/shards.json",
            low_level="<results>/low_level/shards.json",
            captions="<embeddings>/captions.zarr",
        ),
    output:
        **writes("<results>/{subject}/encoders/{form}/{size}.zarr"),
        cost="<results>/{subject}/encoders/{form}/{size}.tsv",
    log:
        "<logs>/fit_form/{subject}/{form}/{size}.log",
    benchmark:
        "<benchmarks>/fit_form/{subject}/{form}/{size}.tsv"
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_form"),
        encoder=section("encoder"),
        baselines=section("baselines"),
        learning_rates=settings.encoders.learning_rates,
        weight_decays=settings.encoders.weight_decays,
        members=settings.encoders.members,
        seed=settings.seed,
    message:
        "Fitting the form {wildcards.form} to {wildcards.subject} on {wildcards.size} images"
    script:
        "../scripts/fit_form.py"


rule score_forms:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            forms=expand(
                "<results>/{subject}/encoders/{form}/{size}.zarr",
                form=settings.encoders.forms,
                allow_missing=True,
            ),
        ),
    output:
        **writes("<results>/{subject}/encoders/scores/{size}.zarr"),
    log:
        "<logs>/score_forms/{subject}/{size}.log",
    benchmark:
        "<benchmarks>/score_forms/{subject}/{size}.tsv"
    params:
        code=code("score_forms"),
        forms=settings.encoders.forms,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Scoring forms of encoders for {wildcards.subject} on {wildcards.size} images"
    script:
        "../scripts/score_forms.py"


rule tabulate_forms:
    input:
        **reads(
            scores=expand(
                "<results>/{subject}/encoders/scores/{size}.zarr",
                subject=settings.subjects,
                size=SIZES,
            ),
        ),
        costs=expand(
            "<results>/{subject}/encoders/{form}/{size}.tsv",
            subject=settings.subjects,
            form=settings.encoders.forms,
            size=SIZES,
        ),
    output:
        "<results>/encoders.tsv",
    log:
        "<logs>/tabulate_forms.log",
    benchmark:
        "<benchmarks>/tabulate_forms.tsv"
    params:
        code=code("tabulate_forms"),
    message:
        "Putting the forms of encoders into one table"
    script:
        "../scripts/tabulate_forms.py"


rule figure_forms:
    input:
        "<results>/encoders.tsv",
    output:
        png=report(
            "<results>/figures/encoders.png",
            caption="../report/figure_forms.rst",
            category="Encoder",
            labels={"subject": "all", "region": "all", "figure": "forms of encoders"},
        ),
        pdf="<results>/figures/encoders.pdf",
        table="<results>/figures/encoders.tsv",
    log:
        "<logs>/figure_forms.log",
    benchmark:
        "<benchmarks>/figure_forms.tsv"
    params:
        code=code("figure_forms"),
    message:
        "Drawing the forms of encoders"
    script:
        "../scripts/figure_forms.py"


rule seed_profiles:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
            lens="<embeddings>/lens/shards.json",
            base_rates="<embeddings>/base_rates.zarr",
            encoder="<results>/{subject}/encoders/mine_mean/all.zarr",
        ),
        rois=ancient("<results>/{subject}/rois.zarr"),
        members="<results>/{subject}/{roi}/members.json",
    output:
        **writes("<results>/{subject}/{roi}/seeds.zarr"),
    log:
        "<logs>/seed_profiles/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/seed_profiles/{subject}/{roi}.tsv"
    params:
        code=code("seed_profiles"),
        members=settings.encoders.members,
        position_orders=settings.encoder.position_orders,
        attribution=section("attribution"),
        seed=settings.seed,
    message:
        "Comparing profiles of {wildcards.roi} of {wildcards.subject} between random starts"
    script:
        "../scripts/seed_profiles.py"


rule tabulate_seeds:
    input:
        **reads(seeds=regions("{results}/{subject}/{roi}/seeds.zarr")),
    output:
        "<results>/seeds.tsv",
    log:
        "<logs>/tabulate_seeds.log",
    benchmark:
        "<benchmarks>/tabulate_seeds.tsv"
    params:
        code=code("tabulate_seeds"),
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Putting the agreement between random starts into one table"
    script:
        "../scripts/tabulate_seeds.py"
