"""One claimed job from its claim to its end, whatever acquirer claimed it."""
