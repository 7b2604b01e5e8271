"""What clients of a Kubernetes API rely on, case by case on the embedded API server and on the real one."""
