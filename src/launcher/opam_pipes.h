// opam's extended jobserver, for one job: a private pair of pipes on which `+` asks for a slot and
// is answered by one byte (`+`) when there is one, and `-` gives one back. The job's environment
// has OPAMJOBSERVER=R,W: it reads answers on R and writes requests to W. Source: opam's wiki,
// "Spec for GNU make jobserver support", the extended protocol.
//
// Each slot is a lease of its own, which belongs to the job's process. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenpool/client.hpp"
#include "wire/error.h"

namespace tokenpool::launcher {

class OpamPipes {
 public:
  /// Error 125 when no descriptor is left.
  static wire::Result<std::unique_ptr<OpamPipes>> open();
  ~OpamPipes();
  OpamPipes(const OpamPipes&) = delete;
  OpamPipes& operator=(const OpamPipes&) = delete;

  /// The job's ends, R and W, close-on-exec and greater than 2.
  [[nodiscard]] std::pair<int, int> job_ends() const { return {job_read_, job_write_}; }
  [[nodiscard]] std::string variable() const;  ///< the value of OPAMJOBSERVER
  /// In the launcher, when the job has been forked.
  void close_job_ends();

  /// Polls readable when the job has written; -1: it has closed its end.
  [[nodiscard]] int fd() const { return requests_; }
  /// Reads what the job has written, at most 4 KiB, begins what it asks for and answers what has
  /// been granted. To be called whenever fd() is readable and after Pool::process(). Requests that
  /// cannot be had at one time, since no pool is that large, wait here, as a number only. `wanted`
  /// is for one slot. Answers sentences for people, each kind once.
  std::vector<std::string> serve(client::Pool* pool, const client::Wanted& wanted);
  /// Gives back all and asks for nothing any more.
  void end(client::Pool* pool);

  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  OpamPipes() = default;
  void read_requests(std::vector<std::string>* sentences);
  void on_byte(char byte, std::vector<std::string>* sentences);
  void take_granted(client::Pool* pool, std::vector<std::string>* sentences);
  /// False: the job does not read answers any more.
  bool answer();
  void stop_asking(client::Pool* pool);

  int requests_ = -1;         ///< read here
  int answers_ = -1;          ///< written here; -1: nobody reads them any more
  int job_read_ = -1;         ///< R
  int job_write_ = -1;        ///< W
  std::uint64_t wanted_ = 0;  ///< asked for by the job, not yet of the pool
  std::vector<client::Ticket> asked_;
  std::vector<client::Lease> held_;
  bool told_of_byte_ = false;
  bool told_of_return_ = false;
  bool told_of_refusal_ = false;
};

}  // namespace tokenpool::launcher
