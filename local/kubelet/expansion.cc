// $(NAME) expansion.
#include "local/kubelet/expansion.h"

namespace slotwright::local {

std::string ExpandVariables(std::string_view text, const VariableLookup& lookup) {
  std::string expanded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      expanded += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      expanded += '$';
      ++i;
      continue;
    }
    const size_t end = text[i + 1] == '(' ? text.find(')', i) : std::string_view::npos;
    if (end == std::string_view::npos) {
      expanded += '$';
      continue;
    }
    const auto value = lookup(text.substr(i + 2, end - i - 2));
    expanded += value ? *value : std::string(text.substr(i, end - i + 1));
    i = end;
  }
  return expanded;
}

}  // namespace slotwright::local
