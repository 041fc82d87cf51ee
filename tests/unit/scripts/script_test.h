// A pod's folders, with stubs for the programs that its scripts call.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "controllers/resources/scripts.h"
#include "tests/support/temporary_folder.h"

namespace slotwright {

class ScriptTest : public ::testing::Test {
 protected:
  struct Result {
    int status = 0;
    std::string output;
  };

  ScriptTest() {
    for (const char* folder : {"bin", "run", "data", "conf"}) std::filesystem::create_directory(root_ / folder);
    for (const auto& [name, text] : kScripts) Write(std::filesystem::path("conf") / name, text);
  }

  void Write(const std::filesystem::path& name, const std::string& text) const { std::ofstream(root_ / name) << text; }
  [[nodiscard]] std::string Read(const std::filesystem::path& name) const {
    std::ifstream file(root_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// On the volume.
  [[nodiscard]] bool Has(const char* name) const { return std::filesystem::exists(root_ / "data" / name); }
  /// What is called by that name; $ROOT is where everything lies.
  void Program(const char* name, const std::string& text) const {
    Write(std::filesystem::path("bin") / name, "#!/bin/sh\n" + text + "\n");
    std::filesystem::permissions(root_ / "bin" / name, std::filesystem::perms::owner_all);
  }
  /// Runs it as a pod does; `arguments` as for a shell.
  [[nodiscard]] Result Run(const std::string& script, const std::string& arguments) const {
    const std::string command =
        fmt::format("cd {0} && ROOT={0} POD_IP={3} PATH={0}/bin:$PATH /bin/sh conf/{1} {2} 2>&1", root_.string(),
                    script, arguments, pod_ip_);
    Result result;
    FILE* pipe = ::popen(command.c_str(), "r");  // NOLINT(cert-env33-c)
    char buffer[512];
    while (::fgets(buffer, sizeof buffer, pipe) != nullptr) result.output += buffer;
    result.status = WEXITSTATUS(::pclose(pipe));
    return result;
  }

  TemporaryFolder folder_;
  std::filesystem::path root_ = folder_.path();
  std::string pod_ip_ = "10.0.0.1";
};

}  // namespace slotwright
