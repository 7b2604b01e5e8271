"""Properties hold however busy the machine is: hypothesis sets no deadline per example here."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
