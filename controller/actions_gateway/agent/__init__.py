"""The agent: one tenant's controller, which turns queued GitHub jobs into worker pods.

`tokens` keeps the credentials fresh, `registrations` makes and removes single-use runners, `sessions` waits for jobs,
`jobs` carries one claimed job to its end whatever it was claimed through, `runnergroups` ties them to the RunnerGroup
objects and reports. `run` composes all of it; time, randomness, the Kubernetes client and GitHub's transport are passed
in, and no module holds state.
"""
