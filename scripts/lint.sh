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

[ -f build/dev/compile_commands.json ] || cmake --preset dev > /dev/null
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'reconciler/*.cc' 'controllers/*.cc' 'operator/*.cc' 'local/*.cc'); fi
echo "lint: clang-tidy on ${#files[@]} files"
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy-$version --quiet -p build/dev \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument --extra-arg=-Wno-invalid-pch
