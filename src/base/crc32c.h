// CRC-32C (Castagnoli polynomial, reflected 0x82f63b78; RFC 3720 appendix B.4 has test vectors).
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace postback::base {

// The CRC of `bytes`. To continue over several pieces pass the CRC of what came before:
// crc32c(b, crc32c(a)) == crc32c(a + b). Uses the processor's instruction where there is one.
uint32_t crc32c(std::string_view bytes, uint32_t crc = 0);

// The two ways it is computed, named for tests: equal for all input.
uint32_t crc32c_by_table(std::string_view bytes, uint32_t crc);
bool crc32c_has_instruction();
// Only where crc32c_has_instruction().
uint32_t crc32c_by_instruction(std::string_view bytes, uint32_t crc);

}  // namespace postback::base
