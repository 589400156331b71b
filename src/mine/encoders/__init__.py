"""Forms of encoders on equal terms: fit(stimuli, responses, terms) -> what predicts."""
