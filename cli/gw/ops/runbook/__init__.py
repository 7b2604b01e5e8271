"""Runbook pages: read, found, and run step by step."""
