// The settings one by one: name, meaning, how a value is read and shown. Internal to settings.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/settings.h"

namespace postback::base {

struct SettingDefinition {
  const char* name;     // The environment variable and key: "DATABASE_URL".
  const char* value;    // What stands for the value in --help: "URL".
  const char* meaning;  // For --help.
  // Reads `text` into *settings. Returns "" or what is wrong and what would be right.
  std::string (*read)(std::string_view text, Settings* settings);
  // As shown by /info: without secrets.
  std::string (*show)(const Settings& settings);
  bool secret;  // A wrong value is not repeated in the message.
};

std::span<const SettingDefinition> setting_definitions();

// The flag of a setting: "--database-url".
std::string setting_flag(const SettingDefinition& definition);

// The definition of a name as it may stand in a file or behind "--": case ignored, '-' equals '_'.
// nullptr when unknown.
const SettingDefinition* find_setting(std::string_view name);

}  // namespace postback::base
