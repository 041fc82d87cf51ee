// Actions in words.
#include "controllers/plan/plan.h"

#include <fmt/format.h>

namespace slotwright {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

std::string Name(const NodeRef& node) { return fmt::format("{} ({})", node.pod, node.id.Short()); }

}  // namespace

std::string ToString(const Action& action) {
  return std::visit(
      Overloaded{
          [](const EnsureObject& a) {
            return fmt::format("{} {} {}", a.exists ? "update" : "create", a.desired.type.kind,
                               reconciler::KeyOf(a.desired.object).name);
          },
          [](const CreatePassword&) { return std::string("generate a password"); },
          [](const CreatePod& a) { return fmt::format("create Pod {}", a.name); },
          [](const RecordFormed&) { return std::string("record that all slots have been assigned"); },
          [](const AssignSlots& a) { return fmt::format("assign slots {} to {}", a.slots.ToString(), Name(a.node)); },
          [](const Meet& a) { return fmt::format("introduce {} to {} nodes", Name(a.from), a.peers.size()); },
          [](const Replicate& a) {
            return fmt::format("make {} a replica of {} ({})", Name(a.node), a.master_pod, a.master.Short());
          },
          [](const Forget& a) { return fmt::format("let {} forget {}", Name(a.from), a.id.Short()); },
      },
      action);
}

}  // namespace slotwright
