"""Tests of `gw` as a command: a command line in, text, documents and an exit code out."""
