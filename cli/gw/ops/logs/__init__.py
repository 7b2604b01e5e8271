"""What manager, agents, proxies and workers wrote: which containers are meant, their lines in order, and new ones."""
