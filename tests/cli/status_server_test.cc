#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/env.h"
#include "cli/live_pools.h"
#include "cli/server_address.h"
#include "cli/server_files.h"

namespace tokenpool::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

std::string digits(char digit) { return std::string(64, digit); }

/// A world with some cookie files.
struct World {
  Environment environment;
  std::optional<Surroundings> surroundings;
  std::vector<Environment> runs;
  std::map<std::string, std::string> files;
  std::set<std::string> over;  ///< addresses of runs whose command has ended
  bool is_served = true;
  int looks = 0;  ///< at the surroundings

  wire::Result<Server> find(const ServerWords& words) {
    ServerSources sources;
    sources.environment = environment;
    sources.user = 1000;
    sources.surroundings = [this] {
      ++looks;
      return surroundings;
    };
    sources.runs = [this] { return runs; };
    sources.here = "/work";
    sources.look = [this](const std::vector<Server>& servers) {
      std::vector<LivePool> pools;
      for (const Server& server : servers) {
        LivePool pool{server, wire::StatusResult{}, "{}"};
        pool.status->run = wire::RunStatus{};
        pool.status->run->command = "make";
        pool.status->run->folder = "/work" + server.address.substr(server.address.rfind('/'));
        pool.status->run->over = over.contains(server.address);
        pools.push_back(std::move(pool));
      }
      return pools;
    };
    sources.cookie_in =
        [this](const std::string& path) -> wire::Result<std::optional<std::string>> {
      const auto file = files.find(path);
      if (file == files.end()) return std::optional<std::string>();
      if (file->second.empty()) return tl::make_unexpected(wire::Error{1, path + " is refused"});
      return std::optional<std::string>(file->second);
    };
    sources.is_served = [this](const wire::Address&) { return is_served; };
    return find_server(words, sources);
  }
  Server found(const ServerWords& words = {}) {
    const auto server = find(words);
    EXPECT_TRUE(server.has_value()) << server.error().sentence;
    return server ? *server : Server{};
  }
  std::string refused(const ServerWords& words = {}) {
    const auto server = find(words);
    EXPECT_FALSE(server.has_value());
    if (server) return {};
    EXPECT_EQ(server.error().status, 1);
    EXPECT_THAT(server.error().sentence, Not(HasSubstr("\n")));
    for (char digit = '0'; digit <= '9'; ++digit) {
      EXPECT_THAT(server.error().sentence, Not(HasSubstr(digits(digit)))) << "a cookie is told";
    }
    return server.error().sentence;
  }
};

ServerWords at(const std::string& address) {
  return {*parse_server(address), std::nullopt, std::nullopt};
}

TEST(FindServer, TheEnvironmentNamesIt) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=unix:/a;tcp:127.0.0.1:7", "TOKENPOOL_COOKIE=" + digits('1')};
  world.surroundings = Surroundings{"/f", {{"TOKENPOOL_ADDR", "unix:/run"}}, {}};
  EXPECT_EQ(world.found(), (Server{"unix:/a;tcp:127.0.0.1:7", digits('1')}));
  EXPECT_EQ(world.looks, 0);
}

TEST(FindServer, ThePoolAround) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=", "XDG_RUNTIME_DIR=/x"};
  world.surroundings =
      Surroundings{"/f", {{"TOKENPOOL_ADDR", "unix:/run"}, {"TOKENPOOL_COOKIE", digits('2')}}, {}};
  world.files["/x/tokenpool/socket.cookie"] = digits('3');
  EXPECT_EQ(world.found(), (Server{"unix:/run", digits('2')}));
}

TEST(FindServer, TheStandingServer) {
  World world;
  world.files["/run/user/1000/tokenpool/socket.cookie"] = digits('3');
  EXPECT_EQ(world.found(), (Server{"unix:/run/user/1000/tokenpool/socket", digits('3')}));
  world.surroundings = Surroundings{"/f", {}, {}};  // a run without the protocol
  EXPECT_EQ(world.found().cookie, digits('3'));
  world.environment = {"XDG_RUNTIME_DIR=/x/"};
  EXPECT_THAT(world.refused(),
              AllOf(StartsWith("there is no arbiter: "), HasSubstr("unix:/x/tokenpool/socket,")));
  world.files["/x/tokenpool/socket.cookie"] = "";
  EXPECT_THAT(world.refused(), HasSubstr("is refused"));
}

Environment run_at(const std::string& address, char digit) {
  return {"PATH=/bin", "TOKENPOOL_ADDR=" + address, "TOKENPOOL_COOKIE=" + digits(digit)};
}

TEST(FindServer, TheOnlyRunOfTheUser) {
  World world;
  world.environment = {"XDG_RUNTIME_DIR=/x"};
  world.runs = {run_at("unix:/a;tcp:127.0.0.1:7", '5'), {"PATH=/bin"}};
  EXPECT_EQ(world.found(), (Server{"unix:/a;tcp:127.0.0.1:7", digits('5')}));
  world.runs.push_back(run_at("unix:/b", '6'));
  EXPECT_EQ(world.refused(),
            "2 runs of yours live; give --run, one of 1 make in /work/a;tcp:127.0.0.1:7, "
            "2 make in /work/b");
  world.files["/x/tokenpool/socket.cookie"] = digits('3');
  EXPECT_EQ(world.found().cookie, digits('3')) << "a standing server comes first";
  world.is_served = false;
  EXPECT_THAT(world.refused(), StartsWith("2 runs of yours live")) << "a cookie is no server";
  world.over = {"unix:/b"};
  EXPECT_EQ(world.found().cookie, digits('5')) << "the other one is over";
  world.runs.pop_back();
  EXPECT_EQ(world.found().cookie, digits('5'));
}

TEST(FindServer, ARunIsKnownByItsAddress) {
  World world;
  world.runs = {run_at("unix:/a;tcp:127.0.0.1:7", '5'), run_at("unix:/b", '6')};
  EXPECT_EQ(world.found(at("/b")), (Server{"unix:/b", digits('6')}));
  EXPECT_EQ(world.found(at("tcp:127.0.0.1:7")).cookie, digits('5'));
  EXPECT_THAT(world.refused(at("/c")), HasSubstr("/c.cookie: there is no such cookie file"));
}

TEST(FindServer, ARunIsNamed) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=unix:/a", "TOKENPOOL_COOKIE=" + digits('1')};
  world.runs = {run_at("unix:/a", '5'), run_at("unix:/b", '6')};
  world.is_served = false;
  EXPECT_EQ(world.found({{}, {}, "b"}), (Server{"unix:/b", digits('6')}));
  EXPECT_EQ(world.found({{}, {}, "1"}).cookie, digits('5'));
  EXPECT_THAT(world.refused({{}, {}, "c"}), StartsWith("c: no pool of yours is called so; "));
}

TEST(FindServer, TheNamedOneComesFirst) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=unix:/a", "TOKENPOOL_COOKIE=" + digits('1')};
  world.files["/b.cookie"] = digits('4');
  EXPECT_EQ(world.found(at("/b")), (Server{"unix:/b", digits('4')}));
  EXPECT_EQ(world.looks, 0);
}

TEST(FindServer, TheEnvironmentsCookieIsForItsAddress) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=later:x;unix:/a;tcp:localhost:7",
                       "TOKENPOOL_COOKIE=" + digits('1')};
  EXPECT_EQ(world.found(at("unix:/a")), (Server{"unix:/a", digits('1')}));
  EXPECT_EQ(world.found(at("tcp:127.0.0.1:7")).cookie, digits('1'));
  EXPECT_THAT(world.refused(at("unix:/b")),
              StartsWith("/b.cookie: there is no such cookie file; "));
}

TEST(FindServer, AnAddressWithoutACookie) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=unix:/a"};
  world.files["/a.cookie"] = digits('5');
  EXPECT_EQ(world.found(), (Server{"unix:/a", digits('5')}));
  world.environment = {"TOKENPOOL_ADDR=unix:/gone"};
  EXPECT_THAT(world.refused(), HasSubstr("no such cookie file"));
  world.environment = {"TOKENPOOL_ADDR=nonsense"};
  EXPECT_THAT(world.refused(), StartsWith("'nonsense' is no address of an arbiter; give"));
}

TEST(FindServer, TheCookieOfTcp) {
  World world;
  EXPECT_THAT(world.refused(at("tcp:127.0.0.1:7")), HasSubstr("give --cookie-file FILE"));
  world.environment = {"TOKENPOOL_COOKIE=" + digits('1')};
  EXPECT_EQ(world.found(at("tcp:127.0.0.1:7")).cookie, digits('1'));
  world.environment.emplace_back("TOKENPOOL_COOKIE_FILE=/c");
  EXPECT_THAT(world.refused(at("tcp:127.0.0.1:7")), StartsWith("/c: there is no such cookie"));
  world.files["/c"] = digits('6');
  EXPECT_EQ(world.found(at("tcp:127.0.0.1:7")).cookie, digits('6'));
}

TEST(FindServer, TheGivenCookieFileComesFirst) {
  World world;
  world.environment = {"TOKENPOOL_ADDR=unix:/a", "TOKENPOOL_COOKIE=" + digits('1'),
                       "TOKENPOOL_COOKIE_FILE=/c", "XDG_RUNTIME_DIR=/x"};
  world.files = {{"/mine", digits('7')}, {"/c", digits('6')}, {"/refused", ""}};
  EXPECT_EQ(world.found({*parse_server("unix:/a"), "/mine", {}}), (Server{"unix:/a", digits('7')}));
  EXPECT_EQ(world.found({*parse_server("tcp:127.0.0.1:7"), "/mine", {}}).cookie, digits('7'));
  EXPECT_EQ(world.found({std::nullopt, "/mine", {}}), (Server{"unix:/a", digits('7')}));
  EXPECT_THAT(world.refused({*parse_server("/a"), "/none", {}}), StartsWith("/none: there is no"));
  EXPECT_THAT(world.refused({*parse_server("/a"), "/refused", {}}), HasSubstr("is refused"));
  world.environment = {"XDG_RUNTIME_DIR=/x"};
  EXPECT_EQ(world.found({std::nullopt, "/mine", {}}),
            (Server{"unix:/x/tokenpool/socket", digits('7')}));
}

TEST(DefaultSocket, FollowsTheUser) {
  EXPECT_EQ(default_socket({}, 0), "/run/tokenpool/socket");
  EXPECT_EQ(default_socket({}, 7), "/run/user/7/tokenpool/socket");
  EXPECT_EQ(default_socket({"XDG_RUNTIME_DIR=/x"}, 0), "/x/tokenpool/socket");
  EXPECT_EQ(default_socket({"XDG_RUNTIME_DIR=x"}, 0), "/run/tokenpool/socket");
  EXPECT_EQ(default_socket({"XDG_RUNTIME_DIR="}, 7), "/run/user/7/tokenpool/socket");
}

TEST(Explain, EveryReasonHasASentenceAndARemedy) {
  using client::Reason;
  for (const Reason reason :
       {Reason::no_address, Reason::bad_address, Reason::no_cookie, Reason::bad_cookie,
        Reason::unreachable, Reason::refused, Reason::incompatible, Reason::no_answer}) {
    const Barred barred = explain(reason, "unix:/a", "");
    EXPECT_THAT(barred.why, Not(IsEmpty())) << client::to_string(reason);
    EXPECT_THAT(barred.remedy, Not(IsEmpty())) << client::to_string(reason);
  }
  EXPECT_EQ(explain(Reason::unreachable, "unix:/a", " (gone)").why,
            "nobody answers at unix:/a (gone)");
}

TEST(EnvOfServer, SetsBothAndDropsALease) {
  const Server server{"unix:/a", digits('1')};
  const Surroundings plain = surroundings_of(server, {"X=1"});
  EXPECT_THAT(plain.set, ElementsAre(Pair("TOKENPOOL_ADDR", "unix:/a"),
                                     Pair("TOKENPOOL_COOKIE", digits('1'))));
  EXPECT_THAT(plain.unset, IsEmpty());
  EXPECT_EQ(to_shell(surroundings_of(server, {"TOKENPOOL_LEASE=4"})),
            "export TOKENPOOL_ADDR='unix:/a'\nexport TOKENPOOL_COOKIE='" + digits('1') +
                "'\nunset TOKENPOOL_LEASE\n");
}

class CookieFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "cookie-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return folder_ / "cookie"; }
  void write(const std::string& text, unsigned mode = 0600) const {
    std::ofstream(path()) << text;
    std::filesystem::permissions(path(), static_cast<std::filesystem::perms>(mode));
  }
  [[nodiscard]] std::string refused() const {
    const auto cookie = read_cookie_file(path());
    EXPECT_FALSE(cookie.has_value());
    if (cookie) return {};
    EXPECT_EQ(cookie.error().status, 1);
    EXPECT_THAT(cookie.error().sentence, HasSubstr(path()));
    return cookie.error().sentence;
  }

  std::filesystem::path folder_;
};

TEST_F(CookieFile, IsRead) {
  EXPECT_EQ(read_cookie_file(path()).value(), std::nullopt);
  write(digits('a') + "\n");
  EXPECT_EQ(read_cookie_file(path()).value(), digits('a'));
  write(digits('B'));
  EXPECT_EQ(read_cookie_file(path()).value(), digits('B'));
}

TEST_F(CookieFile, OthersMayDoNothingWithIt) {
  for (const unsigned mode : {0640U, 0604U, 0620U, 0602U, 0644U}) {
    write(digits('a'), mode);
    EXPECT_THAT(refused(), HasSubstr("is open to others")) << mode;
    EXPECT_THAT(refused(), Not(HasSubstr(digits('a'))));
  }
}

TEST_F(CookieFile, BelongsToNobodyElse) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  write(digits('a'));
  ASSERT_EQ(chown(path().c_str(), 65534, 65534), 0);
  EXPECT_THAT(refused(), HasSubstr("belongs to user 65534"));
}

TEST_F(CookieFile, HoldsACookie) {
  for (const std::string& text : {std::string(), digits('a').substr(1), digits('a') + "a",
                                  digits('g'), " " + digits('a'), digits('a') + "\nmore"}) {
    write(text);
    EXPECT_THAT(refused(), HasSubstr("holds no cookie")) << text;
  }
}

TEST_F(CookieFile, IsARegularFile) {
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_THAT(refused(), HasSubstr("is no regular file"));
  ASSERT_EQ(unlink(path().c_str()), 0);
  std::filesystem::create_directory(path());
  EXPECT_THAT(refused(), HasSubstr("is no regular file"));
}

TEST_F(CookieFile, TheSocketBesideIt) {
  EXPECT_EQ(why_nobody_answers("unix:" + path()), " (there is no such socket)");
  EXPECT_EQ(why_nobody_answers("tcp:127.0.0.1:1;unix:" + path() + ";unix:/b"),
            " (there is no such socket)");
  write("");
  EXPECT_EQ(why_nobody_answers("unix:" + path()), " (it is no socket)");
  EXPECT_EQ(why_nobody_answers("tcp:127.0.0.1:1"), "");
}

}  // namespace
}  // namespace tokenpool::cli
