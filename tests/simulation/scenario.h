// A life of a cluster that chance writes: one seed, one story, one verdict.
#pragma once

#include <cstdint>
#include <string>

namespace slotwright::simulation {

struct Verdict {
  std::string problem;  ///< Empty: every promise was kept, it converged and fell silent.
  int effects = 0;
};

/// Deterministic but for the password that the operator generates.
[[nodiscard]] Verdict RunSeed(std::uint64_t seed, bool trace = false);

}  // namespace slotwright::simulation
