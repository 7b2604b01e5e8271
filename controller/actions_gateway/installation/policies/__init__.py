"""Admission without a webhook server: ValidatingAdmissionPolicies that hold while no component of ours runs.

catalog (all of them) -> one module per question -> building (shapes), cel (expressions), pod_rules (what no worker may
be). Schema and CEL rules of the CRDs stay with the API types; here stands what needs more than the object itself:
annotations, the namespace, the caller, or a pod template that a schema leaves open.

The expressions keep to the CEL libraries of Kubernetes 1.30, the first minor that serves these policies as v1.
"""
