#!/bin/sh
# Liveness: succeeds if the server answers at all. Usage: alive.sh PORT, with POD_IP in the environment.
# Any answer proves that the server is alive: it may be loading for minutes, or take no more clients. Killing it would
# lose what is in memory.
client=redis-cli
command -v "$client" > /dev/null 2>&1 || client=valkey-cli
command -v "$client" > /dev/null 2>&1 || exit 0
case $("$client" -h "$POD_IP" -p "$1" PING 2>&1) in
  '' | *'Could not connect'*) exit 1 ;;
esac
