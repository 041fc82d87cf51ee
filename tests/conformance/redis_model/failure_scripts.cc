// Nodes that die, come back with or without their files, and are forgotten.
#include <algorithm>

#include "tests/conformance/redis_model/scripts.h"

namespace slotwright::redis_model {
namespace {

bool HasNoAddress(Play& play, const std::string& viewers, const std::string& name) {
  return std::ranges::all_of(viewers, [&](char viewer) { return play.Line(viewer, name).flags.noaddr; });
}

void ElectsAReplica(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("A");
  play.Await("A has failed", [&] { return play.AllSayFailed("A"); });
  play.Await("D is master", [&] { return play.ServerInfoOf('D').master_role; });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
  play.Do('D', "GET hello");
  play.Do('D', "APPEND hello d");
  play.Start("A");
  play.Await("A follows", [&] { return play.ServerInfoOf('A').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
  play.Do('A', "GET hello");
}

void MissesAReplica(Play& play) {
  play.MakeCluster(3, 1);
  play.Kill("D");
  play.Await("D has failed", [&] { return play.AllSayFailed("D"); });
  play.Tables();
  play.Start("D");
  play.Await("D follows", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
}

void AMasterWithoutReplicasComesBack(Play& play) {
  play.MakeCluster(3, 0);
  play.Do('A', "APPEND hello a");
  play.Kill("A");
  play.Await("A has failed", [&] { return play.AllSayFailed("A"); });
  play.Tables();
  play.Do('B', "GET hello");
  play.Do('C', "GET foo");
  play.Start("A");
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
  play.Do('A', "GET hello");
}

void AllComeBack(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("ABCD");
  play.Start("ABCD");
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Await("D follows", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
  play.Do('A', "GET hello");
}

void Forgets(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "CLUSTER FORGET id:A");
  play.Do('D', "CLUSTER FORGET id:A");
  play.Do('D', "CLUSTER FORGET id:D");
  play.Do('A', "CLUSTER FORGET 0123456789012345678901234567890123456789");
  play.Do('A', "CLUSTER FORGET id:D");
  play.Do('A', "CLUSTER FORGET id:D");
  // The others tell A about D, but it does not listen for a minute.
  play.Tables();
  play.Kill("D");
  play.Await("D is missed", [&] { return play.Line('B', "D").flags.fail && play.Line('C', "D").flags.fail; });
  play.Do('B', "CLUSTER FORGET id:D");
  play.Do('C', "CLUSTER FORGET id:D");
  play.Tables();
  // An introduction lifts nothing: it has to know others, too.
  play.Start("D");
  play.Tables();
  play.Do('A', "CLUSTER MEET host:D port:D bus:D");
  play.Await("A knows D again", [&] { return !play.Line('A', "D").id.empty(); });
  play.Await("D follows", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Tables();
}

// From Redis 7.2 on who is told to forget a node tells the others, too, for a minute.
void ForgetsForAll(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('B', "CLUSTER FORGET id:D");
  play.Await("nobody knows D", [&] { return play.Line('A', "D").id.empty() && play.Line('C', "D").id.empty(); });
  play.Do('A', "CLUSTER MEET host:D port:D bus:D");
  play.Await("A knows D", [&] { return !play.Line('A', "D").id.empty(); });
  play.Await("A is told to forget it again", [&] { return play.Line('A', "D").id.empty(); });
}

void AnOwnerIsForgotten(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('B', "CLUSTER FORGET id:A");
  play.Tables();
  play.Do('B', "GET hello");
}

// Who is known by gossip alone has told nobody its name and its slots. (A dead node without slots may be passed on or
// not, by chance: while its address is being dialled it counts as linked.)
void JoinsWhileAnOwnerIsDead(Play& play) {
  play.MakeCluster(3, 0);
  play.Kill("C");
  play.Await("C has failed", [&] { return play.AllSayFailed("C"); });
  play.Start("E");
  play.MeetAllPairs();
  play.Await("E has heard of all", [&] { return play.AllKnow("C") && play.AllKnow("A") && play.AllKnow("B"); });
  play.Await("E is known", [&] { return play.AllKnow("E"); });
  play.Tables();
  play.Do('E', "GET hello");
}

// Gossip says nothing about slots: who missed the new owner learns of it only from that one.
void HearsOfOwnersFromThemselves(Play& play) {
  play.MakeCluster(3, 1);
  play.Kill("C");
  play.Await("C has failed", [&] { return play.AllSayFailed("C"); });
  play.Do('D', "CLUSTER FAILOVER");
  play.Await("A follows D", [&] { return play.Follows('A', "D") && play.Line('B', "A").flags.replica; });
  play.Kill("AD");
  play.Start("C");
  play.Await("B and C are alone", [&] { return play.AllSayFailed("A") && play.AllSayFailed("D"); });
  play.Await("C is not missed", [&] { return !play.Line('B', "C").flags.fail; });
  play.Tables();
  play.Start("D");
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Start("A");
  play.Await("A follows D", [&] { return play.Follows('A', "D"); });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
}

// The majority is lost, so nobody is elected, and the dead master's address lives on under another id: its replica
// copies whoever is there.
void AReplicaCopiesAStranger(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("AB");
  play.StartAnewWithoutFiles('A');
  play.Await("D follows", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Await("B is missed", [&] { return play.Line('C', "B").flags.pfail && play.Line('D', "B").flags.pfail; });
  play.Tables();
}

void ComesBackElsewhere(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.StartElsewhere("B");
  play.Await("B is heard of", [&] { return play.AllKnowEachOther() && play.AllSayOk(); });
  play.Tables();
  // The master of a replica, while its replica lives.
  play.StartElsewhere("A");
  play.Await("A is heard of", [&] { return play.AllKnowEachOther() && play.AllSayOk(); });
  play.Await("D follows A", [&] { return play.Follows('D', "A"); });
  play.Tables();
}

// Nobody finds anybody until they are introduced. Without replicas: one might be elected, as a master that was found
// again still counts as failed for a while.
void AllComeBackElsewhere(Play& play) {
  play.MakeCluster(3, 0);
  play.Do('A', "APPEND hello a");
  play.StartElsewhere("ABC");
  play.Await("all are missed", [&] {
    return std::ranges::all_of(play.running(), [&](char viewer) {
      return std::ranges::all_of(play.TableOf(viewer).lines,
                                 [](const NodeLine& line) { return line.flags.myself || line.flags.pfail; });
    });
  });
  play.Tables();
  play.MeetAllPairs();
  play.Await("all know each other", [&] { return play.AllKnowEachOther() && play.AllSayOk(); });
  play.Tables();
  play.Do('A', "GET hello");
}

// The address lives on under another id.
void AMasterComesBackWithoutFiles(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Await("D has it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("A");
  play.Await("A has failed", [&] { return play.AllSayFailed("A"); });
  play.Await("D is master", [&] { return play.ServerInfoOf('D').master_role; });
  play.StartAnewWithoutFiles('A');
  play.Tables();
  play.Do('A', "CLUSTER SET-CONFIG-EPOCH 9");
  play.MeetAllPairs();
  play.Await("A' is known", [&] { return play.AllKnow("A'"); });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
  for (const char node : std::string("BCD")) play.Do(node, "CLUSTER FORGET id:A");
  play.Do('A', "CLUSTER FORGET id:A");
  play.Do('A', "CLUSTER REPLICATE id:D");
  play.Await("A follows", [&] { return play.ServerInfoOf('A').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
}

// Before anybody has missed it: nobody calls it failed, so nobody is elected.
void AMasterComesBackWithoutFilesAtOnce(Play& play) {
  play.MakeCluster(3, 1);
  play.StartAnewWithoutFiles('A');
  play.Await("its address is taken away", [&] { return HasNoAddress(play, "BCD", "A"); });
  play.Await("D copies the stranger", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Tables();
  play.MeetAllPairs();
  play.Await("A' is known", [&] { return play.AllKnow("A'"); });
  play.Tables();
}

void AReplicaComesBackWithoutFiles(Play& play) {
  play.MakeCluster(3, 1);
  play.StartAnewWithoutFiles('D');
  play.Await("its address is taken away", [&] { return HasNoAddress(play, "ABC", "D"); });
  play.Tables();
}

}  // namespace

std::vector<Script> FailureScripts() {
  return {{"ElectsAReplica", ElectsAReplica},
          {"MissesAReplica", MissesAReplica},
          {"AMasterWithoutReplicasComesBack", AMasterWithoutReplicasComesBack},
          {"AllComeBack", AllComeBack},
          {"Forgets", Forgets},
          {"ForgetsForAllInValkey", ForgetsForAll, Engine::kValkey},
          {"AnOwnerIsForgotten", AnOwnerIsForgotten},
          {"JoinsWhileAnOwnerIsDead", JoinsWhileAnOwnerIsDead},
          {"HearsOfOwnersFromThemselves", HearsOfOwnersFromThemselves},
          {"AReplicaCopiesAStranger", AReplicaCopiesAStranger},
          {"ComesBackElsewhere", ComesBackElsewhere},
          {"AllComeBackElsewhere", AllComeBackElsewhere},
          {"AMasterComesBackWithoutFiles", AMasterComesBackWithoutFiles},
          {"AMasterComesBackWithoutFilesAtOnce", AMasterComesBackWithoutFilesAtOnce},
          {"AReplicaComesBackWithoutFiles", AReplicaComesBackWithoutFiles}};
}

}  // namespace slotwright::redis_model
