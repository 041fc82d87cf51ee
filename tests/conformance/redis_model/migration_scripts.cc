// Slots that the servers move by themselves (Valkey 9). "hello" is in slot 866 of A, "foo" in 12182 of C.
#include "tests/conformance/redis_model/scripts.h"

namespace slotwright::redis_model {
namespace {

void Done(Play& play, char source, char target) {
  play.Await("the source has come to an end", [&] { return !play.Migrates(source); });
  play.Await("the target has come to an end", [&] { return !play.Migrates(target); });
  play.Migrations(source);
  play.Migrations(target);
}

void MovesSlots(Play& play) {
  play.MakeCluster(3, 1);
  for (const char* key : {"hello", "{hello}1", "foo"})
    play.Prepare(key[0] == 'f' ? 'C' : 'A', std::string("APPEND ") + key + " a");
  play.Do('A', "CLUSTER MIGRATESLOTS SLOTSRANGE 866 866 NODE id:B");
  Done(play, 'A', 'B');
  play.Tables();
  play.Do('A', "GET hello");
  play.Do('B', "GET hello");
  play.Do('B', "GET {hello}1");
  play.Do('A', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('B', "CLUSTER COUNTKEYSINSLOT 866");
  play.Do('C', "CLUSTER MIGRATESLOTS SLOTSRANGE 12000 12100 12182 12182 NODE id:B");
  Done(play, 'C', 'B');
  play.Do('B', "GET foo");
  play.Tables();
}

void MovesTheLastSlot(Play& play) {
  play.MakeCluster(3, 1);
  play.Prepare('A', "APPEND hello a");
  play.Do('A', "CLUSTER MIGRATESLOTS SLOTSRANGE 0 5460 NODE id:B");
  Done(play, 'A', 'B');
  play.Tables();
}

void RefusesAtOnce(Play& play) {
  play.MakeCluster(3, 1);
  for (const char* words : {"5 3 NODE id:B", "0 99999 NODE id:B", "9000 9001 NODE id:C", "0 5 3 8 NODE id:B",
                            "0 5 NODE id:A", "0 5 NODE 0123456789012345678901234567890123456789", "0 5 NODE abc", "0 5",
                            "9000 9001 NODE id:B SLOTSRANGE 0 1 NODE id:B"}) {
    play.Do('A', std::string("CLUSTER MIGRATESLOTS SLOTSRANGE ") + words);
  }
  play.Do('A', "CLUSTER MIGRATESLOTS SLOTS 0 5 NODE id:B");
  play.Do('A', "CLUSTER CANCELSLOTMIGRATIONS");
  play.Migrations('A');
}

void FailsToMoveToAReplica(Play& play) {
  play.MakeCluster(3, 1);
  play.Do('B', "CLUSTER MIGRATESLOTS SLOTSRANGE 6000 6001 NODE id:D");
  Done(play, 'B', 'D');
  play.Tables();
}

void FailsToMoveToADeadNode(Play& play) {
  play.MakeCluster(3, 1);
  play.Kill("C");
  play.Do('A', "CLUSTER MIGRATESLOTS SLOTSRANGE 0 1 NODE id:C");
  play.Await("it has come to an end", [&] { return !play.Migrates('A'); });
  play.Migrations('A');
  play.Start("C");
  play.Await("it is well again", [&] { return play.AllSayOk(); });
  play.Migrations('C');
  play.Tables();
}

}  // namespace

std::vector<Script> MigrationScripts() {
  return {{"MigratesSlots", MovesSlots, Engine::kValkey},
          {"MigratesTheLastSlot", MovesTheLastSlot, Engine::kValkey},
          {"RefusesToMigrate", RefusesAtOnce, Engine::kValkey},
          {"FailsToMigrateToAReplica", FailsToMoveToAReplica, Engine::kValkey},
          {"FailsToMigrateToADeadNode", FailsToMoveToADeadNode, Engine::kValkey}};
}

}  // namespace slotwright::redis_model
