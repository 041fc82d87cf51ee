// What is played on both.
//
// Where Valkey 9.1.2 differs from Redis 7.0 and so from the model (SLOTWRIGHT_MODEL_SERVER=…/valkey-server):
// - a node that lost its address (noaddr) is called failed all the same, and its replica is elected if there is a
//   majority; without one it copies the stranger at the old address as Redis does;
// - a master that loses its last slot to another shard stays a master without slots where
//   cluster-allow-replica-migration is "no";
// - open slots are replicated: replicas list them, they survive a failover, and the other side follows the new master;
// - FORGET reaches the others by gossip, and may be said twice; a forgotten master loses its slots everywhere;
// - a node is introduced again where one side has no link from it, so a forgotten one comes back;
// - SETSLOT MIGRATING and IMPORTING refuse the node itself ("Target node is myself");
// - two takeovers may end with an epoch more, a master that was moved counts as failed sooner.
#pragma once

#include <ostream>
#include <vector>

#include "tests/conformance/redis_model/play.h"

namespace slotwright::redis_model {

struct Script {
  const char* name;
  void (*play)(Play& play);
  Engine engine = Engine::kRedis;
};

void PrintTo(const Script& script, std::ostream* out);

[[nodiscard]] std::vector<Script> JoiningScripts();
[[nodiscard]] std::vector<Script> SlotScripts();
[[nodiscard]] std::vector<Script> FailureScripts();
[[nodiscard]] std::vector<Script> FailoverScripts();
[[nodiscard]] std::vector<Script> MigrationScripts();

}  // namespace slotwright::redis_model
