// From a container's specification to a process.
#include "local/kubelet/launch.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "local/kubelet/environment.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;
using reconciler::StringAt;

namespace {

constexpr const char* kSystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string SearchPath(const ResolvedImage& image) {
  return image.folder.empty() ? kSystemPath : image.folder + ":" + kSystemPath;
}

// Paths of programs are those of the image, whose files this machine has elsewhere.
std::string ProgramOf(const std::string& program, const ResolvedImage& image) {
  const std::filesystem::path path(program);
  static constexpr std::array<std::string_view, 6> kProgramFolders = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                                                      "/usr/bin",        "/sbin",          "/bin"};
  if (image.folder.empty() ||
      std::ranges::find(kProgramFolders, path.parent_path().string()) == kProgramFolders.end()) {
    return program;
  }
  const std::string own = image.folder + "/" + path.filename().string();
  return ::access(own.c_str(), X_OK) == 0 ? own : program;
}

std::vector<std::string> Texts(const Json& container, const char* field) {
  std::vector<std::string> texts;
  for (const auto& text : container.value(field, Json::array())) texts.push_back(text.get<std::string>());
  return texts;
}

std::vector<std::string> CommandLine(const Json& container, const ResolvedImage& image) {
  std::vector<std::string> command = Texts(container, "command");
  std::vector<std::string> arguments = Texts(container, "args");
  const bool own_program = !arguments.empty() && !arguments[0].starts_with('-') && !arguments[0].ends_with(".conf");
  if (command.empty() && !own_program) command = image.entry_point;
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::string HostName(const Json& pod) {
  const std::string hostname = StringAt(pod, {"spec", "hostname"});
  return hostname.empty() ? StringAt(pod, {"metadata", "name"}) : hostname;
}

}  // namespace

ProcessOptions LaunchPlan::WithCommand(const std::vector<std::string>& command) const {
  ProcessOptions options = process;
  options.command.clear();
  for (const auto& text : command) options.command.push_back(mounts.Replace(text));
  return options;
}

Result<LaunchPlan> PlanLaunch(const Json& container, const LaunchInputs& inputs) {
  auto environment = EnvironmentOf(container, inputs.facts);
  if (!environment) return std::unexpected(environment.error());
  LaunchPlan plan{{}, MountPaths(inputs.mounts)};
  plan.process.search_path = SearchPath(inputs.image);

  std::vector<std::string> command = CommandLine(container, inputs.image);
  if (command.empty()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("container \"{}\" has no command and image \"{}\" brings none; set command",
                            StringAt(container, {"name"}), StringAt(container, {"image"})));
  }
  for (auto& text : command) text = plan.mounts.Replace(ExpandVariables(text, environment->Lookup()));
  command.front() = ProgramOf(command.front(), inputs.image);
  plan.process.command = std::move(command);

  Environment complete;
  complete.Set("PATH", plan.process.search_path);
  complete.Set("HOME", inputs.home);
  complete.Set("HOSTNAME", HostName(*inputs.facts.pod));
  for (const auto& [name, value] : environment->variables()) complete.Set(name, plan.mounts.Replace(value));
  for (const auto& [name, value] : complete.variables()) plan.process.environment.push_back(name + "=" + value);
  plan.process.search_path = *complete.Get("PATH");

  const std::string working_dir = StringAt(container, {"workingDir"});
  plan.process.working_dir = working_dir.empty() ? inputs.home : plan.mounts.Replace(working_dir);
  return plan;
}

}  // namespace slotwright::local
