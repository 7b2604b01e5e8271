"""Waiting for work through the classic protocol: one long poll per registration, a pool of them per group."""
