# What was found on one page: for each subject, and across subjects. From stores and tables alone.


NAMED = settings.name if settings.demo is None else f"{settings.name}, simulated"
"""The analysis, on pages that are passed on by themselves: no voxel of a demo is a person's."""


rule summary_subject:
    input:
        **reads(
            profiles=own_regions("{results}/{subject}/{roi}/profiles.zarr"),
            preference=own_regions("{results}/{subject}/{roi}/preference.zarr"),
            structure=own_regions("{results}/{subject}/{roi}/structure.zarr"),
            sufficiency=own_regions("{results}/{subject}/{roi}/sufficiency.zarr"),
            counterfactuals=own_regions("{results}/{subject}/{roi}/counterfactuals.zarr"),
            responses="<results>/{subject}/responses.zarr",
            rois="<results>/{subject}/rois.zarr",
            scores="<results>/{subject}/scores.zarr",
            evaluator="<results>/{subject}/evaluator.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
    output:
        page=report(
            "<results>/summary/{subject}.html",
            caption="../report/summary_subject.rst",
            category="Summary",
            labels={"subject": "{subject}"},
        ),
        pdf="<results>/summary/{subject}.pdf",
        table="<results>/summary/{subject}.tsv",
    log:
        "<logs>/summary_subject/{subject}.log",
    benchmark:
        "<benchmarks>/summary_subject/{subject}.tsv"
    params:
        code=code("summary_subject"),
        name=NAMED,
        level=settings.profile.false_discovery_rate,
        least_voxels=settings.structure.least_voxels,
    message:
        "Summing up what was found in {wildcards.subject}"
    script:
        "../scripts/summary_subject.py"


rule summary_subjects:
    input:
        expand("<results>/summary/{subject}.tsv", subject=settings.subjects),
    output:
        page=report(
            "<results>/summary/subjects.html",
            caption="../report/summary_subjects.rst",
            category="Summary",
            labels={"subject": "all"},
        ),
        pdf="<results>/summary/subjects.pdf",
        table="<results>/summary/subjects.tsv",
    log:
        "<logs>/summary_subjects.log",
    benchmark:
        "<benchmarks>/summary_subjects.tsv"
    params:
        code=code("summary_subjects"),
        name=NAMED,
    message:
        "Summing up what was found across subjects"
    script:
        "../scripts/summary_subjects.py"
