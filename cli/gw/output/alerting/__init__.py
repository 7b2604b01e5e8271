"""`gw alerts` as text and as documents."""
