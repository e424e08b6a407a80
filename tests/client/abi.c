/* Prints the ABI of tokenpool.h: each function with its signature, each struct with its size and
   the offset of each member. What is printed is held against abi.txt; what is written here is held
   against the header by the compiler. */
#include <stdio.h>

#include "tokenpool/tokenpool.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): types can have none */
#define FUNCTION(result, name, arguments)                              \
  do {                                                                 \
    result(*same) arguments = name;                                    \
    if (same != NULL) printf("%s %s%s\n", #result, #name, #arguments); \
  } while (0)
#define STRUCT(name) printf("%s: %lu bytes\n", #name, (unsigned long)sizeof(name))
#define MEMBER(name, type, member)                                                    \
  do {                                                                                \
    name whole = name##_ZERO;                                                         \
    type* same = &whole.member;                                                       \
    if (same != NULL)                                                                 \
      printf("  %lu %s %s\n", (unsigned long)offsetof(name, member), #type, #member); \
  } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

#define tokenpool_options_ZERO TOKENPOOL_OPTIONS_INIT
#define tokenpool_wanted_ZERO TOKENPOOL_WANTED_INIT
#define tokenpool_job_report_ZERO TOKENPOOL_JOB_REPORT_INIT
#define tokenpool_notice_ZERO TOKENPOOL_NOTICE_INIT

static void functions(void) {
  FUNCTION(tokenpool_pool*, tokenpool_connect, (const tokenpool_options*));
  FUNCTION(void, tokenpool_free, (tokenpool_pool*));
  FUNCTION(int, tokenpool_mode, (const tokenpool_pool*));
  FUNCTION(const char*, tokenpool_mode_name, (const tokenpool_pool*));
  FUNCTION(const char*, tokenpool_reason, (const tokenpool_pool*));
  FUNCTION(const char*, tokenpool_jobserver_reason, (const tokenpool_pool*));
  FUNCTION(int, tokenpool_slots, (const tokenpool_pool*));
  FUNCTION(int, tokenpool_connected, (const tokenpool_pool*));
  FUNCTION(uint64_t, tokenpool_session, (const tokenpool_pool*));
  FUNCTION(const char*, tokenpool_server, (tokenpool_pool*));
  FUNCTION(const char*, tokenpool_last_error, (const tokenpool_pool*, int*));
  FUNCTION(int, tokenpool_acquire, (tokenpool_pool*, const tokenpool_wanted*, tokenpool_lease**));
  FUNCTION(int, tokenpool_try_acquire,
           (tokenpool_pool*, const tokenpool_wanted*, tokenpool_lease**));
  FUNCTION(int, tokenpool_status, (tokenpool_pool*, const char**));
  FUNCTION(int, tokenpool_call, (tokenpool_pool*, const char*, const char*, const char**));
  FUNCTION(void, tokenpool_release, (tokenpool_lease*));
  FUNCTION(int, tokenpool_release_some, (tokenpool_lease*, int));
  FUNCTION(int, tokenpool_resize, (tokenpool_lease*, int, int, int*));
  FUNCTION(int, tokenpool_report, (tokenpool_lease*, const tokenpool_job_report*, int*));
  FUNCTION(int, tokenpool_hand_to, (tokenpool_lease*, int32_t, uint64_t, int*));
  FUNCTION(uint64_t, tokenpool_detach, (tokenpool_lease*));
  FUNCTION(uint64_t, tokenpool_lease_id, (const tokenpool_lease*));
  FUNCTION(int, tokenpool_lease_slots, (const tokenpool_lease*));
  FUNCTION(int, tokenpool_lease_watched, (const tokenpool_lease*));
  FUNCTION(tokenpool_ticket, tokenpool_begin, (tokenpool_pool*, const tokenpool_wanted*));
  FUNCTION(int, tokenpool_take, (tokenpool_pool*, tokenpool_ticket, tokenpool_lease**));
  FUNCTION(void, tokenpool_drop, (tokenpool_pool*, tokenpool_ticket));
  FUNCTION(int, tokenpool_fd, (const tokenpool_pool*));
  FUNCTION(int, tokenpool_events, (const tokenpool_pool*));
  FUNCTION(int, tokenpool_timeout_ms, (const tokenpool_pool*));
  FUNCTION(int, tokenpool_process, (tokenpool_pool*));
  FUNCTION(int, tokenpool_take_notice, (tokenpool_pool*, tokenpool_notice*));
  FUNCTION(int, tokenpool_cancel, (tokenpool_pool*, tokenpool_ticket, int*));
  FUNCTION(int, tokenpool_wait, (tokenpool_pool*, int));
}

static void structs(void) {
  STRUCT(tokenpool_options);
  MEMBER(tokenpool_options, size_t, size);
  MEMBER(tokenpool_options, const char*, name);
  MEMBER(tokenpool_options, const char*, address);
  MEMBER(tokenpool_options, const char*, cookie);
  MEMBER(tokenpool_options, const char*, makeflags);
  MEMBER(tokenpool_options, uint64_t, lease);
  MEMBER(tokenpool_options, int32_t, patience_ms);
  MEMBER(tokenpool_options, int32_t, launcher);
  MEMBER(tokenpool_options, int32_t, protocol_only);
  STRUCT(tokenpool_wanted);
  MEMBER(tokenpool_wanted, size_t, size);
  MEMBER(tokenpool_wanted, int32_t, min);
  MEMBER(tokenpool_wanted, int32_t, max);
  MEMBER(tokenpool_wanted, const char*, type);
  MEMBER(tokenpool_wanted, const char*, target);
  MEMBER(tokenpool_wanted, uint64_t, memory);
  MEMBER(tokenpool_wanted, uint64_t, start);
  MEMBER(tokenpool_wanted, int64_t, timeout_ms);
  MEMBER(tokenpool_wanted, int32_t, priority);
  MEMBER(tokenpool_wanted, int32_t, pid);
  STRUCT(tokenpool_job_report);
  MEMBER(tokenpool_job_report, size_t, size);
  MEMBER(tokenpool_job_report, int64_t, peak_memory);
  MEMBER(tokenpool_job_report, double, cpu_seconds);
  MEMBER(tokenpool_job_report, uint64_t, start);
  MEMBER(tokenpool_job_report, int32_t, pid);
  MEMBER(tokenpool_job_report, int32_t, exit);
  STRUCT(tokenpool_notice);
  MEMBER(tokenpool_notice, size_t, size);
  MEMBER(tokenpool_notice, int32_t, kind);
  MEMBER(tokenpool_notice, int32_t, slots);
  MEMBER(tokenpool_notice, uint64_t, lease);
  MEMBER(tokenpool_notice, int64_t, deadline_ms);
  MEMBER(tokenpool_notice, const char*, reason);
  MEMBER(tokenpool_notice, const char*, params);
}

int main(void) {
  functions();
  structs();
  return 0;
}
