"""The whole agent on virtual time, between doubles of GitHub and Kubernetes, under seeded schedules and faults."""
