#include "io/uring_buffers.h"

#include <liburing.h>
#include <sys/mman.h>

#include <cerrno>

#include "base/check.h"

namespace postback::io {
namespace {

// Page-aligned, as the kernel wants the ring to be.
void* map_pages(size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

}  // namespace

UringBuffers::UringBuffers(uint32_t count, uint32_t buffer_bytes)
    : count_(count), buffer_bytes_(buffer_bytes) {
  CHECK(count > 0 && count <= 32768 && (count & (count - 1)) == 0);
  taken_.reserve(count);
}

UringBuffers::~UringBuffers() {
  if (ring_ != nullptr) munmap(ring_, count_ * sizeof(io_uring_buf));
  if (memory_ != nullptr) munmap(memory_, size_t{count_} * buffer_bytes_);
}

int UringBuffers::allocate() {
  ring_ = static_cast<io_uring_buf_ring*>(map_pages(count_ * sizeof(io_uring_buf)));
  memory_ = static_cast<char*>(map_pages(size_t{count_} * buffer_bytes_));
  return ring_ == nullptr || memory_ == nullptr ? -ENOMEM : 0;
}

int UringBuffers::register_with(io_uring* ring) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(ring_);
  registration.ring_entries = count_;
  registration.bgid = kGroup;
  const int result = io_uring_register_buf_ring(ring, &registration, 0);
  if (result != 0) return result;
  io_uring_buf_ring_init(ring_);
  for (uint32_t id = 0; id < count_; ++id) taken_.push_back(static_cast<uint16_t>(id));
  give_back();
  return 0;
}

const char* UringBuffers::take(uint16_t id) {
  CHECK(id < count_ && taken_.size() < count_);
  taken_.push_back(id);
  return buffer(id);
}

void UringBuffers::give_back() {
  const int mask = io_uring_buf_ring_mask(count_);
  int offset = 0;
  for (const uint16_t id : taken_) {
    io_uring_buf_ring_add(ring_, buffer(id), buffer_bytes_, id, mask, offset++);
  }
  io_uring_buf_ring_advance(ring_, offset);
  taken_.clear();
}

}  // namespace postback::io
