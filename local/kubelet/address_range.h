// Which part of the pod addresses belongs to this kubelet, when several run on one machine.
#pragma once

#include <string>
#include <utility>

#include "reconciler/base/error.h"

namespace slotwright::local {

/// A block of addresses that no other kubelet of this machine has, until it is destroyed or the process ends: it is
/// held by a name among the abstract Unix sockets, which are shared exactly as far as the addresses are.
class AddressRange {
 public:
  /// The first free /20 of `cidr`, or all of it if it is smaller. kInvalid if `cidr` is not inside 127.0.0.0/8 or
  /// smaller than a /30, kUnavailable if all is taken.
  [[nodiscard]] static reconciler::Result<AddressRange> Claim(const std::string& cidr);

  ~AddressRange();
  AddressRange(AddressRange&& other) noexcept
      : cidr_(std::move(other.cidr_)), socket_(std::exchange(other.socket_, -1)) {}
  AddressRange& operator=(AddressRange&&) = delete;

  [[nodiscard]] const std::string& cidr() const { return cidr_; }

 private:
  AddressRange(std::string cidr, int socket) : cidr_(std::move(cidr)), socket_(socket) {}

  std::string cidr_;
  int socket_;
};

}  // namespace slotwright::local
