"""`gw install`, `gw uninstall` and `gw check` on a real control plane of their own: an installation is cluster-wide."""
