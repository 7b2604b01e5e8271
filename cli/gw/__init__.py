"""`gw`, the command line of Actions Gateway: onboarding, health, the sandbox.

Rooms, each importing only those after it: `commands` (options in, exit code out), `output` (the one printer), `ops`
(the operations), `checks` (pure judgements over facts), `sources` (Kubernetes, GitHub and the sandbox as typed facts).
"""
