// Slots and keys on their way from one master to another. "hello" is in slot 866 of A, "foo" in 12182 of C.
#include <fmt/format.h>

#include "tests/conformance/redis_model/scripts.h"

namespace slotwright::redis_model {
namespace {

std::string Migrate(const char* to, const std::string& how) {
  return fmt::format("MIGRATE host:{0} port:{0} EMPTY 0 2000 {1}", to, how);
}

// The way of act/slot_mover.
void MovesASlot(Play& play) {
  play.MakeCluster(3, 1);
  for (const char* key : {"hello", "{hello}1", "{hello}2"}) play.Do('A', std::string("APPEND ") + key + " a");
  play.Do('A', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:A");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:B");
  play.Tables();
  play.Do('A', "CLUSTER GETKEYSINSLOT 866 10");
  play.Do('A', "GET hello");
  play.Do('A', "GET {hello}new");
  play.Do('A', "APPEND {hello}new a");
  play.Do('B', "GET hello");
  play.Do('B', "ASKING GET hello");
  play.Do('B', "ASKING APPEND {hello}new b");
  play.Do('C', "GET hello");
  play.Do('C', "ASKING GET hello");
  play.Do('D', "GET hello");
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:B");
  play.Do('A', Migrate("B", "REPLACE AUTH model-password KEYS hello {hello}1"));
  play.Do('A', Migrate("B", "REPLACE AUTH model-password KEYS hello {hello}1"));
  play.Do('A', "GET hello");
  play.Do('A', "CLUSTER GETKEYSINSLOT 866 10");
  play.Do('B', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('A', Migrate("B", "REPLACE AUTH model-password KEYS hello {hello}2"));
  play.Do('A', "CLUSTER GETKEYSINSLOT 866 10");
  play.Do('B', "CLUSTER SETSLOT 866 NODE id:B");
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:B");
  play.Tables();
  play.Do('A', "GET hello");
  play.Do('B', "GET hello");
  play.Do('B', "GET {hello}none");
  play.Do('B', "CLUSTER GETKEYSINSLOT 866 10");
  // Again, as somebody whose answer was lost would.
  play.Do('B', "CLUSTER SETSLOT 866 NODE id:B");
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:B");
  // And another one: the epoch is the highest already.
  play.Do('B', "CLUSTER SETSLOT 867 IMPORTING id:A");
  play.Do('A', "CLUSTER SETSLOT 867 MIGRATING id:B");
  play.Do('B', "CLUSTER SETSLOT 867 NODE id:B");
  play.Do('A', "CLUSTER SETSLOT 867 NODE id:B");
  play.Tables();
}

void RefusesToMove(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Do('B', "CLUSTER SETSLOT 866 MIGRATING id:A");
  play.Do('A', "CLUSTER SETSLOT 866 IMPORTING id:B");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:A");
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:B");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:D");
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:D");
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:D");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING 0123456789012345678901234567890123456789");
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING 0123456789012345678901234567890123456789");
  play.Do('A', "CLUSTER SETSLOT 866 NODE 0123456789012345678901234567890123456789");
  play.Do('D', "CLUSTER SETSLOT 866 MIGRATING id:B");
  play.Do('D', "CLUSTER SETSLOT 866 STABLE");
  play.Do('D', "CLUSTER SETSLOT 866 NODE id:A");
  play.Do('A', "CLUSTER SETSLOT 866 NONSENSE");
  play.Do('A', "CLUSTER SETSLOT 16384 STABLE");
  play.Do('A', "CLUSTER SETSLOT 866 STABLE");
  play.Do('B', "CLUSTER SETSLOT 866 STABLE");
  play.Do('A', "CLUSTER COUNTKEYSINSLOT 16384");
  play.Do('A', "CLUSTER GETKEYSINSLOT 866 -1");
  // A target that does not import, one that has the key, one that is not there.
  play.Do('A', Migrate("B", "AUTH model-password KEYS hello"));
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:A");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:B");
  play.Do('B', "ASKING APPEND hello b");
  play.Do('A', Migrate("B", "AUTH model-password KEYS hello"));
  play.Do('A', Migrate("B", "REPLACE AUTH model-password KEYS hello"));
  play.Do('B', "ASKING GET hello");
  play.Do('A', Migrate("B", "AUTH model-password KEYS hello"));
  play.Do('A', "CLUSTER SETSLOT 866 STABLE");
  play.Do('B', "CLUSTER SETSLOT 866 STABLE");
  play.Tables();
  play.Do('A', "GET hello");
  play.Do('B', "GET hello");
  play.Do('B', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('A', "APPEND hello a");
  play.Kill("B");
  play.Do('A', Migrate("B", "AUTH model-password KEYS {hello}none"));
  play.Do('A', Migrate("B", "AUTH model-password KEYS hello"));
}

// A slot that the owner gives away by NODE while nobody takes it, and the other way round.
void GivesAwayOnOneSideOnly(Play& play) {
  play.MakeCluster(3, 0);
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:B");
  play.Tables();
  play.Do('B', "CLUSTER SETSLOT 866 NODE id:B");
  play.Tables();
  // Without IMPORTING no epoch is taken: the owner's word is as good as before.
  play.Do('C', "CLUSTER SETSLOT 100 NODE id:C");
  play.Tables();
  play.Do('A', "CLUSTER SETSLOT 200 IMPORTING id:B");
  play.Do('C', "CLUSTER SETSLOT 200 IMPORTING id:A");
  play.Do('C', "CLUSTER SETSLOT 200 NODE id:C");
  play.Tables();
}

// A new epoch makes a claim good again, whatever the other one holds; what nobody claims stays so until somebody does.
void TakesBackWithANewEpoch(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:A");
  play.Do('B', "CLUSTER SETSLOT 866 NODE id:B");
  play.Do('B', "CLUSTER BUMPEPOCH");
  play.Do('B', "APPEND hello b");
  play.Tables();
  play.Do('A', "CLUSTER BUMPEPOCH");
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:A");
  play.Await("B has heard of it", [&] { return !play.TableOf('B').myself().slots.Contains(866); });
  play.Do('B', "CLUSTER COUNTKEYSINSLOT 866");
  play.Tables();
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:B");
  play.Tables();
  play.Do('A', "GET hello");
  play.Do('B', "GET hello");
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:A");
  play.Tables();
}

void KeepsOpenSlotsOverARestart(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Do('A', "APPEND {hello}1 a");
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:A");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:B");
  play.Do('A', Migrate("B", "REPLACE AUTH model-password KEYS hello"));
  play.Await("D has heard of it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Kill("B");
  play.Start("B");
  play.Kill("A");
  play.Start("A");
  play.Await("D follows", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Tables();
  play.Do('A', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('B', "CLUSTER COUNTKEYSINSLOT 866");
}

// The source's master changes in the middle; its replica knows nothing of the migration.
void LosesTheSourceInTheMiddle(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('A', "APPEND hello a");
  play.Do('A', "APPEND {hello}1 a");
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:A");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:B");
  play.Do('A', Migrate("B", "REPLACE AUTH model-password KEYS hello"));
  play.Await("D has heard of it", [&] { return play.ServerInfoOf('D').keys == 1; });
  play.Do('D', "CLUSTER FAILOVER");
  play.Await("D is master", [&] { return play.ServerInfoOf('D').master_role; });
  play.Await("A follows", [&] { return play.ServerInfoOf('A').master_link_up; });
  play.Tables();
  play.Do('D', "GET hello");
  play.Do('D', "GET {hello}1");
  play.Do('B', "ASKING GET hello");
  play.Do('D', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('B', "CLUSTER COUNTKEYSINSLOT 866");
}

// All slots of A go to B, the last one by NODE on the target first: what does A become?
void LosesItsLastSlot(Play& play) {
  play.Start("ABC");
  for (const char* node : {"A1", "B2", "C3"}) play.Prepare(node[0], std::string("CLUSTER SET-CONFIG-EPOCH ") + node[1]);
  play.Prepare('A', "CLUSTER ADDSLOTSRANGE 866 867");
  play.Prepare('B', "CLUSTER ADDSLOTSRANGE 0 865 868 8000");
  play.Prepare('C', "CLUSTER ADDSLOTSRANGE 8001 16383");
  play.MeetAllPairs();
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  for (const Slot slot : {Slot{866}, Slot{867}}) {
    play.Do('B', fmt::format("CLUSTER SETSLOT {} IMPORTING id:A", slot));
    play.Do('A', fmt::format("CLUSTER SETSLOT {} MIGRATING id:B", slot));
    play.Do('B', fmt::format("CLUSTER SETSLOT {} NODE id:B", slot));
    play.Await("A has heard of it", [&] {
      const SlotSet slots = play.TableOf('A').myself().slots;
      return !slots.Contains(slot);
    });
    play.Do('A', fmt::format("CLUSTER SETSLOT {} NODE id:B", slot));
    play.Tables();
  }
}

// The same with a replica, to a master that owned nothing before: it claims nothing else than what A loses.
void LosesItsLastSlotToAnEmptyMaster(Play& play) {
  play.Start("ABCD");
  for (const char* node : {"A1", "B2", "C3", "D4"}) {
    play.Prepare(node[0], std::string("CLUSTER SET-CONFIG-EPOCH ") + node[1]);
  }
  play.Prepare('A', "CLUSTER ADDSLOTSRANGE 866 866");
  play.Prepare('C', "CLUSTER ADDSLOTSRANGE 0 865 867 16383");
  play.MeetAllPairs();
  play.Await("all know each other", [&] { return play.AllKnowEachOther(); });
  play.Do('D', "CLUSTER REPLICATE id:A");
  play.Await("the cluster is ok", [&] { return play.AllSayOk(); });
  play.Await("D is in sync", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Do('B', "CLUSTER SETSLOT 866 IMPORTING id:A");
  play.Do('A', "CLUSTER SETSLOT 866 MIGRATING id:B");
  play.Do('B', "CLUSTER SETSLOT 866 NODE id:B");
  play.Await("A follows B", [&] { return !play.ServerInfoOf('A').master_role; });
  play.Do('A', "CLUSTER SETSLOT 866 NODE id:B");
  play.Await("A is in sync", [&] { return play.ServerInfoOf('A').master_link_up; });
  play.Await("D is in sync", [&] { return play.ServerInfoOf('D').master_link_up; });
  play.Tables();
}

}  // namespace

std::vector<Script> SlotScripts() {
  return {{"MovesASlot", MovesASlot},
          {"RefusesToMove", RefusesToMove},
          {"GivesAwayOnOneSideOnly", GivesAwayOnOneSideOnly},
          {"TakesBackWithANewEpoch", TakesBackWithANewEpoch},
          {"KeepsOpenSlotsOverARestart", KeepsOpenSlotsOverARestart},
          {"LosesTheSourceInTheMiddle", LosesTheSourceInTheMiddle},
          {"LosesItsLastSlot", LosesItsLastSlot},
          {"LosesItsLastSlotToAnEmptyMaster", LosesItsLastSlotToAnEmptyMaster}};
}

}  // namespace slotwright::redis_model
