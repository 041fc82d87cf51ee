// All objects, one revision counter, and the history that watches resume from.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "local/apiserver/api_status.h"

namespace slotwright::local::apiserver {

using Revision = std::uint64_t;
/// "pods" or "redisclusters.slotwright.dev": all versions of a resource are one table.
using Table = std::string;
using Objects = std::map<ObjectKey, ObjectPtr>;

/// `before` is null for an addition, `after` for a removal.
struct Change {
  Revision revision = 0;
  Table table;
  ObjectKey key;
  ObjectPtr before;
  ObjectPtr after;
};

/// Not thread-safe: its owner holds a lock. Each write gets the next revision, which becomes metadata.resourceVersion.
class Store {
 public:
  explicit Store(size_t history_size) : history_size_(history_size) {}

  using Observer = std::function<void(const Change&)>;
  void SetObserver(Observer observer) { observer_ = std::move(observer); }

  [[nodiscard]] Revision revision() const { return revision_; }
  [[nodiscard]] ObjectPtr Get(const Table& table, const ObjectKey& key) const;
  [[nodiscard]] const Objects& All(const Table& table) const;
  [[nodiscard]] const std::map<Table, Objects>& Everything() const { return tables_; }

  ObjectPtr Put(const Table& table, Json object);
  /// REQUIRES: the object is there. Returns its last state.
  ObjectPtr Remove(const Table& table, const ObjectKey& key);
  /// Forgets a table without a trace; watches of it must have ended.
  void DropTable(const Table& table);

  /// The table as it was at `revision`; nothing if that is no longer known.
  [[nodiscard]] std::optional<Objects> At(const Table& table, Revision revision) const;
  /// False if changes after `revision` have been forgotten.
  [[nodiscard]] bool Remembers(Revision revision) const { return revision >= forgotten_; }
  /// Changes after `revision`, oldest first. REQUIRES: Remembers(revision).
  void Replay(const Table& table, Revision revision, const Observer& observer) const;

 private:
  void Record(Change change);

  const size_t history_size_;
  std::map<Table, Objects> tables_;
  std::deque<Change> history_;
  Revision revision_ = 1;
  Revision forgotten_ = 0;  ///< The newest revision that fell out of the history.
  Observer observer_;
};

}  // namespace slotwright::local::apiserver
