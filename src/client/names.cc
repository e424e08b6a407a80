#include "tokenpool/client.hpp"

namespace tokenpool::client {

const char* to_string(Mode mode) noexcept {
  switch (mode) {
    case Mode::protocol:
      return "protocol";
    case Mode::jobserver:
      return "jobserver";
    case Mode::single:
      return "single";
  }
  return "unknown";
}

const char* to_string(Reason reason) noexcept {
  switch (reason) {
    case Reason::ok:
      return "ok";
    case Reason::no_address:
      return "no-address";
    case Reason::bad_address:
      return "bad-address";
    case Reason::no_cookie:
      return "no-cookie";
    case Reason::bad_cookie:
      return "bad-cookie";
    case Reason::unreachable:
      return "unreachable";
    case Reason::refused:
      return "refused";
    case Reason::incompatible:
      return "incompatible";
    case Reason::no_answer:
      return "no-answer";
  }
  return "unknown";
}

const char* to_string(JobserverReason reason) noexcept {
  switch (reason) {
    case JobserverReason::ok:
      return "ok";
    case JobserverReason::no_makeflags:
      return "no-makeflags";
    case JobserverReason::no_jobserver:
      return "no-jobserver";
    case JobserverReason::bad_jobserver:
      return "bad-jobserver";
    case JobserverReason::cannot_open:
      return "cannot-open";
    case JobserverReason::not_a_pipe:
      return "not-a-pipe";
    case JobserverReason::unsupported:
      return "unsupported";
  }
  return "unknown";
}

}  // namespace tokenpool::client
