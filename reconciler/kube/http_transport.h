// Transport over HTTP/1.1 and TLS by cpprestsdk. The library's traps are met here and nowhere else.
#pragma once

#include <memory>
#include <string>

#include "reconciler/kube/kube_config.h"
#include "reconciler/kube/transport.h"

namespace reconciler {

/// kInvalid when certificates, keys or the server's address cannot be used. `user_agent` is sent with every request.
/// `clock` says when a token file is to be read again, and outlives the transport.
[[nodiscard]] Result<std::unique_ptr<Transport>> MakeHttpTransport(ClusterAccess access, std::string user_agent,
                                                                   Clock& clock = SystemClock());

}  // namespace reconciler
