"""Why a pod cannot go on for now.

PodProblem
├── ConfigProblem     a container's environment or command cannot be made (kubelet: CreateContainerConfigError)
├── MountProblem      a volume cannot be laid out (kubelet: event FailedMount, containers stay in ContainerCreating)
└── Unsupported       the pod asks for something that this node does not do; waiting does not help
"""


class PodProblem(RuntimeError):
    """The text is what the pod's status and events say; it never holds a value of a Secret."""


class ConfigProblem(PodProblem):
    """A reference of a container's configuration is missing."""


class MountProblem(PodProblem):
    """A volume's source is missing."""


class Unsupported(PodProblem):
    """The pod uses a feature that the sandbox's node refuses."""
