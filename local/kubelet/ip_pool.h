// Addresses for pods: handed out in order, and used again as late as possible.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "reconciler/base/error.h"

namespace slotwright::local {

/// An IPv4 network inside 127.0.0.0/8. Linux answers on all of its addresses without any configuration.
struct LoopbackNetwork {
  uint32_t address = 0;  ///< In the machine's byte order.
  int bits = 32;         ///< Prefix length.

  /// From text like "127.77.0.0/16". kInvalid if it is none, is smaller than a /30 or is not inside 127.0.0.0/8.
  [[nodiscard]] static reconciler::Result<LoopbackNetwork> Parse(const std::string& cidr);
  [[nodiscard]] std::string ToString() const;
};

/// No address comes twice before every other one of the network was used.
class IpPool {
 public:
  explicit IpPool(LoopbackNetwork network);

  /// kUnavailable when all addresses are taken.
  [[nodiscard]] reconciler::Result<std::string> Take();
  void Release(const std::string& address);

 private:
  LoopbackNetwork network_;
  uint32_t next_;  ///< The lowest address that was never handed out.
  uint32_t last_;
  std::deque<std::string> released_;  ///< Oldest first.
};

}  // namespace slotwright::local
