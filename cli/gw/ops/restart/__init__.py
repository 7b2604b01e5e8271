"""Restarts agents and the manager as `kubectl rollout restart` does, and proves what came of it."""
