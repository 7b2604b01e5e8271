"""The keys of GitHub Apps: what is known of those in use, proving one at GitHub, and changing to a new one."""
