// Open watches: who sees which change, bookmarks, and how watches end.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "local/apiserver/presentation.h"
#include "local/apiserver/selectors.h"
#include "local/apiserver/store.h"
#include "reconciler/base/clock.h"
#include "reconciler/http/server.h"

namespace slotwright::local::apiserver {

/// Which objects a list or watch is about.
struct Scope {
  ResourcePtr resource;
  std::string ns;    ///< Empty: all namespaces.
  std::string name;  ///< Empty: all.
  LabelSelector labels;
  FieldSelector fields;

  [[nodiscard]] bool Includes(const Json& object) const;
};

struct WatchRequest {
  Scope scope;
  Presentation presentation;
  bool bookmarks = false;
  reconciler::Duration timeout{};
};

/// Not thread-safe: its owner holds a lock, which makes streams see changes in order.
class WatchHub {
 public:
  WatchHub(reconciler::Clock& clock, reconciler::Duration bookmark_interval)
      : clock_(clock), bookmark_interval_(bookmark_interval) {}

  /// Sends `initial` as ADDED and then, if asked for, the bookmark that ends them, then `missed` and what comes.
  void Start(WatchRequest request, std::shared_ptr<reconciler::ResponseStream> stream,
             const std::vector<ObjectPtr>& initial, bool end_bookmark, const std::vector<Change>& missed,
             Revision revision);
  void Publish(const Change& change);
  /// Bookmarks that are due, and watches whose time is over.
  void Tick(Revision revision);
  void EndAll();
  void EndTable(const Table& table);

 private:
  struct Watch {
    WatchRequest request;
    std::shared_ptr<reconciler::ResponseStream> stream;
    reconciler::MonotonicTime ends;
    reconciler::MonotonicTime next_bookmark;
    bool sent_columns = false;
    bool alive = true;
  };

  void Send(Watch& watch, const char* type, const Json& object);
  void SendChange(Watch& watch, const Change& change);
  void SendBookmark(Watch& watch, Revision revision, bool end_of_initial);
  [[nodiscard]] reconciler::MonotonicTime NextBookmark(const Watch& watch, reconciler::MonotonicTime now) const;
  void DropDead();

  reconciler::Clock& clock_;
  const reconciler::Duration bookmark_interval_;
  std::list<Watch> watches_;
};

/// One line of a watch stream.
[[nodiscard]] std::string WatchLine(const char* type, const Json& object);

}  // namespace slotwright::local::apiserver
