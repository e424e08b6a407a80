// An arbiter for one client at a Unix socket, played by the test itself.
//
// Only the first hello needs a thread, because Pool::connect() waits for its answer. What a call
// that waits is answered with can be said before: the client numbers its requests from 1.
#pragma once

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "short_folder.h"
#include "tokenpool/client.hpp"

namespace tokenpool::client {

class FakeServer {
 public:
  FakeServer() {
    std::string folder = (short_temporary_folder() / "client-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path().copy(where.sun_path, sizeof where.sun_path - 1);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
  }
  ~FakeServer() {
    hang_up();
    close(listener_);
    std::filesystem::remove_all(folder_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] std::string path() const { return folder_ + "/sock"; }

  [[nodiscard]] Options options() const {
    Options options;
    options.name = "test";
    options.address = "unix:" + path();
    options.cookie = std::string(64, 'a');
    options.makeflags = "";
    options.lease = 0;
    return options;
  }

  std::unique_ptr<Pool> connected() { return connected(options()); }
  std::unique_ptr<Pool> connected(const Options& options) {
    std::thread greeter([this] {
      accept_client();
      hello = line();
      say(R"({"jsonrpc":"2.0","id":0,"result":{"session":3,"server":"fake","slots":4}})");
    });
    auto pool = Pool::connect(options);
    greeter.join();
    EXPECT_EQ(pool->mode(), Mode::protocol);
    return pool;
  }

  void accept_client() {
    fd_ = accept(listener_, nullptr, nullptr);
    EXPECT_GE(fd_, 0);
  }
  [[nodiscard]] bool somebody_knocks() const {
    pollfd ready{.fd = listener_, .events = POLLIN, .revents = 0};
    return poll(&ready, 1, 0) == 1;
  }
  void hang_up() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
    bytes_.clear();
  }

  // The next line; waits for it. Empty: the client has hung up.
  std::string line() {
    std::size_t end = 0;
    while ((end = bytes_.find('\n')) == std::string::npos) {
      std::array<char, 4096> part{};
      const ssize_t got = read(fd_, part.data(), part.size());
      if (got <= 0) return {};
      bytes_.append(part.data(), static_cast<std::size_t>(got));
    }
    std::string first = bytes_.substr(0, end);
    bytes_.erase(0, end + 1);
    return first;
  }
  void say(const std::string& line) const {
    const std::string all = line + "\n";
    EXPECT_EQ(write(fd_, all.data(), all.size()), static_cast<ssize_t>(all.size()));
  }
  void grant(int id, int lease, int slots) const {
    say("{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) + ",\"result\":{\"lease\":" +
        std::to_string(lease) + ",\"slots\":" + std::to_string(slots) + "}}");
  }

  std::string hello;  ///< the line

 private:
  std::string folder_;
  int listener_ = -1;
  int fd_ = -1;
  std::string bytes_;
};

}  // namespace tokenpool::client
