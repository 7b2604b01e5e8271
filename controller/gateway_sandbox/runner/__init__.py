"""Workflow files to job messages, and the fake `Runner.Worker` that executes them.

The planner (`workflow`, `matrix`, `planning`) runs inside the sandbox and plays GitHub's side: a workflow file becomes
job messages. Everything else is the fake worker, one process per job, which plays the runner's side: standard library
only, and without the modules that are slow to import (`dataclasses`, `typing`, `pathlib`), because every job pays for
its start. `expressions`, `values`, `functions`, `tokens` and `contextdata` serve both.
"""
