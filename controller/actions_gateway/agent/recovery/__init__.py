"""Jobs that lost their worker through no fault of their own: remembered in a ledger and rerun within a budget."""
