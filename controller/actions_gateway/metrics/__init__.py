"""Metrics: the catalogue as data, the registry that instantiates it, and the server that exposes it with the probes."""
