"""The few styles of all text; each only repeats what the words already say."""

STYLES = {"ok": "green", "bad": "bold red", "warn": "yellow", "dim": "dim", "head": "bold"}
