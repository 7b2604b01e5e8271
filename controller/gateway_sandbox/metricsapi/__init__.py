"""`metrics.k8s.io` from the sandbox's own processes, served through the API server's aggregation layer.

What metrics-server is to a cluster: `kubectl top` and the CPU and memory targets of HorizontalPodAutoscalers read it.
processes (what /proc says) -> sampler (rates over a window) -> documents (the API's objects) -> server (HTTPS), and
registration tells the API server where that is.
"""
