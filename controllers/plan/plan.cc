// Actions in words.
#include "controllers/plan/plan.h"

#include <fmt/format.h>

#include "controllers/topology/text.h"

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
          [](const Meet& a) {
            return fmt::format("introduce {} to {}", Name(a.from), text::Counted(a.peers.size(), "node", "nodes"));
          },
          [](const Replicate& a) {
            return fmt::format("make {} a replica of {} ({})", Name(a.node), a.master_pod, a.master.Short());
          },
          [](const EndQuarantine& a) { return fmt::format("let replicas copy {}", Name(a.node)); },
          [](const Forget& a) { return fmt::format("let {} forget {}", Name(a.from), a.id.Short()); },
          [](const MigrateSlots& a) {
            return fmt::format("move slots {} from {} to {}", a.slots.ToString(), Name(a.from), Name(a.to));
          },
          [](const SettleSlots& a) {
            return a.owner ? fmt::format("tell {} that {} owns slots {}", Name(a.node), a.owner->Short(),
                                         a.slots.ToString())
                           : fmt::format("end the migration of slots {} on {}", a.slots.ToString(), Name(a.node));
          },
          [](const TakeNewEpoch& a) { return fmt::format("give {} a new epoch", Name(a.node)); },
          [](const EndImports& a) {
            return fmt::format("end imports of {}, if some were tried in vain for half a minute", Name(a.node));
          },
          [](const Failover& a) {
            return fmt::format("let {} take over from its {}master {}", Name(a.replica), a.forced ? "dead " : "",
                               a.master_pod);
          },
          [](const Takeover& a) {
            return fmt::format("let {} take over from the lost master {} without votes", Name(a.replica),
                               a.master.Short());
          },
          [](const DeletePod& a) { return fmt::format("delete Pod {}", a.name); },
          [](const EvictPod& a) { return fmt::format("evict Pod {}", a.name); },
          [](const DeleteObject& a) { return fmt::format("delete {} {}", a.type.kind, a.name); },
          [](const NotePod& a) { return fmt::format("note that the configuration of Pod {} is not known", a.name); },
          [](const SetConfig& a) {
            std::string names;
            for (const auto& [name, value] : a.change.directives) names += (names.empty() ? "" : ", ") + name;
            return fmt::format("set {} on {}", names, Name(a.node));
          },
      },
      action);
}

}  // namespace slotwright
