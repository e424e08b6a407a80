/* The C interface from C89, against a FIFO of its own and against one slot. The rest of it is the
   C++ interface, which has its own tests. Every step that fails says so; the status is how many. */
#define _XOPEN_SOURCE 700 /* NOLINT: POSIX wants that name */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tokenpool/tokenpool.h"

static int failures = 0;

static void expect(int good, const char* what, int line) {
  if (good) return;
  fprintf(stderr, "c_test.c:%d: %s\n", line, what);
  ++failures;
}
#define EXPECT(condition) expect((condition) != 0, #condition, __LINE__)

static int code_of(const tokenpool_pool* pool) {
  int code = 1;
  EXPECT(strlen(tokenpool_last_error(pool, &code)) > 0);
  return code;
}

static void one_slot(void) {
  tokenpool_options options = TOKENPOOL_OPTIONS_INIT;
  tokenpool_wanted wanted = TOKENPOOL_WANTED_INIT;
  tokenpool_notice notice = TOKENPOOL_NOTICE_INIT;
  tokenpool_job_report report = TOKENPOOL_JOB_REPORT_INIT;
  tokenpool_lease* lease = NULL;
  tokenpool_lease* other = NULL;
  tokenpool_ticket ticket;
  tokenpool_pool* pool;
  const char* json = NULL;
  int number = 7;

  options.address = "";
  options.makeflags = "";
  pool = tokenpool_connect(&options);
  EXPECT(pool != NULL);
  EXPECT(tokenpool_mode(pool) == TOKENPOOL_SINGLE);
  EXPECT(strcmp(tokenpool_mode_name(pool), "single") == 0);
  EXPECT(strcmp(tokenpool_reason(pool), "no-address") == 0);
  EXPECT(strcmp(tokenpool_jobserver_reason(pool), "no-makeflags") == 0);
  EXPECT(strcmp(tokenpool_server(pool), "") == 0);
  EXPECT(tokenpool_slots(pool) == 1 && tokenpool_session(pool) == 0);
  EXPECT(tokenpool_connected(pool) == 0);

  EXPECT(tokenpool_acquire(pool, NULL, &lease) == TOKENPOOL_OK);
  EXPECT(tokenpool_lease_slots(lease) == 1 && tokenpool_lease_id(lease) == 0);
  EXPECT(tokenpool_lease_watched(lease) == 0);
  EXPECT(tokenpool_try_acquire(pool, &wanted, &other) == TOKENPOOL_FAILED);
  EXPECT(code_of(pool) == -32003 && other == NULL);
  wanted.min = 2;
  EXPECT(tokenpool_acquire(pool, &wanted, &other) == TOKENPOOL_FAILED);
  EXPECT(code_of(pool) == -32005);
  EXPECT(tokenpool_acquire(pool, NULL, NULL) == TOKENPOOL_FAILED && code_of(pool) == -32602);
  wanted.size = 3;
  EXPECT(tokenpool_begin(pool, &wanted) == 0 && code_of(pool) == -32602);

  EXPECT(tokenpool_resize(lease, 1, 4, &number) == TOKENPOOL_OK && number == 1);
  EXPECT(tokenpool_resize(lease, 2, 2, &number) == TOKENPOOL_FAILED && code_of(pool) == -32003);
  report.exit = 0;
  EXPECT(tokenpool_report(lease, &report, &number) == TOKENPOOL_OK && number == 0);
  EXPECT(tokenpool_report(lease, NULL, NULL) == TOKENPOOL_FAILED && code_of(pool) == -32602);
  EXPECT(tokenpool_hand_to(lease, (int32_t)getpid(), 0, NULL) == TOKENPOOL_OK);
  EXPECT(tokenpool_status(pool, &json) == TOKENPOOL_FAILED && code_of(pool) == 0 && json == NULL);
  EXPECT(tokenpool_call(pool, NULL, NULL, &json) == TOKENPOOL_FAILED && code_of(pool) == -32602);
  EXPECT(tokenpool_take_notice(pool, &notice) == TOKENPOOL_WAITING);

  ticket = tokenpool_begin(pool, NULL);
  EXPECT(ticket != 0 && tokenpool_take(pool, ticket, &other) == TOKENPOOL_WAITING);
  EXPECT(tokenpool_cancel(pool, ticket, &number) == TOKENPOOL_OK && number == 1);
  EXPECT(tokenpool_take(pool, ticket, &other) == TOKENPOOL_FAILED && code_of(pool) == -32004);
  ticket = tokenpool_begin(pool, NULL);
  EXPECT(tokenpool_fd(pool) == -1 && tokenpool_events(pool) == 0);
  EXPECT(tokenpool_timeout_ms(pool) == -1);
  EXPECT(tokenpool_release_some(lease, 1) == 0 && tokenpool_lease_slots(lease) == 0);
  tokenpool_release(lease);
  EXPECT(tokenpool_process(pool) == TOKENPOOL_OK && tokenpool_wait(pool, 0) == TOKENPOOL_OK);
  EXPECT(tokenpool_take(pool, ticket, &other) == TOKENPOOL_OK);
  tokenpool_drop(pool, ticket);
  tokenpool_free(pool);
  EXPECT(tokenpool_lease_slots(other) == 0);
  EXPECT(tokenpool_detach(other) == 0);
}

static void a_fifo(void) {
  tokenpool_options options = TOKENPOOL_OPTIONS_INIT;
  tokenpool_wanted wanted = TOKENPOOL_WANTED_INIT;
  tokenpool_lease* lease = NULL;
  tokenpool_pool* pool;
  char folder[] = "/tmp/c_test-XXXXXX";
  char fifo[64];
  char makeflags[128];
  char bytes[4];
  int fd;

  EXPECT(mkdtemp(folder) != NULL);
  sprintf(fifo, "%s/fifo", folder);
  sprintf(makeflags, " -j3 --jobserver-auth=fifo:%s", fifo);
  EXPECT(mkfifo(fifo, 0600) == 0);
  fd = open(fifo, O_RDWR | O_NONBLOCK);
  EXPECT(fd >= 0 && write(fd, "xy", 2) == 2);
  options.address = "";
  options.makeflags = makeflags;
  pool = tokenpool_connect(&options);
  EXPECT(tokenpool_mode(pool) == TOKENPOOL_JOBSERVER && tokenpool_slots(pool) == 3);
  wanted.max = 3;
  EXPECT(tokenpool_acquire(pool, &wanted, &lease) == TOKENPOOL_OK);
  EXPECT(tokenpool_lease_slots(lease) == 3);
  EXPECT(read(fd, bytes, sizeof bytes) == -1);
  EXPECT(tokenpool_release_some(lease, 1) == 2);
  tokenpool_release(lease);
  EXPECT(read(fd, bytes, sizeof bytes) == 2);
  tokenpool_free(pool);
  close(fd);
  unlink(fifo);
  rmdir(folder);
}

static void nothing(void) {
  tokenpool_options options = TOKENPOOL_OPTIONS_INIT;
  int code = 0;

  options.size = 1;
  EXPECT(tokenpool_connect(&options) == NULL);
  EXPECT(tokenpool_acquire(NULL, NULL, NULL) == TOKENPOOL_FAILED);
  EXPECT(tokenpool_begin(NULL, NULL) == 0 && tokenpool_take(NULL, 1, NULL) == TOKENPOOL_FAILED);
  EXPECT(strlen(tokenpool_last_error(NULL, &code)) > 0 && code == -32602);
  EXPECT(tokenpool_fd(NULL) == -1 && tokenpool_mode(NULL) == TOKENPOOL_SINGLE);
  tokenpool_release(NULL);
  tokenpool_drop(NULL, 1);
  tokenpool_free(NULL);
}

int main(void) {
  one_slot();
  a_fifo();
  nothing();
  return failures > 100 ? 100 : failures;
}
