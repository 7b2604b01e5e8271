"""gw against real API servers."""
