#include <cstddef>
#include <cstdint>
#include <string_view>

#include "properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tokenpool::fuzz::check_protocol({reinterpret_cast<const char*>(data), size});
  return 0;
}
