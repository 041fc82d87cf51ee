// Runs seeds of the simulation. A failing one is printed with the command that replays it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "reconciler/base/log.h"
#include "tests/simulation/scenario.h"

int main(int argc, char** argv) {
  CLI::App app("Runs simulated lives of Redis Clusters under the production operator");
  std::uint64_t seed = 1;
  std::uint64_t count = 1;
  bool verbose = false;
  app.add_option("--seed", seed, "The first seed")->capture_default_str();
  app.add_option("--count", count, "How many seeds")->capture_default_str();
  app.add_flag("--verbose", verbose, "Print what happens");
  CLI11_PARSE(app, argc, argv);
  reconciler::ConfigureLog(verbose ? reconciler::LogLevel::kInfo : reconciler::LogLevel::kError,
                           reconciler::LogFormat::kText);
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t failed = 0;
  std::int64_t effects = 0;
  std::int64_t acknowledged = 0;
  std::int64_t excused = 0;
  int gave_up = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto verdict = slotwright::simulation::RunSeed(seed + i, verbose);
    effects += verdict.effects;
    acknowledged += verdict.acknowledged;
    excused += verdict.excused;
    gave_up += verdict.gave_up ? 1 : 0;
    if (!verdict.problem.empty()) {
      ++failed;
      fmt::print("seed {}: {}\n  replay: {} --verbose --seed={}\n", seed + i, verdict.problem, argv[0], seed + i);
      std::fflush(stdout);
    }
    if (::isatty(STDERR_FILENO) == 1 || (i + 1) % 1000 == 0) {
      fmt::print(stderr, "{} of {} seeds, {} failed{}", i + 1, count, failed,
                 ::isatty(STDERR_FILENO) == 1 ? "\r" : "\n");
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("{} seeds from {} in {:.1f} s: {} failed, {} given up, {} effects, {} of {} writes excused\n", count, seed,
             took.count(), failed, gave_up, effects, excused, acknowledged);
  return failed == 0 ? 0 : 1;
}
