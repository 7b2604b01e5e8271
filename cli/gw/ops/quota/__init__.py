"""A tenant's ResourceQuotas: how they stand, how they are adjusted, and the proof that it counts."""
