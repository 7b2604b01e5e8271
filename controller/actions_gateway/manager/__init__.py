"""The manager: turns each ActionsGateway into a tenant's objects, and tells how the fleet does."""
