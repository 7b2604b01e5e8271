"""`gw alerts`: what is shipped, what is loaded, what fires, who is told."""
