#include "store/sqlite_databases.h"

#include <filesystem>
#include <system_error>

#include "store/known_databases.h"
#include "store/sqlite_database.h"

namespace postback::store {
namespace {

// The path with symbolic links followed as far as it exists: two spellings of one file are one
// database. (Hard links are two; nobody makes those of a database.)
std::string canonical(const std::string& path) {
  std::error_code error;
  // Absolute first: weakly_canonical leaves a relative path relative when its folder is missing.
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return path;
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute.lexically_normal().string() : resolved.string();
}

}  // namespace

SqliteDatabases::SqliteDatabases(KnownDatabases* known) : known_(known) {}
SqliteDatabases::~SqliteDatabases() = default;

SqliteDatabase& SqliteDatabases::at(const std::string& path) {
  const std::string key = canonical(path);
  const std::lock_guard lock(mutex_);
  std::unique_ptr<SqliteDatabase>& database = databases_[key];
  if (database == nullptr) {
    database = std::make_unique<SqliteDatabase>(key, &known_->at("sqlite:" + key, "", 0));
  }
  return *database;
}

}  // namespace postback::store
