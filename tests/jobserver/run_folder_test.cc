#include "jobserver/run_folder.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobserver/environment.h"
#include "jobserver/fifo.h"

namespace tokenpool::jobserver {
namespace {

namespace fs = std::filesystem;

/// A TMPDIR of its own.
class RunFolder : public ::testing::Test {
 protected:
  RunFolder() {
    std::string path = ::testing::TempDir() + "/runs-XXXXXX";
    parent_ = ::mkdtemp(path.data());
  }
  ~RunFolder() override { fs::remove_all(parent_); }

  /// The folder of a run that is dead, with all that runs leave in it.
  fs::path dead_run() {
    fs::path folder;
    {
      Fifo fifo;
      fifo.choose_name(parent_);
      EXPECT_TRUE(fifo.create());
      keep_environment(fifo.path(), {"TOKENPOOL_FIFO=" + fifo.path()});
      folder = fifo.folder();
    }
    fs::create_directory(folder / "tools");
    fs::permissions(folder / "tools", fs::perms::owner_all);
    for (const char* note : {"version-0123", "jobs-make", "outside-ninja", "level-cmake"}) {
      std::ofstream(folder / "tools" / note) << note;
    }
    return folder;
  }

  void sweep() {
    remove_dead_runs(parent_, {}, [this](const std::string& name) {
      asked_.push_back(name);
      return true;
    });
  }

  /// Makes it look as if it had been made `hours` ago.
  static void age(const fs::path& folder, int hours) {
    fs::last_write_time(folder, fs::file_time_type::clock::now() - std::chrono::hours(hours));
  }

  std::string parent_;
  std::vector<std::string> asked_;
};

TEST_F(RunFolder, IsWhereTemporaryFilesAreIfClientsCanReadThePath) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  const auto with = [](const std::string& value) {
    ::setenv("TMPDIR", value.c_str(), 1);
    return run_places();
  };
  EXPECT_EQ(with("/var/tmp//").paths.front(), "/var/tmp");
  EXPECT_EQ(with("/var/tmp//").paths[1], "/tmp");
  EXPECT_EQ(with("here").paths.front(), (fs::current_path() / "here").string());
  EXPECT_EQ(with("").paths.front(), "/tmp");
  EXPECT_EQ(with("").why_not_usual, "");
  EXPECT_EQ(with("/my temp").paths.front(), "/tmp");
  EXPECT_NE(with("/my temp").why_not_usual.find("TMPDIR=/my temp"), std::string::npos);
  (void)with(parent_);
  EXPECT_EQ(usual_run_place(), parent_);
  (void)with(parent_ + "/none");
  EXPECT_EQ(usual_run_place(), "/tmp");
  kept.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", kept.c_str(), 1);
}

TEST_F(RunFolder, FoldersOfRunsAreFoundDeadOrAlive) {
  Fifo fifo;
  fifo.choose_name(parent_);
  ASSERT_TRUE(fifo.create());
  std::vector<std::string> expected{fifo.folder(), dead_run().string()};
  fs::create_directory(fs::path(parent_) / "tokenpool-of-somebody");
  const fs::path open = fs::path(parent_) / new_run_name();
  fs::create_directory(open);
  fs::permissions(open, fs::perms::all);
  auto found = run_folders(parent_);
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(run_folders(parent_ + "/none").empty());
}

TEST_F(RunFolder, NamesAreNew) {
  const std::string name = new_run_name();
  EXPECT_TRUE(name.starts_with("tokenpool-"));
  EXPECT_NE(name, new_run_name());
}

TEST_F(RunFolder, ADeadRunIsRemoved) {
  const auto folder = dead_run();
  sweep();
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_EQ(asked_, std::vector<std::string>{folder.filename()});
}

TEST_F(RunFolder, ALivingRunIsLeft) {
  Fifo fifo;
  fifo.choose_name(parent_);
  ASSERT_TRUE(fifo.create());
  age(fifo.folder(), 1000);
  sweep();
  EXPECT_TRUE(fifo.is_on_disk());
  EXPECT_TRUE(asked_.empty());
}

TEST_F(RunFolder, OneWhoReadsIsEnoughToLive) {
  const auto folder = dead_run();
  const int reader = ::open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  sweep();
  EXPECT_TRUE(fs::exists(folder / "fifo"));
  ::close(reader);
  sweep();
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(RunFolder, StaysWhereItMayNotGo) {
  const auto folder = dead_run();
  remove_dead_runs(parent_, {}, [](const std::string&) { return false; });
  EXPECT_TRUE(fs::exists(folder / "fifo"));
  EXPECT_TRUE(fs::exists(folder / "tools" / "jobs-make"));
}

TEST_F(RunFolder, WhatIsBeingSetUpIsLeft) {
  // The two moments in which no final name tells: an empty folder, and a FIFO that is not open yet.
  for (const bool with_fifo : {false, true}) {
    const fs::path folder = parent_ + "/" + new_run_name();
    ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
    if (with_fifo) {
      ASSERT_EQ(::mkfifo((folder / "fifo.new").c_str(), 0600), 0);
    }
    age(folder, 23);
    sweep();
    EXPECT_TRUE(fs::exists(folder));
    age(folder, 25);
    sweep();
    EXPECT_FALSE(fs::exists(folder)) << "nobody takes a day for it";
  }
}

TEST_F(RunFolder, AnOldFifoThatIsOpenAlreadyIsLeft) {
  const fs::path folder = parent_ + "/" + new_run_name();
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  ASSERT_EQ(::mkfifo((folder / "fifo.new").c_str(), 0600), 0);
  const int fd = ::open((folder / "fifo.new").c_str(), O_RDWR | O_CLOEXEC);
  age(folder, 25);
  sweep();
  EXPECT_TRUE(fs::exists(folder / "fifo.new"));
  ::close(fd);
}

TEST_F(RunFolder, OddContentIsLeft) {
  const auto left_with = [this](auto spoil) {
    const auto folder = dead_run();
    spoil(folder);
    sweep();
    EXPECT_TRUE(fs::exists(folder / "tools" / "jobs-make"));
    fs::remove_all(folder);
  };
  left_with([](const fs::path& folder) { std::ofstream(folder / "notes") << "mine"; });
  left_with([](const fs::path& folder) { std::ofstream(folder / "tools" / "mine") << "mine"; });
  left_with([](const fs::path& folder) { fs::create_directory(folder / "tools" / "jobs-x"); });
  left_with([](const fs::path& folder) { fs::create_symlink("/", folder / "tools" / "jobs-x"); });
  left_with([](const fs::path& folder) {
    fs::create_hard_link(folder / "tools" / "jobs-make", folder / "tools" / "jobs-x");
  });
  left_with([](const fs::path& folder) {
    fs::remove(folder / "fifo");
    std::ofstream(folder / "fifo") << "a file";
  });
  left_with([](const fs::path& folder) {
    fs::remove(folder / "environment");
    fs::create_symlink("/etc/passwd", folder / "environment");
  });
  left_with([](const fs::path& folder) { fs::permissions(folder, fs::perms(0755)); });
}

TEST_F(RunFolder, SymbolicLinksAreNotFollowed) {
  const auto folder = dead_run();
  const fs::path elsewhere = parent_ + "/elsewhere";
  fs::rename(folder, elsewhere);
  fs::create_directory_symlink(elsewhere, folder);
  sweep();
  EXPECT_TRUE(fs::exists(elsewhere / "fifo"));
  EXPECT_TRUE(fs::is_symlink(folder));
}

TEST_F(RunFolder, OtherNamesAreLeft) {
  const auto folder = dead_run();
  const std::string name = folder.filename();
  std::string other_boot = name;
  other_boot[10] = other_boot[10] == '0' ? '1' : '0';
  for (const std::string& other : {other_boot, "x" + name, name + "x", std::string("tokenpool-"),
                                   name.substr(0, name.size() - 1) + "_"}) {
    const fs::path renamed = parent_ + "/" + other;
    fs::rename(folder, renamed);
    sweep();
    EXPECT_TRUE(fs::exists(renamed)) << other;
    fs::rename(renamed, folder);
  }
  sweep();
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(RunFolder, WhatBelongsToOthersIsLeft) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give something away";
  const auto folder = dead_run();
  ASSERT_EQ(::chown(folder.c_str(), 65534, 65534), 0);
  sweep();
  EXPECT_TRUE(fs::exists(folder));
}

TEST_F(RunFolder, KeepsWhatConcernsThePool) {
  Fifo fifo;
  fifo.choose_name(parent_);
  ASSERT_TRUE(fifo.create());
  keep_environment(fifo.path(), {"HOME=/h", "MAKEFLAGS= -j4", "PATH=/bin", "TOKENPOOL_JOBS=4"});
  EXPECT_EQ(kept_environment(fifo.path()),
            (std::vector<std::string>{"MAKEFLAGS= -j4", "PATH=/bin", "TOKENPOOL_JOBS=4"}));
  fifo.remove();
  EXPECT_TRUE(kept_environment(fifo.path()).empty());
  EXPECT_TRUE(fs::is_empty(parent_));
}

}  // namespace
}  // namespace tokenpool::jobserver
