// See log.h.
#include "reconciler/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace reconciler {

namespace {

LogFormat log_format = LogFormat::kText;

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < ' '; }

std::string Quoted(const std::string& value) {
  const bool plain = value.find_first_of(" =\"\\") == std::string::npos && std::ranges::none_of(value, IsControl);
  if (plain && !value.empty()) return value;
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A line break in a server's words would begin a line that nobody wrote, and ESC tells terminals what to do.
std::string WithoutControls(std::string_view message) {
  std::string text;
  for (const char c : message) {
    if (IsControl(c)) {
      const std::string quoted = nlohmann::json(std::string(1, c)).dump();
      text.append(quoted, 1, quoted.size() - 2);
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

void ConfigureLog(LogLevel level, LogFormat format, const std::string& path) {
  log_format = format;
  spdlog::sink_ptr sink;
  if (path.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
  }
  auto logger = std::make_shared<spdlog::logger>("slotwright", std::move(sink));
  logger->set_level(LevelOf(level));
  logger->flush_on(spdlog::level::info);
  logger->set_pattern(format == LogFormat::kJson ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",\"level\":\"%l\",%v}"
                                                 : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v",
                      spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  const auto spd_level = LevelOf(level);
  if (!spdlog::should_log(spd_level)) return;
  if (log_format == LogFormat::kJson) {
    nlohmann::ordered_json object = {{"message", std::string(message)}};
    for (const auto& [key, value] : fields) {
      if (!value.empty()) object[std::string(key)] = value;
    }
    const std::string text = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    spdlog::log(spd_level, "{}", text.substr(1, text.size() - 2));
    return;
  }
  std::string text = WithoutControls(message);
  for (const auto& [key, value] : fields) {
    if (value.empty()) continue;
    text += ' ';
    text += key;
    text += '=';
    text += Quoted(value);
  }
  spdlog::log(spd_level, "{}", text);
}

}  // namespace reconciler
