// A life of a cluster that chance writes: one seed, one story, one verdict.
#pragma once

#include <cstdint>
#include <string>

namespace slotwright::simulation {

struct Verdict {
  std::string problem;  ///< Empty: every promise was kept, it converged and fell silent.
  int effects = 0;
  std::size_t story = 0;          ///< A hash of all effects, in order.
  bool gave_up = false;           ///< It was refused aloud to go on (NodesNotEmpty), and so not looked at any further.
  std::int64_t acknowledged = 0;  ///< Writes of clients.
  std::int64_t excused = 0;       ///< Those of them that Redis itself may have lost.
};

/// Deterministic but for the password that the operator generates.
[[nodiscard]] Verdict RunSeed(std::uint64_t seed, bool trace = false);

}  // namespace slotwright::simulation
