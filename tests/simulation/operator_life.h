// One life of the operator's process: everything that it would hold in memory, and nothing else.
#pragma once

#include "tests/simulation/world.h"

namespace slotwright::simulation {

inline const reconciler::ObjectKey kCluster{"default", "demo"};

struct World::Life {
  Life(Simulator& simulator, std::shared_ptr<SimApi> api_way, std::unique_ptr<SimCommander> redis_way)
      : api(std::move(api_way)),
        commander(std::move(redis_way)),
        client(api, {}, simulator),
        events(client, {}, simulator),
        queue({.name = "simulated", .metrics = nullptr}, simulator),
        controller({.client = client,
                    .caches = caches,
                    .commander = *commander,
                    .events = events,
                    .clock = simulator,
                    .metrics = nullptr,
                    .executor = {.parallel_requests = 1, .migration_slice = milliseconds(1000), .after_effect = {}}}) {
    controller.WireEvents(queue);
  }

  std::shared_ptr<SimApi> api;
  std::unique_ptr<SimCommander> commander;
  Caches caches;
  reconciler::Client client;
  reconciler::EventRecorder events;
  reconciler::WorkQueue queue;
  RedisClusterController controller;
};

}  // namespace slotwright::simulation
