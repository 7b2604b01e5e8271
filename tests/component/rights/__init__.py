"""Least privilege, isolation and onboarding: real components as their own accounts on a real API server."""
