"""Handing a shift over: the runbook's checklist, what changed, what is different, and a signature."""
