#!/bin/sh
# Prints where apt gets Debian's packages from: debian-mirror.sh [SUITE]. Nothing if it knows no mirror of Debian, or none of
# that suite. Security updates are elsewhere and do not count.
set -eu

# shellcheck disable=SC2016  # apt's own variables
apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2> /dev/null |
  awk -v suite="${1:-}" '$1 == "Debian" && $3 !~ /security/ && (suite == "" || $2 == suite) { print $3; exit }'
