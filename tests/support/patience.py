"""How long a test waits for what has to come."""

HANG_SECONDS = 180.0
"""What has not come by then hangs. It is far more than anything takes on a machine under load: how fast something is
belongs in the benchmark, and a test that fails for being slow says nothing about what it tests."""
