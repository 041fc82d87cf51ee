#!/usr/bin/env bash
# Formatting and static analysis; changes nothing. Usage: scripts/lint.sh [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."

# Older ones do not know std::expected of g++'s library, and every version formats a little differently.
version=19
tools=("clang-format-$version" "clang-tidy-$version")
for tool in "${tools[@]}"; do
  command -v "$tool" > /dev/null || { echo "lint: needs $tool: apt-get install ${tools[*]}" >&2; exit 2; }
done

mapfile -t sources < <(git ls-files '*.cc' '*.h')
echo "lint: clang-format on ${#sources[@]} files"
clang-format-$version --dry-run --Werror "${sources[@]}"

mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
echo "lint: shellcheck on ${#scripts[@]} scripts"
shellcheck -x "${scripts[@]}"

echo "lint: tests that the documentation names"
scripts/doc-names.py

[ -f build/dev/compile_commands.json ] || cmake --preset dev > /dev/null
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'reconciler/*.cc' 'controllers/*.cc' 'operator/*.cc' 'local/*.cc'); fi
# Clang cannot compile these: Boost 1.74 (Debian 12) gives it coroutines with <experimental/coroutine> alone, and
# cpprestsdk's json.h destroys a unique_ptr of an incomplete class where C++23 makes that an error.
skipped='^(controllers/redis/tcp_commander|reconciler/http/server|reconciler/kube/http_transport)\.cc$'
mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -Ev "$skipped")
[ ${#files[@]} -gt 0 ] || exit 0
# std::stable_sort of g++'s library calls a deprecated function; g++ itself warns of our own uses.
echo "lint: clang-tidy on ${#files[@]} files"
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy-$version --quiet -p build/dev \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument --extra-arg=-Wno-invalid-pch \
  --extra-arg=-Wno-deprecated-declarations
