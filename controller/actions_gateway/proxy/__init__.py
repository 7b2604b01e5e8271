"""The tenant's egress proxy: Envoy's bootstrap as a pure function of a gateway."""
