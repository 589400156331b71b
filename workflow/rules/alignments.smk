# Which way of reading the backbone's tokens names best what they show: of every alignment of a CLIP,
# of every layer of a vision-language model. Part of no analysis: `snakemake compare_alignments`.


rule alignments:
    input:
        **reads(
            stimuli="<results>/stimuli.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
        ),
        models=ancient(model_files("backbone")),
        dataset=dataset_files("stimuli"),
    output:
        "<results>/alignments.tsv",
    log:
        "<logs>/alignments.log",
    benchmark:
        "<benchmarks>/alignments.tsv"
    resources:
        gpu=gpus("backbone"),
    params:
        code=code("alignments"),
        models=model_digest("backbone"),
        images=IMAGES,
        pixels=PIXELS,
        content=dataset_digest("stimuli"),
        instances=settings.dataset.instances,
        backbone=section("backbone"),
        lens=section("lens"),
        texts=lens_texts(),
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Comparing the ways to read tokens by objects whose place is known"
    script:
        "../scripts/alignments.py"


rule figure_alignments:
    input:
        "<results>/alignments.tsv",
    output:
        png=report(
            "<results>/figures/alignments.png",
            caption="../report/figure_alignments.rst",
            category="Lens",
            labels={"figure": "alignments"},
        ),
        pdf="<results>/figures/alignments.pdf",
        table="<results>/figures/alignments.tsv",
    log:
        "<logs>/figure_alignments.log",
    benchmark:
        "<benchmarks>/figure_alignments.tsv"
    params:
        code=code("figure_alignments"),
    message:
        "Drawing how well tokens name what they show"
    script:
        "../scripts/figure_alignments.py"
