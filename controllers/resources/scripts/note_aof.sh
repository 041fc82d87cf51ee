# shellcheck shell=sh
# Whether append-only files have everything, for the next start. They have as long as the server has one of them open.
# It has not when they are off, and not until their first rewrite is over, after they were turned on and after each
# full synchronisation: until then it appends to temp-*.incr, or to nothing while that rewrite has to wait or has
# failed, and what lies there is of an earlier time (aof_state and aof_fd in its src/aof.c). INFO does not tell that
# apart from the rewrites that follow. A server that is loading has none open, and has not changed any. The note is the
# name of an empty file, as a full disk allows no more than to rename it.

# note_aof DATA_DIR ANSWER_TO_INFO: where it cannot be told what was noted stays.
note_aof() {
  case $2 in *loading:1*) return 0 ;; esac
  open=/proc/$(printf '%s\n' "$2" | sed -n 's/^process_id:\([0-9]*\).*/\1/p')/fd
  now=incomplete before=complete
  # shellcheck disable=SC2010  # of links, what they point to
  if ls -l "$open" 2> /dev/null | grep -q '/appendonlydir/.*\.incr\.aof$'; then now=complete before=incomplete; fi
  # Not before: a server that has ended meanwhile has none open either.
  [ -n "$1" ] && [ -n "$(ls "$open" 2> /dev/null)" ] || return 0
  [ ! -e "$1/aof-$now" ] || return 0
  mv "$1/aof-$before" "$1/aof-$now" 2> /dev/null || : > "$1/aof-$now"
}
