"""Images of others that a release is made for; the runner's own is with the runner groups (`api.runnergroup`)."""

PROXY_IMAGE = "envoyproxy/envoy:distroless-v1.40.0"
"""Envoy's own image, whose entrypoint is Envoy; an installation names it by digest."""
