// Which servers this machine has for tests.
#pragma once

#include <string>

namespace slotwright::testing {

/// The server program that local mode would run for an image; empty if this machine has none. scripts/engines.sh cannot
/// fetch every one everywhere.
[[nodiscard]] std::string ServerFor(const std::string& image);

/// What a test runs that asks for no engine of its own: $SLOTWRIGHT_TEST_IMAGE, by default "redis:7.0".
[[nodiscard]] std::string TestImage();

}  // namespace slotwright::testing
