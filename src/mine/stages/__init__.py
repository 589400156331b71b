"""The stages of the pipeline, one module each; no stage imports another."""
