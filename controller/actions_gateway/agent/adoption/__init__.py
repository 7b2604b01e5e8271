"""Taking over the jobs of an earlier agent process: what its Secrets and pods say, and what is left to do for each."""
