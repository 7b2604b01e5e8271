"""What the manager tells of its fleet in metrics, and which of its gateways get a new release's images."""
