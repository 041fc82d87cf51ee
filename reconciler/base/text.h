// Words that somebody else chose, made fit for what is to hold them.
#pragma once

#include <cstddef>
#include <string>

namespace reconciler {

/// At most `bytes` of it, as valid UTF-8 whatever it was, with "…" at the end if that is not all.
/// REQUIRES: bytes >= 3, which "…" has.
[[nodiscard]] std::string Clipped(const std::string& text, std::size_t bytes);

}  // namespace reconciler
