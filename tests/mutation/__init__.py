"""Whether anybody notices: each number, comparison, severity and duration of the alerting is changed, one at a time."""
