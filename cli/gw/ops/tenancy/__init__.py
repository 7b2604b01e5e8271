"""Changing a tenant that is there: its settings, a pause, its runner groups' sizes, its end."""
