"""Every write of an operation: plan, the caller's rights, the server's dry run, fields, confirmation, writing.

An operation gathers, decides a `Plan` and hands it to `carry_out`; what it waits for afterwards is its own business.
"""
