// See watch.h.
#include "local/apiserver/watch.h"

#include <algorithm>

namespace slotwright::local::apiserver {

namespace {

constexpr auto kLastBookmark = std::chrono::seconds(2);

}  // namespace

std::string WatchLine(const char* type, const Json& object) {
  std::string line = "{\"type\":\"";
  line += type;
  line += "\",\"object\":";
  line += object.dump(-1, ' ', false, Json::error_handler_t::replace);
  line += "}\n";
  return line;
}

bool Scope::Includes(const Json& object) const {
  const ObjectKey key = reconciler::KeyOf(object);
  if (!ns.empty() && key.ns != ns) return false;
  if (!name.empty() && key.name != name) return false;
  return labels.Matches(object) && fields.Matches(object);
}

void WatchHub::Start(WatchRequest request, std::shared_ptr<reconciler::ResponseStream> stream,
                     const std::vector<ObjectPtr>& initial, bool end_bookmark, const std::vector<Change>& missed,
                     Revision revision) {
  const auto now = clock_.Now();
  Watch& watch = watches_.emplace_back(Watch{.request = std::move(request), .stream = std::move(stream)});
  watch.ends = now + watch.request.timeout;
  watch.next_bookmark = NextBookmark(watch, now);
  for (const auto& object : initial) Send(watch, "ADDED", *object);
  if (end_bookmark) SendBookmark(watch, revision, true);
  for (const auto& change : missed) SendChange(watch, change);
  DropDead();
}

// The last one comes shortly before the end, so that a watch of a quiet resource can be resumed.
reconciler::MonotonicTime WatchHub::NextBookmark(const Watch& watch, reconciler::MonotonicTime now) const {
  const auto last = watch.ends - kLastBookmark;
  return last > now ? std::min(now + bookmark_interval_, last) : now + bookmark_interval_;
}

void WatchHub::Publish(const Change& change) {
  for (auto& watch : watches_) {
    if (watch.request.scope.resource->table() == change.table) SendChange(watch, change);
  }
  DropDead();
}

// An object that enters or leaves a selection is added or deleted as far as this watch is concerned.
void WatchHub::SendChange(Watch& watch, const Change& change) {
  const Scope& scope = watch.request.scope;
  const bool was_in = change.before != nullptr && scope.Includes(*change.before);
  const bool is_in = change.after != nullptr && scope.Includes(*change.after);
  if (is_in) {
    Send(watch, was_in ? "MODIFIED" : "ADDED", *change.after);
  } else if (was_in) {
    Json last = *change.before;
    last["metadata"]["resourceVersion"] = std::to_string(change.revision);
    Send(watch, "DELETED", last);
  }
}

void WatchHub::Send(Watch& watch, const char* type, const Json& object) {
  if (!watch.alive) return;
  const bool first = !std::exchange(watch.sent_columns, true);
  const Json shown = watch.request.presentation.Event(*watch.request.scope.resource, object, first, clock_.WallNow());
  watch.alive = watch.stream->Write(WatchLine(type, shown));
}

void WatchHub::SendBookmark(Watch& watch, Revision revision, bool end_of_initial) {
  const auto& type = watch.request.scope.resource->type;
  Json object = {{"kind", type.kind},
                 {"apiVersion", type.ApiVersion()},
                 {"metadata", {{"resourceVersion", std::to_string(revision)}}}};
  if (end_of_initial) object["metadata"]["annotations"] = {{"k8s.io/initial-events-end", "true"}};
  if (watch.request.presentation.form == Presentation::Form::kTable) {
    Json table = EmptyTable(*watch.request.scope.resource, false);
    table["metadata"] = object["metadata"];
    object = std::move(table);
  }
  if (watch.alive) watch.alive = watch.stream->Write(WatchLine("BOOKMARK", object));
}

void WatchHub::Tick(Revision revision) {
  const auto now = clock_.Now();
  for (auto& watch : watches_) {
    if (now >= watch.ends) {
      watch.stream->Close();
      watch.alive = false;
    } else if (watch.request.bookmarks && now >= watch.next_bookmark) {
      watch.next_bookmark = NextBookmark(watch, now);
      SendBookmark(watch, revision, false);
    }
  }
  DropDead();
}

void WatchHub::EndAll() {
  for (auto& watch : watches_) watch.stream->Close();
  watches_.clear();
}

void WatchHub::EndTable(const Table& table) {
  for (auto& watch : watches_) {
    if (watch.request.scope.resource->table() != table) continue;
    watch.stream->Close();
    watch.alive = false;
  }
  DropDead();
}

void WatchHub::DropDead() {
  watches_.remove_if([](const Watch& watch) { return !watch.alive; });
}

}  // namespace slotwright::local::apiserver
