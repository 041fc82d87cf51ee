// Addresses for pods: handed out in order, and used again as late as possible.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "reconciler/base/error.h"

namespace slotwright::local {

/// No address comes twice before every other one of the range was used. Linux answers on all of 127.0.0.0/8 without any
/// configuration.
class IpPool {
 public:
  /// `cidr` like "127.77.0.0/16". kInvalid if it is none, is smaller than a /30 or is not inside 127.0.0.0/8.
  [[nodiscard]] static reconciler::Result<IpPool> Make(const std::string& cidr);

  /// kUnavailable when all addresses are taken.
  [[nodiscard]] reconciler::Result<std::string> Take();
  void Release(const std::string& address);

 private:
  IpPool(uint32_t first, uint32_t last, std::string cidr) : next_(first), last_(last), cidr_(std::move(cidr)) {}

  uint32_t next_;  ///< The lowest address that was never handed out.
  uint32_t last_;
  std::string cidr_;
  std::deque<std::string> released_;  ///< Oldest first.
};

}  // namespace slotwright::local
