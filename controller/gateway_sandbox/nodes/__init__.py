"""The node loop: runs the pods of one node as local processes and serves the kubelet's API for their logs."""
