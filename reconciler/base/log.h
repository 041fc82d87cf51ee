// Structured logging over spdlog: one line per decision, key=value or JSON, to stderr.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace reconciler {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

/// One key and its value. Values are quoted as the format demands; never pass a secret.
using LogField = std::pair<std::string_view, std::string>;

/// Call once, before threads start. `path` empty: stderr.
void ConfigureLog(LogLevel level, LogFormat format, const std::string& path = "");

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace reconciler
