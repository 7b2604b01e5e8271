"""What the tenant board's panels have in common."""

BY_GROUP = ("namespace", "runner_group")
BY_TENANT = ("namespace",)
NO_AGENT = "No agent of this tenant is seen"
