"""The embedded Kubernetes API server of the sandbox: small, in memory, for laptops, tests, drills and demos.

It serves what our components and plain kubectl use: discovery and OpenAPI v3, CRUD, list and watch with resource
versions, bookmarks and 410, all patch forms and server-side apply with field ownership, status and scale, finalizers,
garbage collection, namespaces, custom resources with schema validation, pod admission and quotas, tables, and pod logs
through the node's kubelet. `LEFT_OUT` says what it does not. The tests under tests/component/apiserver run against a
real kube-apiserver too: what this one answers is what that one answers.

Modules: builtin.types (the field table of built-in kinds) and builtin, customresources -> kinds and schema;
writes (the one write path) over defaults, admission, quota, validation, managedfields; deletion; reads and rendering;
bodies, handlers and server for HTTP.
"""

from gateway_sandbox.apiserver.server import LEFT_OUT, ApiServer

__all__ = ["LEFT_OUT", "ApiServer"]
