#include "fake_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace postback::journal {

class FakeFile final : public File {
 public:
  FakeFile(FakeDisk* disk, std::shared_ptr<FakeDisk::Node> node)
      : disk_(disk), node_(std::move(node)) {}

  int64_t pwrite(std::string_view bytes, uint64_t offset) override {
    const std::lock_guard lock(disk_->mutex_);
    FakeDisk::Fault fault = FakeDisk::Fault::error;
    int error = disk_->begin(&fault);
    if (node_->final_name && std::exchange(disk_->frame_write_fails_, false)) {
      fault = disk_->frame_write_fault_;
      error = -EIO;
    }
    // A power cut may have let any part of the write through.
    const bool part = fault == FakeDisk::Fault::short_write || fault == FakeDisk::Fault::power_cut;
    if (error != 0 && !part) return error;
    if (node_->sync_failed) ++disk_->writes_after_failure_;
    FakeDisk::Write write{offset, std::string(bytes)};
    if (error != 0 && fault == FakeDisk::Fault::short_write) write.bytes.resize(bytes.size() / 2);
    if (node_->final_name && !node_->unsynced.empty()) ++disk_->overlapping_frames_;
    disk_->apply(&node_->content, write);
    node_->unsynced.push_back(write);
    if (error == 0) return static_cast<int64_t>(bytes.size());
    return fault == FakeDisk::Fault::short_write ? static_cast<int64_t>(write.bytes.size()) : error;
  }

  int64_t pread(char* out, size_t size, uint64_t offset) override {
    const std::lock_guard lock(disk_->mutex_);
    const std::string& content = node_->content;
    if (offset >= content.size()) return 0;
    const size_t count = std::min<uint64_t>(size, content.size() - offset);
    std::memcpy(out, content.data() + offset, count);
    return static_cast<int64_t>(count);
  }

  int fdatasync() override {
    const std::lock_guard lock(disk_->mutex_);
    FakeDisk::Fault fault = FakeDisk::Fault::error;
    int error = disk_->begin(&fault);
    if (node_->final_name && std::exchange(disk_->frame_sync_fails_, false)) error = -EIO;
    if (node_->final_name && std::exchange(disk_->frame_sync_dies_, false)) {
      disk_->fail_at_ = disk_->operations_;
      disk_->fault_ = fault = FakeDisk::Fault::power_cut;
      disk_->persistent_ = true;
      error = -EIO;
    }
    if (node_->sync_failed) ++disk_->syncs_after_failure_;
    if (error != 0) {
      if (fault != FakeDisk::Fault::power_cut) {
        node_->sync_failed = true;
        node_->unsynced.clear();
      }
      return error;
    }
    for (const FakeDisk::Write& write : node_->unsynced) disk_->apply(&node_->durable, write);
    node_->unsynced.clear();
    return 0;
  }

  int truncate(uint64_t size) override {
    const std::lock_guard lock(disk_->mutex_);
    const int error = disk_->begin();
    if (error != 0) return error;
    node_->content.resize(size);
    node_->durable.resize(std::min<size_t>(size, node_->durable.size()));
    return 0;
  }

  int64_t size() override {
    const std::lock_guard lock(disk_->mutex_);
    return static_cast<int64_t>(node_->content.size());
  }

  bool has_name() override {
    const std::lock_guard lock(disk_->mutex_);
    return std::any_of(disk_->names_.begin(), disk_->names_.end(),
                       [this](const auto& name) { return name.second == node_; });
  }

 private:
  FakeDisk* const disk_;
  const std::shared_ptr<FakeDisk::Node> node_;
};

class FakeLock final : public Lock {
 public:
  FakeLock(FakeDisk* disk, std::string path, uint64_t generation)
      : disk_(disk), path_(std::move(path)), generation_(generation) {}
  ~FakeLock() override {
    const std::lock_guard lock(disk_->mutex_);
    disk_->locked_.erase(path_);
  }
  bool in_place() override {
    const std::lock_guard lock(disk_->mutex_);
    return disk_->folder_generation_ == generation_;
  }

 private:
  FakeDisk* const disk_;
  const std::string path_;
  const uint64_t generation_;
};

void FakeDisk::fail_at(uint64_t at, Fault fault, bool persistent) {
  const std::lock_guard lock(mutex_);
  operations_ = 0;
  fail_at_ = at;
  fault_ = fault;
  persistent_ = persistent || fault == Fault::power_cut;
}

void FakeDisk::fail_next_frame_write(Fault fault) {
  const std::lock_guard lock(mutex_);
  frame_write_fails_ = true;
  frame_write_fault_ = fault;
}
void FakeDisk::fail_next_frame_sync() {
  const std::lock_guard lock(mutex_);
  frame_sync_fails_ = true;
}
void FakeDisk::die_at_next_frame_sync() {
  const std::lock_guard lock(mutex_);
  frame_sync_dies_ = true;
}
void FakeDisk::fail_new_files(bool fail) {
  const std::lock_guard lock(mutex_);
  new_files_fail_ = fail;
}

uint64_t FakeDisk::operation_count() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

int FakeDisk::begin(Fault* fault) {
  ++operations_;
  const bool hit =
      fail_at_ != 0 && (operations_ == fail_at_ || (persistent_ && operations_ > fail_at_));
  if (!hit) return 0;
  // Behind the cut nothing reaches the disk.
  if (fault != nullptr) {
    *fault = fault_ == Fault::power_cut && operations_ > fail_at_ ? Fault::error : fault_;
  }
  return fault_ == Fault::no_space ? -ENOSPC : -EIO;
}

void FakeDisk::apply(std::string* content, const Write& write) {
  if (content->size() < write.offset + write.bytes.size()) {
    content->resize(write.offset + write.bytes.size());
  }
  std::memcpy(content->data() + write.offset, write.bytes.data(), write.bytes.size());
}

void FakeDisk::reboot(uint64_t seed) {
  const std::lock_guard lock(mutex_);
  constexpr size_t kSector = 512;
  std::mt19937_64 random(seed);
  const int style = static_cast<int>(random() % 3);  // Nothing, everything, or a random part.
  if (!name_history_.empty() && style != 1) {
    const size_t kept = style == 0 ? 0 : random() % (name_history_.size() + 1);
    if (kept < name_history_.size()) names_ = name_history_[kept];
  }
  name_history_.clear();
  for (auto& [name, node] : names_) {
    for (const Write& write : node->unsynced) {
      for (size_t at = 0; at < write.bytes.size(); at += kSector) {
        if (style == 0 || (style == 2 && random() % 2 == 0)) continue;
        apply(&node->durable, {write.offset + at, write.bytes.substr(at, kSector)});
      }
    }
    node->unsynced.clear();
    node->sync_failed = false;
    node->content = node->durable;
  }
  locked_.clear();
  fail_at_ = 0;
}

void FakeDisk::set_space(Space space) {
  const std::lock_guard lock(mutex_);
  space_ = space;
}
void FakeDisk::replace_folder() {
  const std::lock_guard lock(mutex_);
  ++folder_generation_;
}
uint64_t FakeDisk::syncs_after_failure() const {
  const std::lock_guard lock(mutex_);
  return syncs_after_failure_;
}
uint64_t FakeDisk::writes_after_failure() const {
  const std::lock_guard lock(mutex_);
  return writes_after_failure_;
}
uint64_t FakeDisk::overlapping_frames() const {
  const std::lock_guard lock(mutex_);
  return overlapping_frames_;
}
std::string FakeDisk::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  return found == names_.end() ? std::string() : found->second->content;
}
void FakeDisk::set_content(const std::string& path, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  auto node = std::make_shared<Node>();
  node->content = bytes;
  node->durable = bytes;
  node->final_name = path.ends_with(".segment");
  names_[path] = node;
  name_history_.clear();
}
bool FakeDisk::exists(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return names_.contains(path);
}

int FakeDisk::open(const std::string& path, OpenMode mode, std::unique_ptr<File>* file) {
  const std::lock_guard lock(mutex_);
  if (mode == OpenMode::create) {
    const int error = begin();
    if (error != 0) return error;
    if (new_files_fail_) return -ENOSPC;
    name_history_.push_back(names_);
    names_[path] = std::make_shared<Node>();
  }
  const auto found = names_.find(path);
  if (found == names_.end()) return -ENOENT;
  *file = std::make_unique<FakeFile>(this, found->second);
  return 0;
}

int FakeDisk::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  const int error = begin();
  if (error != 0) return error;
  const auto found = names_.find(from);
  if (found == names_.end()) return -ENOENT;
  name_history_.push_back(names_);
  found->second->final_name = to.ends_with(".segment");
  names_[to] = found->second;
  names_.erase(from);
  return 0;
}

int FakeDisk::unlink(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const int error = begin();
  if (error != 0) return error;
  if (!names_.contains(path)) return -ENOENT;
  name_history_.push_back(names_);
  names_.erase(path);
  return 0;
}

int FakeDisk::sync_folder(const std::string&) {
  const std::lock_guard lock(mutex_);
  const int error = begin();
  if (error == 0) name_history_.clear();
  return error;
}

int FakeDisk::list(const std::string& path, std::vector<std::string>* names) {
  const std::lock_guard lock(mutex_);
  names->clear();
  for (const auto& [name, node] : names_) {
    if (name.starts_with(path + "/")) names->push_back(name.substr(path.size() + 1));
  }
  return 0;
}

int FakeDisk::space(const std::string&, Space* space) {
  const std::lock_guard lock(mutex_);
  const int error = begin();
  if (error == 0) *space = space_;
  return error;
}

int FakeDisk::lock(const std::string& path, std::unique_ptr<Lock>* lock) {
  const std::lock_guard guard(mutex_);
  if (!locked_.insert(path).second) return -EWOULDBLOCK;
  *lock = std::make_unique<FakeLock>(this, path, folder_generation_);
  return 0;
}

}  // namespace postback::journal
