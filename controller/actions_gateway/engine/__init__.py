"""Work queue, back-off, clock and supervision: the machinery, which knows neither Kubernetes nor GitHub."""
