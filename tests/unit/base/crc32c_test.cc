#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace postback::base {
namespace {

std::string reversed(const std::string& bytes) {
  return {bytes.rbegin(), bytes.rend()};
}

std::string ascending() {
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

// RFC 3720 appendix B.4, and the check value that catalogues of CRCs give.
const struct {
  std::string bytes;
  uint32_t crc;
} kVectors[] = {
    {std::string(32, '\0'), 0x8a9136aa},
    {std::string(32, '\xff'), 0x62a8ab43},
    {ascending(), 0x46dd794e},
    {reversed(ascending()), 0x113fdb5c},
    {std::string("\x01\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00"
                 "\x00\x00\x04\x00\x00\x00\x00\x14\x00\x00\x00\x18\x28\x00\x00\x00\x00\x00\x00\x00"
                 "\x02\x00\x00\x00\x00\x00\x00\x00",
                 48),
     0xd9963a56},
    {"123456789", 0xe3069283},
};

TEST(Crc32c, TableGivesTheVectorsOfRfc3720) {
  for (const auto& vector : kVectors) EXPECT_EQ(crc32c_by_table(vector.bytes, 0), vector.crc);
}

TEST(Crc32c, InstructionGivesTheVectorsOfRfc3720) {
  if (!crc32c_has_instruction()) GTEST_SKIP() << "this processor has no CRC-32C instruction";
  for (const auto& vector : kVectors) {
    EXPECT_EQ(crc32c_by_instruction(vector.bytes, 0), vector.crc);
  }
}

TEST(Crc32c, BothWaysAgreeOnEverySizeAndInPieces) {
  const uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  std::string bytes(300, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const std::string_view part = std::string_view(bytes).substr(0, size);
    const uint32_t crc = crc32c(part);
    EXPECT_EQ(crc32c_by_table(part, 0), crc) << "seed " << seed;
    const size_t cut = size == 0 ? 0 : random() % size;
    EXPECT_EQ(crc32c(part.substr(cut), crc32c(part.substr(0, cut))), crc) << "seed " << seed;
    EXPECT_EQ(crc32c_by_table(part.substr(cut), crc32c_by_table(part.substr(0, cut), 0)), crc);
  }
}

}  // namespace
}  // namespace postback::base
