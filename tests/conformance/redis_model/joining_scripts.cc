// How nodes come together: introductions, slots, epochs, replicas, and what is refused.
#include <algorithm>
#include <set>

#include "tests/conformance/redis_model/scripts.h"

namespace slotwright::redis_model {
namespace {

void FormsACluster(Play& play) {
  play.Start("ABC");
  play.Tables();
  play.Do('A', "CLUSTER SET-CONFIG-EPOCH 1");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 0 100 200 5460");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 101 199");
  play.Do('B', "CLUSTER SET-CONFIG-EPOCH 2");
  play.Do('B', "CLUSTER ADDSLOTSRANGE 5461 10922");
  play.Do('C', "CLUSTER SET-CONFIG-EPOCH 3");
  play.Tables();
  play.MeetAllPairs();
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Tables();
  play.Do('A', "APPEND hello 1");
  play.Do('C', "CLUSTER ADDSLOTSRANGE 10923 16383");
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
  play.Start("DEF");
  for (const char* node : {"D4", "E5", "F6"}) play.Do(node[0], std::string("CLUSTER SET-CONFIG-EPOCH ") + node[1]);
  play.MeetAllPairs();
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Do('D', "CLUSTER REPLICATE id:A");
  play.Do('E', "CLUSTER REPLICATE id:B");
  play.Do('F', "CLUSTER REPLICATE id:C");
  play.Do('F', "CLUSTER REPLICATE id:C");
  play.Await("replicas are in sync", [&] {
    return play.ServerInfoOf('D').master_link_up && play.ServerInfoOf('E').master_link_up &&
           play.ServerInfoOf('F').master_link_up;
  });
  play.Do('A', "APPEND hello 1");
  play.Tables();
  play.Do('D', "ROLE");
  play.Do('A', "ROLE");
}

void SettlesOnDifferentEpochs(Play& play) {
  play.Start("ABC");
  play.MeetAllPairs();
  // Which of them takes a new one is for the ids to say.
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Await("each has an epoch of its own", [&] {
    std::set<std::uint64_t> epochs;
    for (const char node : play.running()) epochs.insert(play.TableOf(node).myself().config_epoch);
    return epochs.size() == 3;
  });
}

void MeetsWhoIsKnownAlready(Play& play) {
  play.MakeCluster(2, 1);
  play.MeetAllPairs();
  play.Tables();
  play.Do('A', "CLUSTER MEET host:A port:A bus:A");
  play.Tables();
  play.Do('A', "CLUSTER MEET nonsense 1");
}

// Orders that need links have to wait until they are there again.
void LosesItsLinkToWhomItMeetsAgain(Play& play) {
  play.MakeCluster(2, 1);
  play.MeetAllPairs();
  play.Tables();
  const auto is_met = [&] {
    return std::ranges::any_of(play.TableOf('A').lines, [](const NodeLine& line) { return line.flags.handshake; });
  };
  play.Await("the introduction is in A's table", [&] {
    play.Prepare('A', "CLUSTER MEET host:B port:B bus:B");
    return is_met();
  });
  // It takes a tenth of a second only.
  play.Await("A has no link to B", [&] {
    if (!play.Line('A', "B").link_connected) return true;
    if (!is_met()) play.Prepare('A', "CLUSTER MEET host:B port:B bus:B");
    return false;
  });
  play.Await("A has a link to B again", [&] { return play.Line('A', "B").link_connected; });
  play.Tables();
}

void RefusesWhatMakesNoCluster(Play& play) {
  play.Start("ABCD");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 0 100");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 100 101");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 200 300 300 400");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 9 8");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 0 16384");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 500");
  play.Do('A', "CLUSTER SET-CONFIG-EPOCH -1");
  play.Do('A', "CLUSTER SET-CONFIG-EPOCH 1");
  play.Do('A', "CLUSTER SET-CONFIG-EPOCH 2");
  play.Do('A', "CLUSTER REPLICATE id:A");
  play.Do('A', "CLUSTER REPLICATE id:B");
  play.Do('A', "CLUSTER NONSENSE");
  play.Do('B', "CLUSTER SET-CONFIG-EPOCH 2");
  play.Do('C', "CLUSTER SET-CONFIG-EPOCH 3");
  play.MeetAllPairs();
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Do('D', "CLUSTER SET-CONFIG-EPOCH 9");
  play.Do('B', "CLUSTER ADDSLOTSRANGE 90 110");
  play.Do('A', "CLUSTER REPLICATE id:A");
  play.Do('A', "CLUSTER REPLICATE id:B");
  play.Do('B', "CLUSTER REPLICATE id:A");
  play.Await("B is known as a replica", [&] { return play.Line('C', "B").flags.replica; });
  play.Do('C', "CLUSTER REPLICATE id:B");
  play.Do('B', "CLUSTER REPLICATE id:C");
  play.Do('B', "CLUSTER ADDSLOTSRANGE 200 300");
  play.Do('B', "CLUSTER SETSLOT 200 IMPORTING id:A");
}

// What the observer and the executor ask besides.
void AnswersQuestions(Play& play) {
  play.Start("A");
  play.Do('A', "PING");
  play.Do('A', "ROLE");
  play.Do('A', "CLUSTER MYID");
  play.Do('A', "CONFIG SET maxmemory-policy noeviction");
  play.Do('A', "COMMAND INFO cluster|migrateslots");
  play.Do('A', "CLUSTER GETSLOTMIGRATIONS");
  play.Do('A', "GET hello");
  play.Do('A', "CLUSTER ADDSLOTSRANGE 0 16383");
  play.Do('A', "GET hello");
  play.Await("it is ok", [&] { return play.AllSayOk(); });
  play.Do('A', "GET hello");
  play.Do('A', "APPEND hello a");
  play.Do('A', "CLUSTER FAILOVER");
  play.Tables();
}

// A replica leaves its master for another one, and may not follow a replica.
void MovesAReplica(Play& play) {
  play.MakeCluster(3, 2);
  play.Do('A', "APPEND hello 1");
  play.Await("D has the key", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Do('D', "CLUSTER REPLICATE id:E");
  play.Do('D', "CLUSTER REPLICATE id:D");
  play.Do('D', "CLUSTER REPLICATE id:C");
  play.Do('D', "ROLE");
  play.Await("D follows C", [&] { return play.ServerInfoOf('D').master_link_up && play.ServerInfoOf('D').keys == 0; });
  play.Tables();
}

// Whoever leaves for good is another one afterwards.
void LeavesAsSomebodyElse(Play& play) {
  play.MakeCluster(3, 2);
  play.Do('A', "APPEND hello 1");
  play.Await("D has the key", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Do('A', "CLUSTER RESET HARD");
  play.Do('D', "CLUSTER RESET HARD");
  play.Await("D is another one",
             [&] { return play.TableOf('D').lines.size() == 1 && play.ServerInfoOf('D').keys == 0; });
  play.Do('D', "ROLE");
  play.Await("the others see that it is gone", [&] { return play.Line('A', "D").flags.noaddr; });
}

}  // namespace

std::vector<Script> JoiningScripts() {
  return {{"FormsACluster", FormsACluster},
          {"SettlesOnDifferentEpochs", SettlesOnDifferentEpochs},
          {"MeetsWhoIsKnownAlready", MeetsWhoIsKnownAlready},
          {"LosesItsLinkToWhomItMeetsAgain", LosesItsLinkToWhomItMeetsAgain},
          {"RefusesWhatMakesNoCluster", RefusesWhatMakesNoCluster},
          {"AnswersQuestions", AnswersQuestions},
          {"MovesAReplica", MovesAReplica},
          {"LeavesAsSomebodyElse", LeavesAsSomebodyElse}};
}

}  // namespace slotwright::redis_model
