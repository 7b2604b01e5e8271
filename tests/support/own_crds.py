"""Our custom resource definitions in a group of these tests' own, so that no installation of ours is in the way.

Schema, rules, defaults and columns are those of `actions_gateway.api.crd`; only the group differs.
"""

import json
from dataclasses import replace
from typing import Any

from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.api.names import API_GROUP, API_VERSION
from actions_gateway.kube.resources import ACTIONSGATEWAYS, RUNNERGROUPS
from support.apiserver import Api
from support.manifests import Json

OUR_CRDS = (gateway_crd(), runner_group_crd())
GROUP = "own.example.com"
GATEWAYS = replace(ACTIONSGATEWAYS, group=GROUP)
GROUPS = replace(RUNNERGROUPS, group=GROUP)


def moved(manifest: Any) -> Any:
    """The manifest with our API version, wherever it stands, in the tests' group; labels stay."""
    return json.loads(json.dumps(manifest).replace(f'"{API_GROUP}/{API_VERSION}"', f'"{GATEWAYS.api_version}"'))


async def serve_ours(api: Api) -> None:
    """Serves both definitions as GATEWAYS and GROUPS."""
    for crd in OUR_CRDS:
        await api.serve(_in_group(crd))


def _in_group(crd: Json) -> Json:
    """The definition in the tests' group, without the short names that ours has."""
    names = {key: value for key, value in crd["spec"]["names"].items() if key not in ("shortNames", "categories")}
    spec = crd["spec"] | {"group": GROUP, "names": names}
    return crd | {"metadata": {"name": f"{names['plural']}.{GROUP}"}, "spec": spec}
