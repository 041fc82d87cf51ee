#!/bin/sh
# Startup: ready.sh, asked often, so that nobody waits for a new pod longer than it needs. Usage: as ready.sh.
#
# Only for the first minute. Loading or copying may take hours, and no server is started anew for that: from then on
# readiness says how it is, and liveness watches it.

why=$(/bin/sh "${0%/*}/ready.sh" "$@") && exit 0
since=$(date -r "$2/auth" +%s 2> /dev/null) && [ $(($(date +%s) - since)) -ge 60 ] && exit 0
echo "$why"
exit 1
