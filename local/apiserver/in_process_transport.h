// A Transport that calls a server's handler directly: no sockets, no threads.
#pragma once

#include <memory>

#include "reconciler/base/clock.h"
#include "reconciler/http/server.h"
#include "reconciler/kube/transport.h"

namespace slotwright::local::apiserver {

/// `token`, if not empty, is sent as bearer token. `clock` outlives the transport; it times the silence of streams.
[[nodiscard]] std::shared_ptr<reconciler::Transport> MakeInProcessTransport(reconciler::ServerHandler handler,
                                                                            std::string token,
                                                                            reconciler::Clock& clock);

}  // namespace slotwright::local::apiserver
