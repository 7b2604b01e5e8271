"""What a sandbox's Kubernetes is made of: the embedded API server with controllers of ours, or the real programs.

backend is the seam; embedded and real are its two sides. Everything else of a sandbox (the installation, the node, the
GitHub simulator) is the same on both.
"""
