# Models that a hub holds. They are fetched by the process that runs the workflow: the nodes of a
# cluster have no internet, and every other job runs with the network switched off.


localrules:
    fetch_models,


rule fetch_models:
    output:
        "<results>/models/{section}.tsv",
    log:
        "<logs>/fetch_models/{section}.log",
    benchmark:
        "<benchmarks>/fetch_models/{section}.tsv"
    resources:
        # One after the other, as they share a line and a cache.
        download=1,
    params:
        code=code("fetch_models"),
        chosen=lambda wildcards: section(wildcards.section),
    message:
        "Fetching the models of {wildcards.section}"
    script:
        "../scripts/fetch_models.py"
