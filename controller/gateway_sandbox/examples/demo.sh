#!/usr/bin/env bash
# The main job end to end, through gw as a user would call it. Leaves no process, file or port behind,
# also when it is interrupted: the trap ends the sandbox, and the sandbox ends by itself when this shell is gone.
# CLUSTER=real runs it on the real control plane (`make controlplane` builds that).
set -euo pipefail

examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
GW_SANDBOX_DIR=$(mktemp -d "${TMPDIR:-/tmp}/actions-gateway-demo.XXXXXX")
export GW_SANDBOX_DIR KUBECONFIG="$GW_SANDBOX_DIR/kubeconfig"

end() {
  trap '' INT TERM
  gw sandbox down --dir "$GW_SANDBOX_DIR" >/dev/null 2>&1 || true
  rm -rf "$GW_SANDBOX_DIR"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step() {
  local word line=''
  for word in "$@"; do
    case $word in *\ *) word="\"$word\"" ;; esac
    line+=" $word"
  done
  if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then printf '\n\033[1m$%s\033[0m\n' "$line"; else printf '\n$%s\n' "$line"; fi
  "$@"
}

step gw sandbox up --cluster "${CLUSTER:-embedded}" --owner-pid $$

told() { sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" "$GW_SANDBOX_DIR/sandbox.json"; }
github=$(told github_url)
GW_PROMETHEUS_URL=$(told prometheus_url) GW_ALERTMANAGER_URL=$(told alertmanager_url)
export GW_PROMETHEUS_URL GW_ALERTMANAGER_URL
step gw tenant add team-a --yes \
  --github-url "$github/octo/demo" --app-id 1 --installation-id 1 \
  --private-key-file "$GW_SANDBOX_DIR/github-app.pem" --ca-bundle-file "$GW_SANDBOX_DIR/ca.crt" \
  --runner-group "gpu-runners labels=self-hosted,gpu maxListeners=10 tiers=runner-critical:5,runner-standard:20" \
  --runner-group "cpu-runners labels=self-hosted,linux maxWorkers=30"

step gw sandbox run "$examples/many-small-jobs.yml"
step gw sandbox logs fails-on-purpose
step gw tenant show team-a
if [ -n "$GW_PROMETHEUS_URL" ] && [ -n "$GW_ALERTMANAGER_URL" ]; then
  step gw health team-a --wait 60s
else
  # Exit 3 is the right answer where no Prometheus is installed: what gw cannot see is unknown.
  step gw health team-a || [ $? = 3 ]
fi
