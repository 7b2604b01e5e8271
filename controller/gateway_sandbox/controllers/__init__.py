"""What kube-controller-manager and kube-scheduler do on a real cluster: Deployments, ReplicaSets, binding pods.

Of the autoscalers the reading alone.
"""
