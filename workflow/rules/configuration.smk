# The configuration beside the results that it made.


# A file of a few kilobytes, not worth a job of a cluster.
localrules:
    configuration,


rule configuration:
    output:
        "<results>/config.json",
    log:
        "<logs>/configuration.log",
    benchmark:
        "<benchmarks>/configuration.tsv"
    params:
        code=code("configuration"),
        configuration=asdict(settings),
    message:
        "Writing the configuration"
    script:
        "../scripts/configuration.py"
