"""Adding a tenant: what is asked for, what to write, writing it, and waiting until it works."""
