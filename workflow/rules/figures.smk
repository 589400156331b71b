# Figures, each drawn from stores alone, with every number that is drawn in a table beside it.


rule figure_encoder:
    input:
        **reads(
            scores="<results>/{subject}/scores.zarr",
            rois="<results>/{subject}/rois.zarr",
        ),
    output:
        png=report(
            "<results>/figures/{subject}/encoder.png",
            caption="../report/figure_encoder.rst",
            category="Encoder",
            labels={"subject": "{subject}", "figure": "scores"},
        ),
        pdf="<results>/figures/{subject}/encoder.pdf",
        table="<results>/figures/{subject}/encoder.tsv",
    log:
        "<logs>/figure_encoder/{subject}.log",
    benchmark:
        "<benchmarks>/figure_encoder/{subject}.tsv"
    params:
        code=code("figure_encoder"),
    message:
        "Drawing the encoder scores of {wildcards.subject}"
    script:
        "../scripts/figure_encoder.py"


rule figure_faithfulness:
    input:
        **reads(faithfulness=own_regions("{results}/{subject}/{roi}/faithfulness.zarr")),
    output:
        png=report(
            "<results>/figures/{subject}/faithfulness.png",
            caption="../report/figure_faithfulness.rst",
            category="Faithfulness",
            labels={"subject": "{subject}", "figure": "curves and differences"},
        ),
        pdf="<results>/figures/{subject}/faithfulness.pdf",
        table="<results>/figures/{subject}/faithfulness.tsv",
    log:
        "<logs>/figure_faithfulness/{subject}.log",
    benchmark:
        "<benchmarks>/figure_faithfulness/{subject}.tsv"
    params:
        code=code("figure_faithfulness"),
    message:
        "Drawing the faithfulness of {wildcards.subject}"
    script:
        "../scripts/figure_faithfulness.py"


rule figure_described:
    input:
        **reads(profiles=own_regions("{results}/{subject}/{roi}/profiles.zarr")),
    output:
        png=report(
            "<results>/figures/{subject}/described.png",
            caption="../report/figure_described.rst",
            category="Profiles",
            labels={"subject": "{subject}", "region": "all", "figure": "voxels described"},
        ),
        pdf="<results>/figures/{subject}/described.pdf",
        table="<results>/figures/{subject}/described.tsv",
    log:
        "<logs>/figure_described/{subject}.log",
    benchmark:
        "<benchmarks>/figure_described/{subject}.tsv"
    params:
        code=code("figure_described"),
    message:
        "Drawing how many voxels of {wildcards.subject} are described"
    script:
        "../scripts/figure_described.py"


rule figure_voxels:
    input:
        **reads(
            attributions="<results>/{subject}/{roi}/attributions/all.zarr",
            descriptions="<results>/{subject}/{roi}/descriptions.zarr",
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            scores="<results>/{subject}/scores.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
        ),
        dataset=dataset_files(),
    output:
        attributions=report(
            "<results>/figures/{subject}/{roi}/attributions.png",
            caption="../report/figure_attributions.rst",
            category="Attributions and descriptions",
            labels={"subject": "{subject}", "region": "{roi}", "figure": "attributions"},
        ),
        attributions_pdf="<results>/figures/{subject}/{roi}/attributions.pdf",
        attributions_table="<results>/figures/{subject}/{roi}/attributions.tsv",
        profiles=report(
            "<results>/figures/{subject}/{roi}/profiles.png",
            caption="../report/figure_profiles.rst",
            category="Profiles",
            labels={"subject": "{subject}", "region": "{roi}", "figure": "profile cards"},
        ),
        profiles_pdf="<results>/figures/{subject}/{roi}/profiles.pdf",
        profiles_table="<results>/figures/{subject}/{roi}/profiles.tsv",
    log:
        "<logs>/figure_voxels/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/figure_voxels/{subject}/{roi}.tsv"
    params:
        code=code("figure_voxels"),
        dataset=section("dataset"),
        figures=section("figures"),
    message:
        "Drawing voxels of {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/figure_voxels.py"


if settings.demo is not None:

    rule figure_recovery:
        input:
            "<results>/recovery.tsv",
        output:
            png=report(
                "<results>/figures/recovery.png",
                caption="../report/figure_recovery.rst",
                category="Recovery",
                labels={"figure": "what was planted and found"},
            ),
            pdf="<results>/figures/recovery.pdf",
        log:
            "<logs>/figure_recovery.log",
        benchmark:
            "<benchmarks>/figure_recovery.tsv"
        params:
            code=code("figure_recovery"),
        message:
            "Drawing the recovery of what was planted"
        script:
            "../scripts/figure_recovery.py"
