# Figures, each drawn from stores alone, with every number that is drawn in a table beside it.

# The files of each figure by its number, from 1; what takes the planted truth comes last.
DRAWN = [drawn(figure) for figure in FIGURES if settings.demo is not None or not figure.demo]


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


rule figure_preference:
    input:
        **reads(preference=own_regions("{results}/{subject}/{roi}/preference.zarr")),
    output:
        png=report(
            "<results>/figures/{subject}/preference.png",
            caption="../report/figure_preference.rst",
            category="Regions",
            labels={"subject": "{subject}", "region": "all", "figure": "category preference"},
        ),
        pdf="<results>/figures/{subject}/preference.pdf",
        table="<results>/figures/{subject}/preference.tsv",
    log:
        "<logs>/figure_preference/{subject}.log",
    benchmark:
        "<benchmarks>/figure_preference/{subject}.tsv"
    params:
        code=code("figure_preference"),
    message:
        "Drawing what the regions of {wildcards.subject} prefer"
    script:
        "../scripts/figure_preference.py"


rule figure_preference_subjects:
    input:
        "<results>/preference.tsv",
    output:
        png=report(
            "<results>/figures/preference.png",
            caption="../report/figure_preference_subjects.rst",
            category="Regions",
            labels={"subject": "all", "region": "all", "figure": "category preference"},
        ),
        pdf="<results>/figures/preference.pdf",
        table="<results>/figures/preference.tsv",
    log:
        "<logs>/figure_preference_subjects.log",
    benchmark:
        "<benchmarks>/figure_preference_subjects.tsv"
    params:
        code=code("figure_preference_subjects"),
    message:
        "Drawing what regions prefer across subjects"
    script:
        "../scripts/figure_preference_subjects.py"


rule figure_structure_subjects:
    input:
        "<results>/clusters.tsv",
    output:
        png=report(
            "<results>/figures/clusters.png",
            caption="../report/figure_structure_subjects.rst",
            category="Regions",
            labels={"subject": "all", "region": "all", "figure": "clusters across subjects"},
        ),
        pdf="<results>/figures/clusters.pdf",
        table="<results>/figures/clusters.tsv",
    log:
        "<logs>/figure_structure_subjects.log",
    benchmark:
        "<benchmarks>/figure_structure_subjects.tsv"
    params:
        code=code("figure_structure_subjects"),
    message:
        "Drawing the clusters that subjects share"
    script:
        "../scripts/figure_structure_subjects.py"


rule figure_maps:
    input:
        **reads(responses="<results>/{subject}/responses.zarr"),
        preference=maps("<results>/{subject}/preference", labels=True),
        clusters=own_regions(maps("{results}/{subject}/{roi}/clusters", labels=True)),
        dataset=dataset_files(),
    output:
        png=report(
            "<results>/figures/{subject}/maps.png",
            caption="../report/figure_maps.rst",
            category="Regions",
            labels={"subject": "{subject}", "region": "all", "figure": "brain maps"},
        ),
        pdf="<results>/figures/{subject}/maps.pdf",
        table="<results>/figures/{subject}/maps.tsv",
    log:
        "<logs>/figure_maps/{subject}.log",
    benchmark:
        "<benchmarks>/figure_maps/{subject}.tsv"
    params:
        code=code("figure_maps"),
        dataset=dataset_section(),
        categories=list(settings.categories),
    message:
        "Drawing the maps of {wildcards.subject}"
    script:
        "../scripts/figure_maps.py"


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
        images=IMAGES,
        pixels=PIXELS,
        figures=section("figures"),
    message:
        "Drawing voxels of {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/figure_voxels.py"


rule figure_structure:
    input:
        **reads(
            structure="<results>/{subject}/{roi}/structure.zarr",
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
        dataset=dataset_files(),
    output:
        png=report(
            "<results>/figures/{subject}/{roi}/structure.png",
            caption="../report/figure_structure.rst",
            category="Profiles",
            labels={"subject": "{subject}", "region": "{roi}", "figure": "structure"},
        ),
        pdf="<results>/figures/{subject}/{roi}/structure.pdf",
        table="<results>/figures/{subject}/{roi}/structure.tsv",
    log:
        "<logs>/figure_structure/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/figure_structure/{subject}/{roi}.tsv"
    params:
        code=code("figure_structure"),
        images=IMAGES,
        pixels=PIXELS,
        least_voxels=settings.structure.least_voxels,
    message:
        "Drawing the structure within {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/figure_structure.py"


rule figure_generated:
    input:
        **reads(
            generated="<results>/{subject}/{roi}/generated.zarr",
            sufficiency="<results>/{subject}/{roi}/sufficiency.zarr",
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            scores="<results>/{subject}/scores.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
        ),
        dataset=dataset_files(),
    output:
        png=report(
            "<results>/figures/{subject}/{roi}/generated.png",
            caption="../report/figure_generated.rst",
            category="Causality",
            labels={"subject": "{subject}", "region": "{roi}", "figure": "generated pictures"},
        ),
        pdf="<results>/figures/{subject}/{roi}/generated.pdf",
        table="<results>/figures/{subject}/{roi}/generated.tsv",
    log:
        "<logs>/figure_generated/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/figure_generated/{subject}/{roi}.tsv"
    params:
        code=code("figure_generated"),
        images=IMAGES,
        pixels=PIXELS,
        figures=section("figures"),
        prompt=settings.generator.prompt,
    message:
        "Drawing pictures generated for {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/figure_generated.py"


rule figure_edits:
    input:
        **reads(
            edits="<results>/{subject}/{roi}/edits.zarr",
            counterfactuals="<results>/{subject}/{roi}/counterfactuals.zarr",
            profiles="<results>/{subject}/{roi}/profiles.zarr",
            scores="<results>/{subject}/scores.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
        ),
        dataset=dataset_files(),
    output:
        png=report(
            "<results>/figures/{subject}/{roi}/edits.png",
            caption="../report/figure_edits.rst",
            category="Causality",
            labels={"subject": "{subject}", "region": "{roi}", "figure": "insertion and removal"},
        ),
        pdf="<results>/figures/{subject}/{roi}/edits.pdf",
        table="<results>/figures/{subject}/{roi}/edits.tsv",
    log:
        "<logs>/figure_edits/{subject}/{roi}.log",
    benchmark:
        "<benchmarks>/figure_edits/{subject}/{roi}.tsv"
    params:
        code=code("figure_edits"),
        images=IMAGES,
        pixels=PIXELS,
        figures=section("figures"),
        prompt=settings.generator.prompt,
        method=settings.counterfactual.method,
    message:
        "Drawing the edits for {wildcards.roi} of {wildcards.subject}"
    script:
        "../scripts/figure_edits.py"


rule figure_causality:
    input:
        **reads(
            sufficiency=own_regions("{results}/{subject}/{roi}/sufficiency.zarr"),
            counterfactuals=own_regions("{results}/{subject}/{roi}/counterfactuals.zarr"),
        ),
    output:
        png=report(
            "<results>/figures/{subject}/causality.png",
            caption="../report/figure_causality.rst",
            category="Causality",
            labels={"subject": "{subject}", "region": "all", "figure": "causal tests"},
        ),
        pdf="<results>/figures/{subject}/causality.pdf",
        table="<results>/figures/{subject}/causality.tsv",
    log:
        "<logs>/figure_causality/{subject}.log",
    benchmark:
        "<benchmarks>/figure_causality/{subject}.tsv"
    params:
        code=code("figure_causality"),
        resamples=settings.bootstrap.resamples,
        seed=settings.seed,
    message:
        "Drawing the causal tests of {wildcards.subject}"
    script:
        "../scripts/figure_causality.py"


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
            table="<results>/figures/recovery.tsv",
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

    rule figure_exact:
        input:
            expand("<results>/{subject}/recovery_edits.tsv", subject=settings.subjects),
        output:
            png=report(
                "<results>/figures/counterfactuals_exact.png",
                caption="../report/figure_exact.rst",
                category="Recovery",
                labels={"figure": "edits and exact edits"},
            ),
            pdf="<results>/figures/counterfactuals_exact.pdf",
            table="<results>/figures/counterfactuals_exact.tsv",
        log:
            "<logs>/figure_exact.log",
        benchmark:
            "<benchmarks>/figure_exact.tsv"
        params:
            code=code("figure_exact"),
            resamples=settings.bootstrap.resamples,
            seed=settings.seed,
        message:
            "Drawing the edits against exact ones"
        script:
            "../scripts/figure_exact.py"
