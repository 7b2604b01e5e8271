"""What may happen in a simulation, by name: each profile switches some actors on; a seed fixes everything else."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Profile:
    """The actors that play."""

    name: str
    minutes: tuple[float, float] = (12.0, 30.0)
    """How long the world is restless."""
    job_every_seconds: float = 40.0
    bursts: bool = False
    cancels: bool = False
    duplicates: bool = False
    """Jobs are delivered to several sessions."""
    github_faults: bool = False
    kube_faults: bool = False
    blows: bool = False
    """Workers are evicted, preempted, drained, deleted, lost; they crash."""
    slow_pods: bool = False
    """No room on the nodes, images that do not come."""
    quota: bool = False
    edits: bool = False
    """The manager changes, suspends and resumes groups."""
    rotation: bool = False
    clock_jumps: bool = False
    deletion: bool = False
    """Groups, and the tenant, go and come again."""
    restarts: bool = False
    kills: bool = False
    two_agents: bool = False
    requests: bool = False
    """People have lost jobs rerun."""
    retries: int = 2
    """The groups' maxEvictionRetries; two are the default."""


_CALM = Profile("calm")
PROFILES: dict[str, Profile] = {
    one.name: one
    for one in (
        _CALM,
        replace(_CALM, name="bursts", bursts=True, cancels=True),
        replace(_CALM, name="github-faults", github_faults=True, cancels=True),
        replace(_CALM, name="kube-faults", kube_faults=True),
        replace(_CALM, name="edits", edits=True, bursts=True),
        replace(_CALM, name="quota", quota=True, cancels=True),
        replace(_CALM, name="slow-pods", slow_pods=True, cancels=True),
        replace(_CALM, name="evictions", blows=True, cancels=True),
        replace(_CALM, name="duplicates", duplicates=True, bursts=True),
        replace(_CALM, name="duplicates-restarts", duplicates=True, bursts=True, restarts=True, cancels=True),
        replace(_CALM, name="duplicates-kills", duplicates=True, bursts=True, kills=True),
        replace(_CALM, name="duplicates-agents", duplicates=True, bursts=True, two_agents=True),
        replace(_CALM, name="rotation", rotation=True),
        replace(_CALM, name="clock-jumps", clock_jumps=True),
        replace(_CALM, name="deletion", deletion=True),
        replace(_CALM, name="restarts", restarts=True, job_every_seconds=25.0),
        replace(_CALM, name="kills", kills=True, job_every_seconds=25.0),
        replace(_CALM, name="two-agents", two_agents=True, job_every_seconds=25.0),
        replace(
            _CALM,
            name="requests",
            requests=True,
            cancels=True,
            retries=0,
            blows=True,
            restarts=True,
            job_every_seconds=25.0,
        ),
        replace(
            _CALM,
            name="everything",
            bursts=True,
            cancels=True,
            duplicates=True,
            github_faults=True,
            kube_faults=True,
            blows=True,
            slow_pods=True,
            quota=True,
            edits=True,
            rotation=True,
            clock_jumps=True,
            deletion=True,
            restarts=True,
            kills=True,
            two_agents=True,
            requests=True,
        ),
    )
}


def profile_of(seed: int, names: list[str] | None = None) -> Profile:
    """The profile that a seed plays."""
    chosen = names or list(PROFILES)
    return PROFILES[chosen[seed % len(chosen)]]
