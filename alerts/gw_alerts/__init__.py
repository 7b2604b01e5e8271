"""The catalogue of thresholds, alerts, objectives and routes, each with its line in the production runbook."""
