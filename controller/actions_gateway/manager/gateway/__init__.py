"""One ActionsGateway's reconcile: gather reads, decide and build are pure, apply writes."""
