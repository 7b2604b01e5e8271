"""The node loop and the workload controllers against the embedded API server, with real processes."""
