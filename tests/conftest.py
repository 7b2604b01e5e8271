"""What every test shares."""

from hypothesis import settings

# A shared machine may stall any single example; how long code takes is the benchmark's business.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
