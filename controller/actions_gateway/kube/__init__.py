"""The only room that speaks to Kubernetes: connection, requests on plain dicts, errors, list-watch, events, lease."""
