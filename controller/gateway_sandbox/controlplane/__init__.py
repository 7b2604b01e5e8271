"""The real control plane: which programs it consists of, where they come from, and how they run on loopback.

Kubernetes and etcd are built from Go modules of their own authors; `modules/` holds nothing of ours but the pins. Built
programs live in a cache outside of the checkout, one folder per content of a module's pins.

programs -> assets (find) and build (make); credentials and kubeconfigs -> processes -> server (start, wait, stop).
"""
