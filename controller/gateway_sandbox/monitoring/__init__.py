"""Prometheus and Alertmanager beside a sandbox's cluster, where the machine has them.

configuration says what their files hold, programs where they are, stack keeps them running.
"""
