// Who is next: one test per sentence of the policy in core/pool.h, then whole crowds in simulated
// time.
#include <numeric>

#include <gtest/gtest.h>

#include "core/limits.h"
#include "core/pool_desk.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using namespace std::chrono_literals;

const ProcessId kA = process(1);
const ProcessId kB = process(2);
const ProcessId kC = process(3);
const ProcessId kD = process(4);
const ProcessId kPoller = process(9);

struct FairnessTest : testing::Test {
  FairnessTest() {
    for (const ProcessId who : {kA, kB, kC, kD}) desk.introduce(who);
  }
  void hold(ProcessId who, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(desk.poll(who));
  }
  /// Uses up the tokens that skip the FIFO, so that the next one is offered.
  void make_offer_due() {
    const RequestId read = desk.read(kD);
    desk.give(kA);
    ASSERT_TRUE(desk.granted(read));
  }
  PoolDesk desk{4};
};

TEST_F(FairnessTest, TheReaderWithTheFewestTokensIsServedFirst) {
  hold(kA, 2);
  hold(kB, 2);
  const RequestId rich = desk.read(kB);
  const RequestId poor = desk.read(kC);
  desk.give(kA);
  EXPECT_TRUE(desk.granted(poor));
  EXPECT_FALSE(desk.granted(rich));
}

TEST_F(FairnessTest, AmongEqualsTheOldestIsServedFirst) {
  hold(kA, 4);
  const RequestId first = desk.read(kC);
  const RequestId second = desk.read(kB);
  desk.give(kA);
  EXPECT_TRUE(desk.granted(first));
  EXPECT_FALSE(desk.granted(second));
}

TEST_F(FairnessTest, EverySecondTokenIsOfferedToPollers) {
  hold(kA, 4);
  make_offer_due();
  const RequestId read = desk.read(kB);
  desk.give(kA);
  EXPECT_FALSE(desk.granted(read));
  EXPECT_EQ(desk.fifo, 1);
  EXPECT_EQ(desk.pool.next_deadline(), desk.now + kOfferWindow);
  EXPECT_TRUE(desk.poll(kC)) << "a poller that holds no more than the reader takes the offer";
  desk.give(kA);
  EXPECT_TRUE(desk.granted(read)) << "the one after is the reader's";
}

TEST_F(FairnessTest, AnUnclaimedOfferGoesToTheReaderAndDoublesTheGap) {
  hold(kA, 4);
  int gap = 1;
  for (int round = 0; round < 9; ++round) {
    for (int i = 0; i < gap; ++i) {
      const RequestId read = desk.read(kA);
      desk.give(kA);
      ASSERT_TRUE(desk.granted(read)) << "token " << i << " of a gap of " << gap;
    }
    const RequestId read = desk.read(kA);
    desk.give(kA);
    ASSERT_FALSE(desk.granted(read)) << "offered after a gap of " << gap;
    desk.pass(kOfferWindow);
    ASSERT_TRUE(desk.granted(read));
    gap = std::min(2 * gap, kMaxOfferGap);
  }
}

struct ClaimTest : FairnessTest, testing::WithParamInterface<bool> {};

TEST_P(ClaimTest, BringsTheGapBack) {
  const bool is_seen = GetParam();
  desk.introduce(kPoller);
  hold(kA, 4);
  make_offer_due();
  const RequestId lapsed = desk.read(kB);
  desk.give(kA);
  desk.pass(kOfferWindow);
  ASSERT_TRUE(desk.granted(lapsed));
  // The gap is two now; the offer after it is claimed.
  for (int i = 0; i < 2; ++i) {
    const RequestId read = desk.read(kC);
    desk.give(i == 0 ? kA : kD);
    ASSERT_TRUE(desk.granted(read));
  }
  const RequestId waits = desk.read(kD);
  desk.give(kA);
  ASSERT_EQ(desk.fifo, 1);
  if (is_seen) {
    ASSERT_TRUE(desk.poll(kPoller));
  } else {
    desk.unseen(-1, {kA});
  }
  ASSERT_FALSE(desk.granted(waits));
  desk.give(kC);
  EXPECT_TRUE(desk.granted(waits));
  const RequestId next = desk.read(kD);
  desk.give(kC);
  EXPECT_FALSE(desk.granted(next)) << "offered after a gap of one";
}

INSTANTIATE_TEST_SUITE_P(By, ClaimTest, testing::Bool(), [](const auto& info) {
  return info.param ? "APoller" : "SomebodyUnseen";
});

TEST_F(FairnessTest, DuringAnOfferWhoHoldsMoreThanTheReaderIsRefused) {
  hold(kA, 4);
  make_offer_due();
  const RequestId read = desk.read(kB);
  desk.give(kA);
  ASSERT_EQ(desk.fifo, 1);
  EXPECT_FALSE(desk.poll(kA));
  EXPECT_TRUE(desk.granted(read));
}

TEST_F(FairnessTest, AnOfferEndsWithTheLastReader) {
  hold(kA, 4);
  make_offer_due();
  const RequestId read = desk.read(kB);
  desk.give(kA);
  desk.cancel(read);
  EXPECT_FALSE(desk.pool.next_deadline());
  EXPECT_TRUE(desk.poll(kC));
}

TEST_F(FairnessTest, ABlindAskerFindsATokenKeptForIt) {
  hold(kA, 4);
  desk.pass(100ms);
  EXPECT_FALSE(desk.poll(kB));
  desk.pass(20ms);
  EXPECT_FALSE(desk.poll(kB));
  desk.give(kA);
  EXPECT_EQ(desk.pool.reserved(), 1);
  EXPECT_EQ(desk.fifo, 0);
  EXPECT_EQ(desk.pool.next_deadline(), desk.now + 40ms) << "twice its interval";
  EXPECT_FALSE(desk.poll(kC));
  EXPECT_TRUE(desk.poll(kB));
  EXPECT_EQ(desk.pool.reserved(), 0);
}

TEST_F(FairnessTest, AReservationLapsesOnceAndIsFreeAgain) {
  hold(kA, 4);
  desk.pass(100ms);
  EXPECT_FALSE(desk.poll(kB));
  desk.pass(1ms);
  EXPECT_FALSE(desk.poll(kB));
  desk.give(kA);
  ASSERT_EQ(desk.pool.next_deadline(), desk.now + kMinReservation);
  desk.pass(kMinReservation);
  EXPECT_EQ(desk.pool.reserved(), 0);
  EXPECT_EQ(desk.fifo, 1);
  desk.give(kA);
  EXPECT_EQ(desk.pool.reserved(), 0) << "one per ask";
}

TEST_F(FairnessTest, AReservationIsBounded) {
  hold(kA, 4);
  desk.pass(1s);
  EXPECT_FALSE(desk.poll(kB));
  desk.pass(30s);
  EXPECT_FALSE(desk.poll(kB));
  desk.give(kA);
  EXPECT_EQ(desk.pool.next_deadline(), desk.now + kMaxReservation);
}

TEST_F(FairnessTest, TheReservationOfADeadAskerIsFree) {
  hold(kA, 4);
  desk.pass(1s);
  EXPECT_FALSE(desk.poll(kB));
  desk.pass(1s);
  EXPECT_FALSE(desk.poll(kB));
  desk.give(kA);
  ASSERT_EQ(desk.pool.reserved(), 1);
  const RequestId read = desk.read(kC);
  desk.end(kB, EndCause::killed);
  EXPECT_TRUE(desk.granted(read));
}

TEST_F(FairnessTest, NothingIsKeptForWhoHoldsSomething) {
  hold(kA, 3);
  hold(kB, 1);
  for (int i = 0; i < 4; ++i) {
    desk.pass(100ms);
    EXPECT_FALSE(desk.poll(kB));
  }
  desk.give(kA);
  EXPECT_EQ(desk.pool.reserved(), 0);
}

TEST_F(FairnessTest, NothingIsKeptForAPollerThatLostARaceOrTwo) {
  hold(kA, 4);
  for (int i = 0; i < 2; ++i) {
    desk.give(kA);
    ASSERT_TRUE(desk.poll(kC));
    desk.pass(kBlindAfter / 2);
    EXPECT_FALSE(desk.poll(kB));
    desk.pass(kBlindAfter * 3);
  }
  desk.give(kA);
  EXPECT_EQ(desk.pool.reserved(), 0);
}

TEST_F(FairnessTest, WhoIsPassedEightTimesGetsAReservationAnyhow) {
  hold(kA, 4);
  for (int i = 0; i < 8; ++i) {
    desk.give(kA);
    ASSERT_TRUE(desk.poll(kA) || desk.poll(kA));
    EXPECT_FALSE(desk.poll(kB));
    desk.pass(50ms);
  }
  desk.give(kA);
  EXPECT_EQ(desk.pool.reserved(), 1);
  EXPECT_TRUE(desk.poll(kB));
}

TEST_F(FairnessTest, ABlindAskerAndAReaderTakeTurnsByAge) {
  hold(kA, 4);
  desk.pass(1s);
  EXPECT_FALSE(desk.poll(kB));
  desk.pass(1s);
  EXPECT_FALSE(desk.poll(kB));
  desk.pass(1ms);
  const RequestId read = desk.read(kC);
  desk.give(kA);
  EXPECT_FALSE(desk.granted(read));
  EXPECT_EQ(desk.pool.reserved(), 1);
  desk.give(kA);
  EXPECT_TRUE(desk.granted(read));
}

TEST_F(FairnessTest, APollerThatTakesAgainLetsTheOthersLookFirst) {
  hold(kB, 1);
  desk.give(kB);
  hold(kA, 4);
  desk.give(kA);
  EXPECT_FALSE(desk.poll(kA)) << "B is active and holds less";
  EXPECT_TRUE(desk.poll(kA)) << "once";
  desk.give(kA);
  desk.pass(kPolite);
  EXPECT_TRUE(desk.poll(kA)) << "they had time to look";
}

TEST_F(FairnessTest, NobodyIsPoliteToThoseWhoLeftOrHaveMore) {
  hold(kB, 1);
  desk.give(kB);
  hold(kA, 4);
  desk.pass(kActive + 1ms);
  desk.give(kA);
  EXPECT_TRUE(desk.poll(kA));
}

TEST_F(FairnessTest, WhoAskedASecondAgoHasNotLeftYet) {
  hold(kB, 1);
  desk.give(kB);
  hold(kA, 4);
  desk.pass(kActive);
  desk.give(kA);
  EXPECT_FALSE(desk.poll(kA));
}

TEST_F(FairnessTest, ABlindAskerThatComesJustAfterAnotherTookTheTokenStaysBlind) {
  hold(kA, 4);
  for (int i = 0; i < 2; ++i) {
    desk.pass(1s);
    EXPECT_FALSE(desk.poll(kB));
  }
  desk.give(kA);
  ASSERT_TRUE(desk.poll(kB));
  desk.give(kB);
  ASSERT_TRUE(desk.poll(kA) || desk.poll(kA));
  EXPECT_FALSE(desk.poll(kB));
  desk.give(kA);
  EXPECT_EQ(desk.pool.reserved(), 1);
}

TEST_F(FairnessTest, ABlindAskerNeedNotBePolite) {
  hold(kA, 4);
  for (int i = 0; i < 2; ++i) {
    desk.pass(1s);
    EXPECT_FALSE(desk.poll(kB));
  }
  desk.give(kA, 2);
  ASSERT_TRUE(desk.poll(kB));
  ASSERT_TRUE(desk.poll(kB));
  EXPECT_FALSE(desk.poll(kC));
  desk.give(kB);
  EXPECT_TRUE(desk.poll(kB));
}

TEST_F(FairnessTest, ANewReaderDoesNotOvertakeTheQueue) {
  hold(kA, 4);
  make_offer_due();
  const RequestId old = desk.read(kB);
  desk.give(kA);
  ASSERT_EQ(desk.fifo, 1);
  const RequestId young = desk.read(kC);
  EXPECT_FALSE(desk.granted(young));
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.granted(old));
  EXPECT_FALSE(desk.granted(young));
}

// Crowds: jobs of about 10 ms, everybody wants as many as it can get, four tokens.

struct Crowd {
  enum class Kind : std::uint8_t { reader, poller, blind };
  struct Client {
    ProcessId who;
    Kind kind{};
    Instant reaction{};         ///< of a poller to a byte in the FIFO
    std::vector<Instant> jobs;  ///< when they end
    Instant implicit_ends{};    ///< the job on the implicit slot, at whose end a blind one asks
    std::optional<RequestId> read;
    std::optional<Instant>
        looks_at;  ///< a woken poller reads, whether or not the byte is still there
    int got = 0;
    int passed = 0;  ///< tokens handed to others since it got one, while it holds nothing
    int most_passed = 0;
  };

  explicit Crowd(int tokens) : desk(tokens) {}

  void add(Kind kind, Instant reaction = 100us) {
    Client client;
    client.who = process(static_cast<int>(clients.size()) + 1);
    client.kind = kind;
    client.reaction = reaction;
    client.implicit_ends = desk.now + job();
    desk.introduce(client.who);
    clients.push_back(client);
  }
  void start(Client* client) {
    client->jobs.push_back(desk.now + job());
    ++client->got;
    client->passed = 0;
    for (Client& other : clients) {
      if (&other == client || !other.jobs.empty()) continue;
      other.most_passed = std::max(other.most_passed, ++other.passed);
    }
  }
  void collect_reads() {
    for (Client& client : clients) {
      if (client.read && desk.granted(*client.read)) {
        client.read.reset();
        start(&client);
      }
    }
  }
  void step(Client* client) {
    const auto done = std::find_if(client->jobs.begin(), client->jobs.end(),
                                   [this](Instant end) { return end <= desk.now; });
    bool ended = done != client->jobs.end();
    if (ended) {
      client->jobs.erase(done);
      desk.give(client->who);
      collect_reads();
    }
    if (client->implicit_ends <= desk.now) {
      client->implicit_ends = desk.now + job();
      ended = true;
    }
    switch (client->kind) {
      case Kind::reader:
        if (!client->read) client->read = desk.read(client->who);
        collect_reads();
        break;
      case Kind::poller:
        if (!client->looks_at) {
          if (desk.fifo > 0) client->looks_at = desk.now + client->reaction;
        } else if (desk.now >= *client->looks_at) {
          client->looks_at.reset();
          if (desk.poll(client->who)) start(client);
          collect_reads();
        }
        break;
      case Kind::blind:
        if (ended && desk.poll(client->who)) start(client);
        collect_reads();
        break;
    }
  }
  void run(Instant duration) {
    for (const Instant end = desk.now + duration; desk.now < end;) {
      for (Client& client : clients) step(&client);
      desk.pass(20us);
      collect_reads();
    }
  }

  /// 8 to 12 ms, never in step.
  Instant job() { return 8ms + std::chrono::microseconds(++jobs * 7919 % 4000); }

  int jobs = 0;
  PoolDesk desk;
  std::vector<Client> clients;
};

void expect_nobody_starves(const Crowd& crowd, int bound) {
  for (const Crowd::Client& client : crowd.clients) {
    EXPECT_GT(client.got, 20) << "client " << client.who;
    EXPECT_LE(client.most_passed, bound) << "client " << client.who;
  }
}

TEST(Crowds, ReadersPollersAndBlindAskersAllGetTokens) {
  Crowd crowd(4);
  crowd.add(Crowd::Kind::reader);
  crowd.add(Crowd::Kind::poller);
  crowd.add(Crowd::Kind::blind);
  crowd.add(Crowd::Kind::poller, 300us);
  crowd.run(4s);
  expect_nobody_starves(crowd, 4 * kMaxOfferGap);
}

TEST(Crowds, ANewcomerGetsItsShare) {
  for (const auto kind : {Crowd::Kind::reader, Crowd::Kind::poller, Crowd::Kind::blind}) {
    Crowd crowd(4);
    crowd.add(Crowd::Kind::reader);
    crowd.add(Crowd::Kind::poller);
    crowd.run(1s);
    crowd.add(kind, 200us);
    crowd.run(2s);
    EXPECT_GT(crowd.clients.back().got, 20) << static_cast<int>(kind);
  }
}

TEST(Crowds, ManyReadersShareEvenly) {
  Crowd crowd(4);
  for (int i = 0; i < 8; ++i) crowd.add(Crowd::Kind::reader);
  crowd.run(1s);
  int least = crowd.clients[0].got;
  int most = least;
  for (const auto& client : crowd.clients) {
    least = std::min(least, client.got);
    most = std::max(most, client.got);
  }
  EXPECT_LE(most - least, most / 10);
  expect_nobody_starves(crowd, 16);
}

TEST(Crowds, ABlindAskerIsNotStarvedByReaders) {
  Crowd crowd(4);
  for (int i = 0; i < 6; ++i) crowd.add(Crowd::Kind::reader);
  crowd.add(Crowd::Kind::blind);
  crowd.run(1s);
  expect_nobody_starves(crowd, 64);
}

TEST(Crowds, ABlindAskerIsNotStarvedByPollers) {
  Crowd crowd(4);
  for (int i = 0; i < 4; ++i) crowd.add(Crowd::Kind::poller, Instant(100us) + i * 20us);
  crowd.add(Crowd::Kind::blind);
  crowd.run(4s);
  expect_nobody_starves(crowd, 128);
}

TEST(Crowds, ASlowPollerIsNotStarvedByReaders) {
  Crowd crowd(4);
  for (int i = 0; i < 6; ++i) crowd.add(Crowd::Kind::reader);
  crowd.add(Crowd::Kind::poller, 500us);
  crowd.run(1s);
  expect_nobody_starves(crowd, 4 * kMaxOfferGap);
}

TEST(Crowds, TheTokensAreUsed) {
  Crowd crowd(4);
  for (int i = 0; i < 3; ++i) crowd.add(Crowd::Kind::reader);
  crowd.add(Crowd::Kind::poller);
  crowd.run(1s);
  const int jobs = std::accumulate(crowd.clients.begin(), crowd.clients.end(), 0,
                                   [](int sum, const auto& client) { return sum + client.got; });
  // Four tokens, 1 s, 10 ms a job: 400 if no token ever lay idle.
  EXPECT_GT(jobs, 360);
}

}  // namespace
}  // namespace tokenpool::core
