# Forms of encoders on equal terms: `snakemake compare_encoders`. No part of the analysis waits for it.


SIZES = ["all", *map(str, settings.encoders.images)]
"""Numbers of training images that forms are fitted on."""

FORMS = [
    form for form in settings.encoders.forms if len(settings.subjects) > 1 or form not in ACROSS
]
"""Forms that are compared; those across subjects need two or more."""


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
    wildcard_constraints:
        form=alternatives([form for form in EVERY_FORM if form not in ACROSS]),
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_form"),
        encoder=ENCODER,
        baselines=section("baselines"),
        learning_rates=settings.encoders.learning_rates,
        weight_decays=settings.encoders.weight_decays,
        members=settings.encoders.members,
        seed=settings.seed,
    message:
        "Fitting the form {wildcards.form} to {wildcards.subject} on {wildcards.size} images"
    script:
        "../scripts/fit_form.py"


rule fit_shared:
    input:
        **reads(
            responses=expand("<results>/{subject}/responses.zarr", subject=settings.subjects),
            images="<embeddings>/images/shards.json",
        ),
    output:
        stores=directory(
            expand(
                "<results>/{subject}/encoders/mine_shared/{size}.zarr",
                subject=settings.subjects,
                allow_missing=True,
            )
        ),
        manifests=expand(
            "<results>/{subject}/encoders/mine_shared/{size}.json",
            subject=settings.subjects,
            allow_missing=True,
        ),
        costs=expand(
            "<results>/{subject}/encoders/mine_shared/{size}.tsv",
            subject=settings.subjects,
            allow_missing=True,
        ),
    log:
        "<logs>/fit_shared/{size}.log",
    benchmark:
        "<benchmarks>/fit_shared/{size}.tsv"
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_shared"),
        subjects=settings.subjects,
        encoder=ENCODER,
        seed=settings.seed,
    message:
        "Fitting MINE's encoder to all subjects together on {wildcards.size} images of each"
    script:
        "../scripts/fit_shared.py"


rule fit_others:
    input:
        **reads(
            responses=other_subjects("{results}/{subject}/responses.zarr"),
            images="<embeddings>/images/shards.json",
        ),
    output:
        **writes("<results>/{subject}/encoders/others.zarr"),
    log:
        "<logs>/fit_others/{subject}.log",
    benchmark:
        "<benchmarks>/fit_others/{subject}.tsv"
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_others"),
        subjects=settings.subjects,
        encoder=ENCODER,
        members=settings.encoders.members,
        seed=settings.seed,
    message:
        "Fitting MINE's encoder to all subjects but {wildcards.subject}"
    script:
        "../scripts/fit_others.py"


rule fit_transfer:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            images="<embeddings>/images/shards.json",
            others="<results>/{subject}/encoders/others.zarr",
        ),
    output:
        **writes("<results>/{subject}/encoders/mine_transfer/{size}.zarr"),
        cost="<results>/{subject}/encoders/mine_transfer/{size}.tsv",
    log:
        "<logs>/fit_transfer/{subject}/{size}.log",
    benchmark:
        "<benchmarks>/fit_transfer/{subject}/{size}.tsv"
    resources:
        gpu=gpus("encoder"),
    params:
        code=code("fit_transfer"),
        encoder=section("encoder", "position_orders"),
        seed=settings.seed,
    message:
        "Fitting {wildcards.subject} by other subjects' voxels on {wildcards.size} images"
    script:
        "../scripts/fit_transfer.py"


rule tabulate_transfer:
    input:
        **reads(
            responses=expand("<results>/{subject}/responses.zarr", subject=settings.subjects),
            rois=expand("<results>/{subject}/rois.zarr", subject=settings.subjects),
            fits=expand(
                "<results>/{subject}/encoders/{form}/{size}.zarr",
                subject=settings.subjects,
                form=["mine", "mine_transfer"],
                size=[settings.encoders.few_images, settings.encoders.more_images],
            ),
        ),
    output:
        "<results>/transfer.tsv",
    log:
        "<logs>/tabulate_transfer.log",
    benchmark:
        "<benchmarks>/tabulate_transfer.tsv"
    params:
        code=code("tabulate_transfer"),
        subjects=settings.subjects,
        few=settings.encoders.few_images,
        more=settings.encoders.more_images,
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Putting what other subjects are worth to a new one into one table"
    script:
        "../scripts/tabulate_transfer.py"


rule score_forms:
    input:
        **reads(
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            forms=expand(
                "<results>/{subject}/encoders/{form}/{size}.zarr",
                form=FORMS,
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
        forms=FORMS,
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
            form=FORMS,
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
        rois=ancient("<results>/{subject}/rois.json"),
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
        **reads(
            seeds=regions("{results}/{subject}/{roi}/seeds.zarr"),
            # Encoders that were never fitted are a control of the demo.
            random=(
                []
                if settings.demo is None
                else regions("{results}/{subject}/{roi}/profiles_random.zarr")
            ),
            first_shuffled=expand(
                "<results>/{subject}/encoder/first_half_shuffled.zarr", subject=settings.subjects
            ),
            second_shuffled=expand(
                "<results>/{subject}/encoder/second_half_shuffled.zarr", subject=settings.subjects
            ),
            baselines=expand("<results>/{subject}/baselines.zarr", subject=settings.subjects),
        ),
    output:
        "<results>/seeds.tsv",
    log:
        "<logs>/tabulate_seeds.log",
    benchmark:
        "<benchmarks>/tabulate_seeds.tsv"
    params:
        code=code("tabulate_seeds"),
        subjects=settings.subjects,
        false_discovery_rate=settings.profile.false_discovery_rate,
    message:
        "Putting the agreement between random starts into one table"
    script:
        "../scripts/tabulate_seeds.py"
