// Numbers that nobody can guess.
#pragma once

#include <cstddef>
#include <string>

namespace tokenpool::proc {

/// So many hexadecimal digits, from the kernel (getrandom(2)).
std::string random_digits(std::size_t count);

}  // namespace tokenpool::proc
