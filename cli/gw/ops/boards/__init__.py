"""Dashboards: what ships as files or ConfigMaps, and whether what Grafana gets is still that."""
