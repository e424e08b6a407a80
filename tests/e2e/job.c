// The job of a test's build: it stands for a compiler, and the test decides when it is done.
//
//   job NAME [FILE]       tells the test's desk (a Unix socket, E2E_DESK) "in NAME" and stays until
//                         the test answers: 'o' makes FILE and ends with 0, 'f' ends with 1
//   job --say NAME TEXT   tells the desk TEXT and goes on when the desk has heard it
//
// It ends with 9 when there is no desk (any more). Nothing is read or written one byte at a time by
// read(2) or write(2), so the job costs the pool's tracker nothing.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to_desk(void) {
  const char* path = getenv("E2E_DESK");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path == NULL || strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0) return -1;
  return fd;
}

int main(int argc, char** argv) {
  char line[512];
  char answer = 0;
  int said = argc == 4 && strcmp(argv[1], "--say") == 0;
  if (argc < 2) return 2;
  int fd = connect_to_desk();
  if (fd < 0) return 9;
  int size = said ? snprintf(line, sizeof line, "say %s %s\n", argv[2], argv[3])
                  : snprintf(line, sizeof line, "in %s\n", argv[1]);
  if (send(fd, line, (size_t)size, MSG_NOSIGNAL) != size) return 9;
  if (recv(fd, &answer, 1, 0) != 1) return 9;
  if (said) return 0;
  if (answer != 'o') return 1;
  if (argc > 2) {
    FILE* file = fopen(argv[2], "w");
    if (file == NULL) return 9;
    fclose(file);
  }
  return 0;
}
