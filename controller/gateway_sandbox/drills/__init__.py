"""The machinery behind `gateway_sandbox.faults`: what a fault is, what it is made of, how it comes and goes.

steps, github_steps and monitoring_steps are what a fault does, each with its own way back; model is the fault and what
is looked at; injection brings it in and out and keeps the way back in the cluster, as codec writes it.
"""
