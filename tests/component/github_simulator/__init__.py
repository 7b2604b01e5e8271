"""The GitHub simulator over real HTTP."""
