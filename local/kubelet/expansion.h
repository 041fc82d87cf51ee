// $(NAME) in commands, arguments and environment values, as the kubelet expands it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace slotwright::local {

/// The value of a variable; nothing if there is no such variable.
using VariableLookup = std::function<std::optional<std::string>(std::string_view name)>;

/// Replaces $(NAME) by its value. "$$" stands for "$", so that "$$(NAME)" stays "$(NAME)". A reference to an unknown
/// variable and a lone "$" stay as they are (Kubernetes: third_party/forked/golang/expansion).
[[nodiscard]] std::string ExpandVariables(std::string_view text, const VariableLookup& lookup);

}  // namespace slotwright::local
