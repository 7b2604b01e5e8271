"""A GitHub for laptops and tests: the classic runner protocol of Actions, in memory, with its timing rules and faults.

`core.GitHub` holds the protocol's state and knows no transport; `service.Service` maps one call to one reply, faults
included; `simulator.GitHubSimulator` serves that over HTTP.
"""
