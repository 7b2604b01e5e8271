"""The only room that speaks to GitHub: App authentication, REST, the runner's token, the broker and the run service."""
