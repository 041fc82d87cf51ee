// libFuzzer: the parsers of the topology survive every input, and what ParseClusterNodes accepts has one meaning.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "controllers/topology/cluster_nodes.h"
#include "tests/support/cluster_nodes_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)slotwright::ParseClusterInfo(text);
  (void)slotwright::ParseServerInfo(text);
  const auto table = slotwright::ParseClusterNodes(text);
  if (!table) return 0;
  (void)table->myself();
  const auto again = slotwright::ParseClusterNodes(slotwright::testing::ToClusterNodesText(*table));
  if (!again || *again != *table) std::abort();
  return 0;
}
