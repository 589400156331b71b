# The dataset, where the configuration says that its terms are accepted: what is missing is fetched
# and what is there is verified. The tables come first, since the number of images, and so of shards,
# is known from them.


localrules:
    download,


checkpoint download:
    output:
        "<results>/download/{group}.tsv",
    log:
        "<logs>/download/{group}.log",
    benchmark:
        "<benchmarks>/download/{group}.tsv"
    resources:
        # One after the other: each takes all connections that are allowed.
        download=1,
    params:
        code=code("download"),
        root=settings.dataset.root,
        download=section("download"),
        selection=settings.selection(),
    message:
        "Downloading {wildcards.group}"
    script:
        "../scripts/download.py"
