"""The checks: pure judgements over facts, one engine behind `gw health` and whatever else asks "is it fine?"."""
