"""Incidents: guided procedures that keep a record, so that anybody can go on with them where they stand."""
