// CLUSTER FAILOVER in its three forms.
#include <fmt/format.h>

#include "tests/conformance/redis_model/scripts.h"

namespace slotwright::redis_model {
namespace {

void HandsOver(Play& play) {
  play.MakeCluster(3, 4);
  play.Do('A', "APPEND hello a");
  play.Do('A', "CLUSTER FAILOVER");
  play.Do('A', "CLUSTER FAILOVER FORCE");
  play.Do('A', "CLUSTER FAILOVER TAKEOVER");
  play.Do('D', "CLUSTER FAILOVER NONSENSE");
  play.Do('D', "CLUSTER FAILOVER");
  play.Await("D is master", [&] { return play.ServerInfoOf('D').master_role; });
  play.Await("A follows D", [&] { return play.Follows('A', "D"); });
  play.Await("G follows D", [&] { return play.Follows('G', "D"); });
  play.Do('D', "APPEND hello d");
  play.Do('A', "APPEND hello a");
  play.Tables();
  play.Do('D', "GET hello");
  // And back again, while the votes of before still count.
  play.Do('A', "CLUSTER FAILOVER");
  play.Await("A is master", [&] { return play.ServerInfoOf('A').master_role; });
  play.Await("D follows", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Tables();
}

// A replica that has restarted is never elected by itself.
void ForcesAFailover(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("AD");
  play.Start("D");
  play.Await("A has failed", [&] { return play.Line('D', "A").flags.fail && play.Line('B', "A").flags.fail; });
  play.Tables();
  play.Do('D', "CLUSTER FAILOVER");
  play.Do('D', "CLUSTER FAILOVER FORCE");
  play.Await("D is master", [&] { return play.ServerInfoOf('D').master_role; });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
  play.Do('D', "GET hello");
  play.Start("A");
  play.Await("A follows", [&] { return play.ServerInfoOf('A').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
}

void TakesOverWithoutAMajority(Play& play) {
  play.MakeCluster(3, 2);
  play.Do('A', "APPEND hello a");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("AB");
  play.Await("they are missed", [&] {
    return play.Line('C', "A").flags.pfail && play.Line('C', "B").flags.pfail && play.Line('D', "A").flags.pfail &&
           play.Line('D', "B").flags.pfail && play.Line('E', "A").flags.pfail && play.Line('E', "B").flags.pfail;
  });
  play.Tables();
  play.Do('C', "GET foo");
  play.Do('D', "CLUSTER FAILOVER TAKEOVER");
  play.Await("D is master", [&] { return play.Line('C', "D").flags.master; });
  // With the majority that this makes the other one is elected, or takes over.
  play.Do('E', "CLUSTER FAILOVER TAKEOVER");
  play.Await("E is master", [&] { return play.Line('C', "E").flags.master; });
  play.Await("A and B have failed", [&] {
    return play.Line('C', "A").flags.fail && play.Line('C', "B").flags.fail && play.Line('D', "A").flags.fail &&
           play.Line('D', "B").flags.fail && play.Line('E', "A").flags.fail && play.Line('E', "B").flags.fail;
  });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
  play.Do('D', "GET hello");
  play.Start("AB");
  play.Await("A follows", [&] { return play.ServerInfoOf('A').master_link_up; });
  play.Await("B follows", [&] { return play.ServerInfoOf('B').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
}

// What the start script of a new node does, so that nobody copies its emptiness.
void LetsReplicasWait(Play& play) {
  play.MakeCluster(3, 0);
  play.Do('A', "APPEND hello a");
  play.Do('A', "CONFIG SET repl-diskless-sync yes");
  play.Do('A', "CONFIG SET repl-diskless-sync-delay 1000000000");
  play.Start("D");
  play.Prepare('D', "CLUSTER MEET host:A port:A bus:A");
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Do('D', "CLUSTER REPLICATE id:A");
  play.AwaitInVain("D gets a link", [&] { return play.ServerInfoOf('D').master_link_up; }, milliseconds(3000));
  play.Note(fmt::format("D has had no link for {} s", play.ServerInfoOf('D').master_link_down_seconds));
  play.Note(fmt::format("A says that {} waits", play.ServerInfoOf('A').replicas_waiting));
  play.Do('A', "CONFIG SET repl-diskless-sync-delay 0");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Tables();
}

}  // namespace

std::vector<Script> FailoverScripts() {
  return {{"HandsOver", HandsOver},
          {"HandsOverInValkey", HandsOver, Engine::kValkey},
          {"ForcesAFailover", ForcesAFailover},
          {"ForcesAFailoverInValkey", ForcesAFailover, Engine::kValkey},
          {"TakesOverWithoutAMajority", TakesOverWithoutAMajority},
          {"LetsReplicasWait", LetsReplicasWait}};
}

}  // namespace slotwright::redis_model
