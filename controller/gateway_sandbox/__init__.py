"""The sandbox: an embedded cluster and a GitHub simulator for laptops, tests, drills and demos; never production."""
