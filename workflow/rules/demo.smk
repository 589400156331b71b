# The embedded demo's data: rendered scenes and simulated subjects in the Natural Scenes Dataset's own
# layout, and apart from them the planted truth, which only the scoring rule reads.


rule render_demo:
    output:
        **truth_outputs(),
        # Not the folder itself: Snakemake removes outputs before a job and after one that failed,
        # whoever wrote them. The script removes what an earlier run rendered, and nothing else.
        manifest=f"{settings.dataset.root}.json",
    log:
        "<logs>/render_demo.log",
    benchmark:
        "<benchmarks>/render_demo.tsv"
    params:
        code=code("render_demo"),
        demo=section("demo"),
        seed=settings.seed,
        subjects=settings.subjects,
    message:
        "Rendering the miniature dataset"
    script:
        "../scripts/render_demo.py"
