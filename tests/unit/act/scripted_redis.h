#pragma once
// Commanders that answer as told, for tests of what the executor makes of it.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "controllers/redis/commander.h"

namespace slotwright {

class NoRedis final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    ADD_FAILURE() << "nothing is asked of any server";
    return std::vector<NodeResult>(requests.size());
  }
};

// Answers each command by itself, whoever is asked.
class EachByItself : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    std::vector<NodeResult> results;
    for (const auto& request : requests) {
      std::vector<Reply> replies;
      for (const auto& command : request.commands) replies.push_back(Answer(command));
      results.emplace_back(std::move(replies));
    }
    return results;
  }

 private:
  virtual Reply Answer(const Command& command) = 0;
};

class OneAnswer final : public EachByItself {
 public:
  explicit OneAnswer(std::string error) : error_(std::move(error)) {}

 private:
  Reply Answer(const Command&) override { return {.type = Reply::Type::kError, .text = error_}; }
  std::string error_;
};

// A replica of that master; it answers all else with an error.
class ReplicaOf final : public EachByItself {
 public:
  explicit ReplicaOf(const NodeId& master) : master_(master) {}
  std::vector<std::string> asked;  ///< The second words of all commands.

 private:
  Reply Answer(const Command& command) override {
    asked.push_back(command[1]);
    if (command[1] != "NODES") return {.type = Reply::Type::kError, .text = "ERR it was told"};
    return {.type = Reply::Type::kString,
            .text = fmt::format("{:040} 10.0.0.1:6379@16379 myself,slave {} 0 0 1 connected\n"
                                "{} 10.0.0.2:6379@16379 master - 0 0 1 connected\n",
                                7, master_.ToString(), master_.ToString())};
  }
  const NodeId master_;
};

inline const NodeId kDeadMaster = *NodeId::Parse(std::string(40, 'd'));

}  // namespace slotwright
