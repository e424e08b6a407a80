#include <cstddef>
#include <cstdint>
#include <string_view>

#include "session_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tokenpool::fuzz::check_session({reinterpret_cast<const char*>(data), size});
  return 0;
}
