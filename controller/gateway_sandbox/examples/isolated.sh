#!/usr/bin/env bash
# Runs one step's script without network (loopback only) and with the checkout and its environment read-only, in
# namespaces of its own. Where the kernel gives an ordinary user none, the script runs as it is and says so.
# In a workflow: shell: bash controller/gateway_sandbox/examples/isolated.sh {0}
set -euo pipefail

script=$1
environment=$(python -c 'import pathlib, sys; print(pathlib.Path(sys.prefix).resolve().parent)')
namespaces=(unshare --map-root-user --net --mount)

if ! "${namespaces[@]}" true 2>/dev/null; then
  echo "::notice::no user namespaces here: this step is not isolated"
  exec bash -e "$script"
fi
exec "${namespaces[@]}" bash -euc '
  ip link set lo up 2>/dev/null || true
  mount --bind "$1" "$1"
  mount -o remount,ro,bind "$1"
  STEP_IS_ISOLATED=yes exec bash -e "$2"
' isolated "$environment" "$script"
