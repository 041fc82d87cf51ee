// See orderly_failover.h.
#include "controllers/act/orderly_failover.h"

#include <fmt/format.h>

namespace slotwright {

namespace {

constexpr std::chrono::milliseconds kAnswerWithin{1000};
constexpr std::chrono::milliseconds kPoll{10};
constexpr std::chrono::seconds kPatience{6};

}  // namespace

FailoverResult FailOver(Commander& commander, reconciler::Clock& clock, const std::string& password,
                        const Failover& action, const std::stop_token& stop) {
  const auto ask = [&](Command command) {
    return commander.Run({{action.replica.endpoint, password, {std::move(command)}, action.replica.id}},
                         kAnswerWithin)[0];
  };
  Command command = {"CLUSTER", "FAILOVER"};
  if (action.forced) command.emplace_back("FORCE");
  const auto started = ask(std::move(command));
  if (!started) return {started.error().message};
  if (started->front().IsError()) return {started->front().text};
  const auto limit = clock.Now() + kPatience;
  std::string silent;
  while (clock.Now() < limit) {
    const auto role = ask({"ROLE"});
    silent = role ? "" : role.error().message;
    if (role && !role->front().elements.empty() && role->front().elements.front().text == "master") return {};
    if (!clock.SleepFor(kPoll, stop)) return {};  // it goes on by itself, and the next leader looks
  }
  if (!silent.empty()) return {silent};
  return {fmt::format("it is still a replica after {} s", kPatience.count()), true};
}

}  // namespace slotwright
