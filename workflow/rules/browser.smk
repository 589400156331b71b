# The voxel browser: a folder of pages that opens from disk and from any web server.

PAGES = [
    *("index.html", "browser.css", "data.js", "brain.js", "space.js", "card.js", "browser.js"),
    "niivue.js",
]


rule browser_subject:
    input:
        **reads(
            profiles=own_regions("{results}/{subject}/{roi}/profiles.zarr"),
            descriptions=own_regions("{results}/{subject}/{roi}/descriptions.zarr"),
            attributions=own_regions("{results}/{subject}/{roi}/attributions/all.zarr"),
            structure=own_regions("{results}/{subject}/{roi}/structure.zarr"),
            preference=own_regions("{results}/{subject}/{roi}/preference.zarr"),
            generated=own_regions("{results}/{subject}/{roi}/generated.zarr"),
            sufficiency=own_regions("{results}/{subject}/{roi}/sufficiency.zarr"),
            edits=own_regions("{results}/{subject}/{roi}/edits.zarr"),
            counterfactuals=own_regions("{results}/{subject}/{roi}/counterfactuals.zarr"),
            scores="<results>/{subject}/scores.zarr",
            responses="<results>/{subject}/responses.zarr",
            vocabulary="<embeddings>/vocabulary.zarr",
            base_rates="<embeddings>/base_rates.zarr",
        ),
        dataset=dataset_files(),
    output:
        folder=directory("<results>/browser/data/{subject}"),
    log:
        "<logs>/browser_subject/{subject}.log",
    benchmark:
        "<benchmarks>/browser_subject/{subject}.tsv"
    params:
        code=code("browser_subject"),
        dataset=section("dataset"),
        browser=section("browser"),
        prompt=settings.generator.prompt,
        method=settings.counterfactual.method,
    message:
        "Writing the voxel browser's data of {wildcards.subject}"
    script:
        "../scripts/browser_subject.py"


rule browser:
    input:
        data=expand("<results>/browser/data/{subject}", subject=settings.subjects),
    output:
        pages=[f"<results>/browser/{page}" for page in PAGES],
        site="<results>/browser/data/site.js",
    log:
        "<logs>/browser.log",
    benchmark:
        "<benchmarks>/browser.tsv"
    params:
        code=code("browser"),
        # No inputs: where the software lies is no reason to run again.
        pages=digest_files(Path(workflow.basedir) / "workflow/browser"),
        name=settings.name,
        subjects=settings.subjects,
        browser=section("browser"),
    message:
        "Writing the voxel browser"
    script:
        "../scripts/browser.py"
