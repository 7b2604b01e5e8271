"""The RunnerGroup objects: what each of them wants, and what is reported on it."""
