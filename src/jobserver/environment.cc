#include "jobserver/environment.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "core/check.h"

namespace tokenpool::jobserver {
namespace {

using dialect::Dialect;
using dialect::JobserverWord;
using dialect::Makeflags;

// Beside our own, what build_environment() sets or takes away.
constexpr std::array<std::string_view, 6> kShared{"CARGO_MAKEFLAGS",
                                                  "CMAKE_BUILD_PARALLEL_LEVEL",
                                                  "CTEST_PARALLEL_LEVEL",
                                                  "GNUMAKEFLAGS",
                                                  "MAKEFLAGS",
                                                  "MFLAGS"};

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

class Builder {
 public:
  Builder(const dialect::Jobserver& pool, const EnvironmentOptions& options)
      : pool_(pool), options_(options) {}

  Environment build(const char* const* environ) {
    for (; *environ != nullptr; ++environ) result_.variables.emplace_back(*environ);
    is_below_a_run_ = get("TOKENPOOL_FIFO").has_value();
    note_outer_run();
    makeflags();
    drop("MFLAGS");
    parallel_levels();
    path();
    set("TOKENPOOL_FIFO", pool_.fifo);
    set("TOKENPOOL_FDS", std::to_string(pool_.read_fd) + "," + std::to_string(pool_.write_fd));
    set("TOKENPOOL_JOBS", std::to_string(pool_.slots));
    protocol();
    if (options_.shims_folder.empty()) {
      drop("TOKENPOOL_SHIMS");
    } else {
      set("TOKENPOOL_SHIMS", options_.shims_folder);
    }
    return std::move(result_);
  }

 private:
  // Those of an outer pool name another arbiter.
  void protocol() {
    const std::string server = get("TOKENPOOL_ADDR").value_or("");
    if (!server.empty() && !is_below_a_run_) {
      note("TOKENPOOL_ADDR names a server (" + server +
           "): this build does not join it, but has a pool of its own");
    }
    drop("TOKENPOOL_LEASE");
    drop("TOKENPOOL_SLOTS");
    drop("TOKENPOOL_WRAPPED");
    drop("TOKENPOOL_ADDR");
    drop("TOKENPOOL_COOKIE");
    if (options_.address.empty()) return;
    set("TOKENPOOL_ADDR", options_.address);
    set("TOKENPOOL_COOKIE", options_.cookie);
  }

  void makeflags() {
    const bool old_make = options_.make_dialect && options_.make_dialect != Dialect::fifo;
    const Dialect dialect = old_make ? Dialect::both : Dialect::fifo;
    set("MAKEFLAGS", compose_makeflags(examined("MAKEFLAGS"), pool_, dialect));
    const std::string rest = compose_makeflags(examined("GNUMAKEFLAGS"));
    if (rest.empty()) {
      drop("GNUMAKEFLAGS");
    } else {
      set("GNUMAKEFLAGS", rest);
    }
    examined("CARGO_MAKEFLAGS");
    const bool unprotected = old_make && options_.shims_folder.empty();
    set("CARGO_MAKEFLAGS",
        compose_makeflags(Makeflags{}, pool_, unprotected ? Dialect::fds_auth : Dialect::cargo));
  }

  Makeflags examined(const std::string& name) {
    Makeflags flags = dialect::parse_makeflags(get(name).value_or(""));
    if (!flags.jobservers.empty()) {
      note_foreign(name, flags.jobservers);
    } else if (flags.jobs) {
      const std::string jobs = *flags.jobs == 0 ? "-j" : "-j" + std::to_string(*flags.jobs);
      note(name + " had " + jobs + ": it is left out, the pool's slots decide");
    }
    return flags;
  }

  // Of its words, in whichever variables, nothing more is said then.
  void note_outer_run() {
    JobserverWord outer;
    outer.form = JobserverWord::Form::fifo;
    outer.path = get("TOKENPOOL_FIFO").value_or("");
    if (outer.path.empty() || !is_alive(outer)) return;
    outer_fifo_ = outer.path;
    outer_fds_ = get("TOKENPOOL_FDS").value_or("");
    note("inside of another tokenpool run" +
         (options_.outer_run.empty() ? "" : " (" + options_.outer_run + ")") +
         ", whose pool is left alone: this build has a pool of its own beside it");
  }

  [[nodiscard]] bool is_outer_run(const JobserverWord& word) const {
    if (outer_fifo_.empty()) return false;
    const std::string fds = std::to_string(word.read_fd) + "," + std::to_string(word.write_fd);
    return word.form == JobserverWord::Form::fifo
               ? word.path == outer_fifo_
               : word.form == JobserverWord::Form::descriptors && fds == outer_fds_;
  }

  // Several words, in one variable or in several, may name the same jobserver in different ways.
  void note_foreign(const std::string& name, const std::vector<JobserverWord>& words) {
    const auto place = [](const JobserverWord& one) {
      return one.text.substr(std::min(one.text.size(), one.text.find('=')));
    };
    const bool known = std::ranges::any_of(
        words, [&](const JobserverWord& one) { return foreign_.contains(place(one)); });
    for (const JobserverWord& one : words) foreign_.insert(place(one));
    const JobserverWord& word = words.back();
    if (known || word.form == JobserverWord::Form::negative || is_outer_run(word)) return;
    note(name + " names another jobserver (" + word.text + "), which is " +
         (is_alive(word) ? "alive: it is left alone" : "dead: it is ignored") +
         ", this build has a pool of its own");
  }

  void parallel_levels() {
    const std::string cmake = get("CMAKE_BUILD_PARALLEL_LEVEL").value_or("");
    const bool shims = !options_.shims_folder.empty();
    if (!cmake.empty()) {
      note("CMAKE_BUILD_PARALLEL_LEVEL=" + cmake + " is taken away" +
           (shims ? ", but for tools that do not obey the pool" : "") +
           ": cmake --build would leave the pool by it");
    }
    drop("CMAKE_BUILD_PARALLEL_LEVEL");
    if (!shims) {
      drop("TOKENPOOL_CMAKE_LEVEL");
    } else if (!cmake.empty()) {
      set("TOKENPOOL_CMAKE_LEVEL", cmake);
    }
    const std::string ctest = get("CTEST_PARALLEL_LEVEL").value_or("");
    if (!ctest.empty() && ctest != "0") {
      note("CTEST_PARALLEL_LEVEL=" + ctest + " is set to 0: the pool's slots decide");
    }
    set("CTEST_PARALLEL_LEVEL", "0");
  }

  void path() {
    // An outer run's shims would only find ours again.
    std::string path;
    const auto put = [&](std::string_view entry) {
      path += (path.empty() ? "" : ":") + std::string(entry);
    };
    const std::string& shims = options_.shims_folder;
    const std::string& wrap = options_.wrap_folder;
    if (shims.empty() && wrap.empty()) return;
    if (!shims.empty()) put(shims);
    if (!shims.empty() && !options_.bsd_shims_folder.empty()) put(options_.bsd_shims_folder);
    if (!wrap.empty()) put(wrap);
    const std::string outer_shims = get("TOKENPOOL_SHIMS").value_or("");
    const std::string outer_wrap = get("TOKENPOOL_WRAP").value_or("");
    const std::string old = get("PATH").value_or(std::string(kDefaultPath));
    std::string real;
    for (std::string_view rest = old;;) {
      const std::size_t colon = rest.find(':');
      const std::string_view entry = rest.substr(0, colon);
      const bool ours =
          !entry.empty() &&
          (entry == shims || entry == wrap || entry == options_.bsd_shims_folder ||
           (!shims.empty() && entry == outer_shims) || (!wrap.empty() && entry == outer_wrap));
      if (!ours) {
        put(entry);
        if (entry.empty() || entry != outer_shims) real += ":" + std::string(entry);
      }
      if (colon == std::string_view::npos) break;
      rest.remove_prefix(colon + 1);
    }
    set("PATH", path);
    if (wrap.empty()) return;
    set("TOKENPOOL_WRAP", wrap);
    if (!get("CCACHE_PATH") && !real.empty()) set("CCACHE_PATH", real.substr(1));
  }

  static bool is_named(const std::string& variable, const std::string& name) {
    return variable.size() > name.size() && variable[name.size()] == '=' &&
           variable.starts_with(name);
  }

  [[nodiscard]] std::optional<std::string> get(const std::string& name) const {
    for (const std::string& variable : result_.variables) {
      if (is_named(variable, name)) return variable.substr(name.size() + 1);
    }
    return std::nullopt;
  }

  void drop(const std::string& name) {
    std::erase_if(result_.variables,
                  [&](const auto& variable) { return is_named(variable, name); });
  }

  void set(const std::string& name, const std::string& value) {
    drop(name);
    result_.variables.push_back(name + "=" + value);
  }

  void note(std::string text) { result_.notes.push_back(std::move(text)); }

  const dialect::Jobserver& pool_;
  const EnvironmentOptions& options_;
  Environment result_;
  std::set<std::string> foreign_;
  bool is_below_a_run_ = false;
  std::string outer_fifo_;  ///< of the run around this one, while it lives
  std::string outer_fds_;
};

}  // namespace

bool concerns_pool(std::string_view name) {
  return name.starts_with("TOKENPOOL_") || std::ranges::find(kShared, name) != kShared.end();
}

Environment build_environment(const dialect::Jobserver& pool, const EnvironmentOptions& options,
                              const char* const* environ) {
  TOKENPOOL_CHECK(dialect::validate(pool).has_value());
  return Builder(pool, options).build(environ);
}

}  // namespace tokenpool::jobserver
