"""The wire vocabulary: API types, names, labels, conditions and reasons. It imports nothing else of ours."""
