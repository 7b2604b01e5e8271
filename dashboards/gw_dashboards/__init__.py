"""Grafana dashboards, generated with grafanalib from the metric catalogue and the alert thresholds."""
