#include "journal_ids.h"

#include <cerrno>

#include "journal/reader.h"
#include "journal/recovery.h"

namespace postback::postbackctl {
namespace {

// Beside a server that drains, a segment may vanish between being listed and being opened.
constexpr int kAttempts = 5;

base::Status read_ids(const std::string& folder, std::vector<int64_t>* ids) {
  journal::Disk& disk = journal::real_disk();
  auto checkpoint = journal::load_checkpoint(&disk, folder);
  if (!checkpoint.ok()) return checkpoint.status();
  auto segments = journal::list_segments(&disk, folder);
  if (!segments.ok()) return segments.status();
  journal::ReaderOptions options;
  options.frames.disk = &disk;
  options.frames.folder = folder;
  options.frames.segments = segments.take();
  options.frames.checkpoint = checkpoint.value().checkpoint;
  journal::Reader reader(std::move(options));
  ids->clear();
  for (auto step = reader.next(); step != journal::ReaderStep::end; step = reader.next()) {
    if (step == journal::ReaderStep::failed) return reader.status();
    if (step != journal::ReaderStep::record) continue;
    // A conversion too: the database may have refused it, and it is in the quarantine by now.
    ids->push_back(reader.conversion().id);
  }
  std::sort(ids->begin(), ids->end());
  return base::Status();
}

}  // namespace

base::Result<JournalIds> JournalIds::load(const base::Settings& settings) {
  JournalIds found;
  const std::string folder = settings.data_dir + "/journal";
  std::vector<std::string> names;
  if (journal::real_disk().list(folder, &names) == -ENOENT) return found;
  base::Status status = read_ids(folder, &found.ids_);
  for (int i = 1; i < kAttempts && !status.ok(); ++i) status = read_ids(folder, &found.ids_);
  if (!status.ok()) return status;
  return found;
}

}  // namespace postback::postbackctl
