// See live_notes.h.
#include "controllers/observe/live_notes.h"

#include "reconciler/kube/types.h"

namespace slotwright {

using reconciler::Json;

namespace {

// Beside the directives, whose names have no such character.
constexpr const char* kRunId = "@run";
constexpr const char* kRefused = "@refused";

}  // namespace

bool LiveNotes::Has(const std::string& name, const std::string& value) const {
  const auto found = directives.find(name);
  return found != directives.end() && found->second == value;
}

void LiveNotes::Doubt(const std::string& name) {
  directives.erase(name);
  unknown.insert(name);
}

LiveNotes ParseLiveNotes(const std::string& annotation) {
  LiveNotes notes;
  const Json json = Json::parse(annotation, nullptr, false);
  if (!json.is_object()) return notes;
  for (const auto& [name, value] : json.items()) {
    if (name == kRunId && value.is_string()) {
      notes.run_id = value.get<std::string>();
    } else if (name == kRefused && value.is_object()) {
      for (const auto& [directive, refused] : value.items()) {
        if (refused.is_string()) notes.refused[directive] = refused.get<std::string>();
      }
    } else if (!name.starts_with('@') && value.is_string()) {
      notes.directives[name] = value.get<std::string>();
    } else if (!name.starts_with('@')) {
      notes.unknown.insert(name);
    }
  }
  return notes;
}

std::string ToString(const LiveNotes& notes) {
  Json json = notes.directives;
  for (const auto& name : notes.unknown) json[name] = nullptr;
  if (!notes.run_id.empty()) json[kRunId] = notes.run_id;
  if (!notes.refused.empty()) json[kRefused] = notes.refused;
  // A run id is what some server said.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace slotwright
