// The receive buffers that the io_uring loop lends to the kernel: a provided-buffer ring
// (io_uring_register(2), IORING_REGISTER_PBUF_RING). The kernel takes a buffer only when bytes have
// come, so idle connections cost none. One thread.
//
// Lifetime: a buffer that was taken stays readable until give_back(); the memory lives until the
// object dies, which must be after the ring it is registered with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

struct io_uring;
struct io_uring_buf_ring;

namespace postback::io {

class UringBuffers {
 public:
  // `count`: a power of two, at most 32768.
  UringBuffers(uint32_t count, uint32_t buffer_bytes);
  ~UringBuffers();
  UringBuffers(const UringBuffers&) = delete;
  UringBuffers& operator=(const UringBuffers&) = delete;

  // The buffer group that submissions name.
  static constexpr uint16_t kGroup = 0;

  // 0 or -errno.
  int allocate();
  int register_with(io_uring* ring);

  uint32_t count() const { return count_; }
  uint32_t buffer_bytes() const { return buffer_bytes_; }

  // Notes that the kernel has put bytes into buffer `id`, and returns them.
  const char* take(uint16_t id);
  // Gives every buffer taken since the last call to the kernel again.
  void give_back();

 private:
  char* buffer(uint16_t id) const { return memory_ + size_t{id} * buffer_bytes_; }

  const uint32_t count_;
  const uint32_t buffer_bytes_;
  io_uring_buf_ring* ring_ = nullptr;
  char* memory_ = nullptr;
  std::vector<uint16_t> taken_;
};

}  // namespace postback::io
