"""Parts of manifests that manager and tenants' pods have in common: pod specs and rules of network policies."""
