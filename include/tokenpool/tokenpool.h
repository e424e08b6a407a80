/* The client library of Tokenpool for C: asks an arbiter for slots, see tokenpool-protocol(7).

   Its words, modes and rules are those of client.hpp. C89, with the fixed-width types of
   <stdint.h>. Link with libtokenpool.a and the C++ library (pkg-config tokenpool).

   Every struct begins with `size`: set it by its INIT macro. A later version adds members at the
   end only; what the caller's size does not cover is as the INIT macro sets it.

   Functions that answer int and are told to fail answer TOKENPOOL_OK, TOKENPOOL_WAITING where that
   is named, or TOKENPOOL_FAILED; then tokenpool_last_error() tells code and sentence: codes of
   tokenpool-protocol(7), the same in every mode; 0: the client's own finding (no connection, a
   fork, out of memory); -32602: an argument is wrong (NULL, an unknown size). What would have been
   answered through a pointer is then not touched. No C++ exception leaves the library.

   One thread at a time uses a pool and its leases. Texts that are answered live until the next call
   with the same pool or a lease of it; texts that are given need to live during the call only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tokenpool_pool tokenpool_pool;
typedef struct tokenpool_lease tokenpool_lease;
typedef uint64_t tokenpool_ticket; /* a request under way; never 0 */

enum { TOKENPOOL_OK = 0, TOKENPOOL_WAITING = 1, TOKENPOOL_FAILED = -1 };
enum { TOKENPOOL_PROTOCOL = 0, TOKENPOOL_JOBSERVER = 1, TOKENPOOL_SINGLE = 2 };
enum { TOKENPOOL_RECALL = 0, TOKENPOOL_REVOKE = 1, TOKENPOOL_EVENT = 2, TOKENPOOL_LOST = 3 };

typedef struct tokenpool_options {
  size_t size;
  const char* name;      /* of the client, for people; NULL: the program's */
  const char* address;   /* NULL: of TOKENPOOL_ADDR */
  const char* cookie;    /* NULL: of TOKENPOOL_COOKIE */
  const char* makeflags; /* NULL: of MAKEFLAGS */
  uint64_t lease;        /* that this process runs under; 0: of TOKENPOOL_LEASE */
  int32_t patience_ms;   /* for each address, to connect and to answer hello */
  int32_t launcher;      /* 1: the parent of one job that does nothing else */
  int32_t protocol_only; /* 1: no fallback; without an arbiter every request fails with code 0 */
} tokenpool_options;
#define TOKENPOOL_OPTIONS_INIT {sizeof(tokenpool_options), NULL, NULL, NULL, NULL, 0, 5000, 0, 0}

typedef struct tokenpool_wanted {
  size_t size;
  int32_t min;        /* slots */
  int32_t max;        /* 0: as min */
  const char* type;   /* NULL: none */
  const char* target; /* NULL: none */
  uint64_t memory;    /* bytes; 0: unknown */
  uint64_t start;     /* of pid; 0: looked up */
  int64_t timeout_ms; /* -1: as long as it takes; 0: do not wait */
  int32_t priority;
  int32_t pid; /* the process that it will belong to; 0: this connection */
} tokenpool_wanted;
#define TOKENPOOL_WANTED_INIT {sizeof(tokenpool_wanted), 1, 0, NULL, NULL, 0, 0, -1, 0, 0}

typedef struct tokenpool_job_report {
  size_t size;
  int64_t peak_memory; /* bytes; -1: not told */
  double cpu_seconds;  /* -1: not told */
  uint64_t start;      /* of pid; 0: looked up */
  int32_t pid;         /* the process that it belongs to from now on; 0: as it is */
  int32_t exit;        /* 0 to 255; -1: not told */
} tokenpool_job_report;
#define TOKENPOOL_JOB_REPORT_INIT {sizeof(tokenpool_job_report), -1, -1.0, 0, 0, -1}

typedef struct tokenpool_notice {
  size_t size;
  int32_t kind;        /* TOKENPOOL_RECALL and so on */
  int32_t slots;       /* recall: down to so many */
  uint64_t lease;      /* tokenpool_lease_id() */
  int64_t deadline_ms; /* revoke */
  const char* reason;  /* revoke; else empty */
  const char* params;  /* all of it, a JSON object */
} tokenpool_notice;
#define TOKENPOOL_NOTICE_INIT {sizeof(tokenpool_notice), 0, 0, 0, 0, NULL, NULL}

/* Never fails for want of an arbiter. NULL: no memory, or a size in `options` that is unknown.
   `options` NULL: all as INIT. */
tokenpool_pool* tokenpool_connect(const tokenpool_options* options);
/* Ends the session; its leases are given back, handles of them may still be freed. NULL: nothing.
 */
void tokenpool_free(tokenpool_pool* pool);

/* Facts; they do not fail. With NULL: TOKENPOOL_SINGLE, 0 or an empty text. */
int tokenpool_mode(const tokenpool_pool* pool);
const char* tokenpool_mode_name(const tokenpool_pool* pool);        /* "protocol" and so on */
const char* tokenpool_reason(const tokenpool_pool* pool);           /* "ok", "no-address", ... */
const char* tokenpool_jobserver_reason(const tokenpool_pool* pool); /* "ok", "no-makeflags", ... */
int tokenpool_slots(const tokenpool_pool* pool);
int tokenpool_connected(const tokenpool_pool* pool); /* 1: to an arbiter, leases are declared */
uint64_t tokenpool_session(const tokenpool_pool* pool);
const char* tokenpool_server(tokenpool_pool* pool);
/* The last failure of a call with this pool or a lease of it; never NULL. `code` may be NULL. */
const char* tokenpool_last_error(const tokenpool_pool* pool, int* code);

/* Wait for a lease; fail with the arbiter's codes (-32003 the time is over, -32005 impossible ...).
   `wanted` NULL: one slot. The handle is freed by tokenpool_release() or tokenpool_detach(). */
int tokenpool_acquire(tokenpool_pool* pool, const tokenpool_wanted* wanted,
                      tokenpool_lease** lease);
int tokenpool_try_acquire(tokenpool_pool* pool, const tokenpool_wanted* wanted,
                          tokenpool_lease** lease);
/* The result of status as JSON. Fails with 0 without an arbiter. */
int tokenpool_status(tokenpool_pool* pool, const char** json);
/* Any other call; `params` is a JSON object, NULL: {}. Fails as the arbiter says, or with 0. */
int tokenpool_call(tokenpool_pool* pool, const char* method, const char* params, const char** json);

/* Gives all back and frees the handle; does not fail. NULL: nothing. */
void tokenpool_release(tokenpool_lease* lease);
/* Gives `count` slots back, 1 or more; answers what is left. At 0 the handle is still to be freed.
   Does not fail: of a lease that has ended, 0 is left. */
int tokenpool_release_some(tokenpool_lease* lease, int count);
/* To as many slots within the bounds as can be had at once; max 0: as min. Fails with -32003 where
   not even min can be had, with 0 without a connection; the lease is then as it was. */
int tokenpool_resize(tokenpool_lease* lease, int min, int max, int* slots);
/* What the job cost, and whom the lease belongs to. `watched` (may be NULL): 1 if it is that
   process's now, else 0. Fails with -32006 where the lease has ended. */
int tokenpool_report(tokenpool_lease* lease, const tokenpool_job_report* report, int* watched);
int tokenpool_hand_to(tokenpool_lease* lease, int32_t pid, uint64_t start, int* watched);
/* Frees the handle and gives nothing back; answers the lease's number. */
uint64_t tokenpool_detach(tokenpool_lease* lease);
/* Facts; they do not fail. 0: no number (modes without an arbiter); nothing is held. */
uint64_t tokenpool_lease_id(const tokenpool_lease* lease);
int tokenpool_lease_slots(const tokenpool_lease* lease);
int tokenpool_lease_watched(const tokenpool_lease* lease);

/* For an event loop; these never wait. */
/* 0: failed, for want of memory or with a wrong argument. */
tokenpool_ticket tokenpool_begin(tokenpool_pool* pool, const tokenpool_wanted* wanted);
/* TOKENPOOL_WAITING: not yet. Answers once; afterwards the ticket is not known: fails with 0. */
int tokenpool_take(tokenpool_pool* pool, tokenpool_ticket ticket, tokenpool_lease** lease);
/* Cancels it and forgets it; a lease that was granted meanwhile is given back. Does not fail. */
void tokenpool_drop(tokenpool_pool* pool, tokenpool_ticket ticket);
/* To be asked anew before each poll(2): -1: no descriptor. Events of poll(2); milliseconds until
   tokenpool_process() is due, -1: no deadline. */
int tokenpool_fd(const tokenpool_pool* pool);
int tokenpool_events(const tokenpool_pool* pool);
int tokenpool_timeout_ms(const tokenpool_pool* pool);
/* Takes what has come, sends what can be sent, connects again. Fails with 0 for want of memory. */
int tokenpool_process(tokenpool_pool* pool);
/* TOKENPOOL_WAITING: there is none. `notice` must have its size. */
int tokenpool_take_notice(tokenpool_pool* pool, tokenpool_notice* notice);

/* These wait. `cancelled` 0: it was granted before; take it. */
int tokenpool_cancel(tokenpool_pool* pool, tokenpool_ticket ticket, int* cancelled);
/* Until something has happened, `most_ms` at most (-1: without limit); processes it. */
int tokenpool_wait(tokenpool_pool* pool, int most_ms);

#ifdef __cplusplus
}
#endif
