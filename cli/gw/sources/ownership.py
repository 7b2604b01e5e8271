"""Whose an object is: this project's installation, a GitOps controller's, or the upstream Go project's.

Upstream shares our API group and most names, so a name alone proves nothing. Its marks: its chart's labels and Helm's
annotations (charts/actions-gateway in github.com/actions-gateway/github-actions-gateway), controller-gen's annotation
on its definitions, and a webhook, which this project does without.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import INSTALL_FIELDS

Manifest = Mapping[str, Any]

UPSTREAM_WEBHOOK = "gmc-validating-webhook-configuration"
_CHART_LABEL = "helm.sh/chart"
_RELEASE_ANNOTATION = "meta.helm.sh/release-name"
_KEEP_ANNOTATION = "helm.sh/resource-policy"
_CONTROLLER_GEN = "controller-gen.kubebuilder.io/version"

_ARGO_ANNOTATION = "argocd.argoproj.io/tracking-id"
_ARGO_LABEL = "argocd.argoproj.io/instance"
_FLUX_LABELS = {"kustomize.toolkit.fluxcd.io/name": "Kustomization", "helm.toolkit.fluxcd.io/name": "HelmRelease"}
_GITOPS_MANAGERS = {"argocd-controller": "Argo CD", "kustomize-controller": "Flux"}


def is_ours(manifest: Manifest) -> bool:
    """Whether the object carries this project's label and no mark of upstream's chart, which uses the same label."""
    return labels_of(manifest).get(labels.APP_PART_OF) == labels.PART_OF and not next(upstream_marks(manifest), None)


def is_applied_by_gw(manifest: Manifest) -> bool:
    """Whether `gw install` keeps fields of the object."""
    return any(
        entry.get("manager") == INSTALL_FIELDS and entry.get("operation") == "Apply" for entry in _managed(manifest)
    )


def upstream_marks(manifest: Manifest) -> Iterator[str]:
    """What says that the upstream project put the object there."""
    annotations = annotations_of(manifest)
    if chart := labels_of(manifest).get(_CHART_LABEL):
        yield f"label {_CHART_LABEL}={chart}"
    if release := annotations.get(_RELEASE_ANNOTATION):
        yield f"annotation {_RELEASE_ANNOTATION}={release}"
    if _KEEP_ANNOTATION in annotations:
        yield f"annotation {_KEEP_ANNOTATION}"
    if _CONTROLLER_GEN in annotations:
        yield f"annotation {_CONTROLLER_GEN}"


def gitops_owner(manifest: Manifest) -> str | None:
    """The GitOps controller that keeps the object, with the name under which it does; None when none is seen."""
    if tracking := annotations_of(manifest).get(_ARGO_ANNOTATION):
        return f"Argo CD (application {tracking.partition(':')[0]})"
    if application := labels_of(manifest).get(_ARGO_LABEL):
        return f"Argo CD (application {application})"
    for label, kind in _FLUX_LABELS.items():
        if name := labels_of(manifest).get(label):
            return f"Flux ({kind} {name})"
    managers = (str(entry.get("manager")) for entry in _managed(manifest))
    return next((_GITOPS_MANAGERS[manager] for manager in managers if manager in _GITOPS_MANAGERS), None)


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """The object's labels."""
    return (manifest.get("metadata") or {}).get("labels") or {}


def annotations_of(manifest: Manifest) -> Mapping[str, str]:
    """The object's annotations."""
    return (manifest.get("metadata") or {}).get("annotations") or {}


def _managed(manifest: Manifest) -> list[Manifest]:
    return (manifest.get("metadata") or {}).get("managedFields") or []
