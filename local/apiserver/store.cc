// See store.h.
#include "local/apiserver/store.h"

#include <algorithm>
#include <cassert>

namespace slotwright::local::apiserver {

ObjectPtr Store::Get(const Table& table, const ObjectKey& key) const {
  const Objects& objects = All(table);
  const auto found = objects.find(key);
  return found == objects.end() ? nullptr : found->second;
}

const Objects& Store::All(const Table& table) const {
  static const Objects kNone;
  const auto found = tables_.find(table);
  return found == tables_.end() ? kNone : found->second;
}

ObjectPtr Store::Put(const Table& table, Json object) {
  const ObjectKey key = reconciler::KeyOf(object);
  object["metadata"]["resourceVersion"] = std::to_string(++revision_);
  auto after = std::make_shared<const Json>(std::move(object));
  ObjectPtr& slot = tables_[table][key];
  ObjectPtr before = std::exchange(slot, after);
  Record({revision_, table, key, std::move(before), after});
  return after;
}

ObjectPtr Store::Remove(const Table& table, const ObjectKey& key) {
  auto& objects = tables_[table];
  const auto found = objects.find(key);
  assert(found != objects.end());
  ObjectPtr last = found->second;
  objects.erase(found);
  Record({++revision_, table, key, last, nullptr});
  return last;
}

void Store::DropTable(const Table& table) { tables_.erase(table); }

std::optional<Objects> Store::At(const Table& table, Revision revision) const {
  if (!Remembers(revision)) return std::nullopt;
  Objects objects = All(table);
  for (auto change = history_.rbegin(); change != history_.rend() && change->revision > revision; ++change) {
    if (change->table != table) continue;
    if (change->after == nullptr || change->before != nullptr) {
      objects[change->key] = change->before;
    } else {
      objects.erase(change->key);
    }
  }
  return objects;
}

void Store::Replay(const Table& table, Revision revision, const Observer& observer) const {
  const auto first = std::ranges::upper_bound(history_, revision, {}, &Change::revision);
  for (auto change = first; change != history_.end(); ++change) {
    if (change->table == table) observer(*change);
  }
}

void Store::Record(Change change) {
  history_.push_back(std::move(change));
  while (history_.size() > history_size_) {
    forgotten_ = history_.front().revision;
    history_.pop_front();
  }
  if (observer_) observer_(history_.back());
}

}  // namespace slotwright::local::apiserver
