"""The embedded API server over HTTP: what clients of a Kubernetes API rely on."""
