"""Installing and removing Actions Gateway: what is asked for, what is there, what to write, writing it, waiting.

request -> wanted (the manifests) and snapshot (the cluster) -> guards (may it be done at all) -> plan -> writing ->
rollout; `install` and `uninstall` are the two operations.
"""
