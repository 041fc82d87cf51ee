// Everything the operator changes, in order, and what chance does to it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/simulation/simulator.h"

namespace slotwright::simulation {

/// The operator's process is gone, between two instructions. Not a std::exception: production code must not catch it.
struct OperatorDied {};

struct FaultRates {
  int crash_percent = 0;       ///< Of all effects: the process dies right after it.
  int lost_reply_percent = 0;  ///< It happens, and the operator is told that it timed out.
  int refused_percent = 0;     ///< It does not happen, and the operator is told so.
  int missed_percent = 0;      ///< Of all questions: no answer in time.
};

/// Counts and logs effects on Kubernetes and on Redis alike.
class Effects {
 public:
  enum class Fate { kNormal, kLostReply, kRefused };

  explicit Effects(Simulator& simulator) : simulator_(simulator) {}

  /// Before a question: whether it gets no answer.
  [[nodiscard]] bool IsMissed();
  /// Before an effect.
  [[nodiscard]] Fate Next(const std::string& what);
  /// Of the effect that Next began: the operator dies with it.
  [[nodiscard]] bool is_last() const { return is_last_; }
  /// After it; throws OperatorDied if it was the last.
  void Done();

  [[nodiscard]] int count() const { return static_cast<int>(log_.size()); }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

  FaultRates rates;
  int crash_after = 0;    ///< The n-th effect of all; 0: none.
  int lose_reply_of = 0;  ///< The same for its reply.
  std::function<void(const std::string&)> trace;

 private:
  Simulator& simulator_;
  std::vector<std::string> log_;
  bool is_last_ = false;
};

}  // namespace slotwright::simulation
