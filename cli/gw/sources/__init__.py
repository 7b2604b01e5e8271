"""Facts from outside as typed values: the cluster, GitHub, the sandbox's simulator. Judges nothing, prints nothing."""
