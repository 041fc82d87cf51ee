#!/usr/bin/env bash
# Formatting and static analysis; changes nothing. Usage: scripts/lint.sh [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."

[ -f build/dev/compile_commands.json ] || cmake --preset dev > /dev/null
mapfile -t sources < <(git ls-files '*.cc' '*.h')
echo "lint: clang-format on ${#sources[@]} files"
clang-format --dry-run --Werror "${sources[@]}"

mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
echo "lint: shellcheck on ${#scripts[@]} scripts"
shellcheck -x "${scripts[@]}"

# clang-tidy needs the generated sources and runs without our precompiled headers, which g++ made.
ninja -C build/dev operator/crd.cc > /dev/null 2>&1 || true
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'reconciler/*.cc' 'controllers/*.cc' 'operator/*.cc' 'local/*.cc'); fi
echo "lint: clang-tidy on ${#files[@]} files"
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/dev \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument --extra-arg=-Wno-invalid-pch
