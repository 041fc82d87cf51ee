// Columns of text for a terminal, as kubectl prints them.
#pragma once

#include <string>
#include <vector>

namespace slotwright {

/// The first row is the heading. Columns are three blanks apart; the last line ends with a newline.
[[nodiscard]] std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace slotwright
