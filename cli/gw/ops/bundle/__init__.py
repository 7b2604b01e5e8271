"""A support bundle: what somebody needs who helps from afar, without a key or token, within a size and a time."""
