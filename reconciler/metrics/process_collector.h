// process_* metrics as every Prometheus client library exports them, read from /proc at each scrape.
#pragma once

#include <memory>
#include <string>

namespace prometheus {
class Collectable;
}

namespace reconciler {

/// Thread-safe. What cannot be read is left out. `proc` is where /proc is mounted; tests bring their own.
[[nodiscard]] std::unique_ptr<prometheus::Collectable> MakeProcessCollector(std::string proc = "/proc");

}  // namespace reconciler
