"""What an installation of Actions Gateway puts on a cluster, as pure builders.

`controller/deploy/`, `gw install` and the sandbox all take it from here, so that what is tried is what is installed.

manifests (the whole, in order) -> rights (components), people (roles for humans), policies (admission), manager (the
Deployment), metadata. monitoring is for clusters with the operators' types; release reads the file that names images;
generate writes `controller/deploy/`.
"""
