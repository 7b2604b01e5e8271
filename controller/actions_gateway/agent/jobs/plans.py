"""Which plans this agent runs: a job that GitHub delivers to several sessions has one plan id and runs once."""


class PlanClaims:
    """The plans of the jobs in flight, over all groups."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()

    def claim(self, plan_id: str) -> bool:
        """Whether the plan is the caller's from now on."""
        if plan_id in self._claimed:
            return False
        self._claimed.add(plan_id)
        return True

    def release(self, plan_id: str) -> None:
        """The plan has ended."""
        self._claimed.discard(plan_id)
