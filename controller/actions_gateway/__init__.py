"""Everything of Actions Gateway that runs inside a cluster: the manager, the agent and the worker's wrapper."""

__version__ = "0.1.0"
