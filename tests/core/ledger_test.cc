// The ledger, rule by rule. ledger_model_test.cc holds it against a naive model.
#include "core/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/limits.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

// make(1) runs sh(2), which runs cc(3); ninja(4) is another child of make.
class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    ledger.introduce(make, {});
    ledger.introduce(sh, Processes{make});
    ledger.introduce(cc, Processes{sh, make});
    ledger.introduce(ninja, Processes{make});
  }
  void take(ProcessId who, int count) {
    for (int i = 0; i < count; ++i) ledger.take(who);
  }
  void hold_unseen(ProcessId who, int count) {
    ASSERT_EQ(ledger.unseen_take(count, Processes{who}), 0);
  }
  int own(ProcessId who) const { return ledger.find(who)->own; }
  int inherited(ProcessId who) const { return ledger.find(who)->inherited; }

  const ProcessId make = process(1);
  const ProcessId sh = process(2);
  const ProcessId cc = process(3);
  const ProcessId ninja = process(4);
  Ledger ledger;
};

TEST_F(LedgerTest, IntroducingTwiceKeepsTheAccount) {
  take(sh, 1);
  ledger.introduce(sh, {});
  EXPECT_EQ(own(sh), 1);
  EXPECT_EQ(ledger.find(sh)->ancestors, Processes{make});
}

TEST_F(LedgerTest, AncestorsAreCutAtTheFarEnd) {
  Processes chain;
  for (int i = 0; i < static_cast<int>(kMaxAncestors) + 5; ++i) chain.push_back(process(100 + i));
  ledger.introduce(process(99), chain);
  const auto& kept = ledger.find(process(99))->ancestors;
  EXPECT_EQ(kept.size(), kMaxAncestors);
  EXPECT_EQ(kept.front(), process(100));
}

TEST_F(LedgerTest, AtTheLimitAnIdleAccountMakesRoom) {
  take(make, 1);
  for (int i = 0; i < static_cast<int>(kMaxAccounts) + 10; ++i) {
    ledger.introduce(process(1000 + i), {});
  }
  EXPECT_EQ(ledger.accounts().size(), kMaxAccounts);
  EXPECT_TRUE(ledger.knows(make));
  EXPECT_EQ(own(make), 1);
}

TEST_F(LedgerTest, ABalancePerProcess) {
  take(make, 2);
  take(ninja, 1);
  EXPECT_EQ(own(make), 2);
  EXPECT_EQ(own(ninja), 1);
  EXPECT_EQ(ledger.outstanding(), 3);
  EXPECT_EQ(ledger.give(make, false), GiveOutcome::settled);
  EXPECT_EQ(own(make), 1);
  EXPECT_EQ(ledger.outstanding(), 2);
}

TEST_F(LedgerTest, AGrantThatDidNotArriveIsUndone) {
  take(make, 1);
  ledger.untake(make);
  EXPECT_EQ(own(make), 0);
  EXPECT_EQ(ledger.outstanding(), 0);
  EXPECT_FALSE(ledger.concerns(make));
}

TEST_F(LedgerTest, TokensOfAKilledClientMoveToItsJobsAndTheRestIsFree) {
  take(ninja, 3);
  const Processes jobs{process(10), process(11)};
  for (const ProcessId job : jobs) ledger.introduce(job, Processes{ninja, make});
  const EndOutcome end = ledger.end(ninja, EndCause::killed, jobs, make);
  EXPECT_EQ(end.held, 3);
  EXPECT_EQ(end.freed, 1);
  EXPECT_EQ(end.moved_to, jobs);
  EXPECT_FALSE(end.passed_to);
  EXPECT_EQ(ledger.outstanding(), 2);
  EXPECT_EQ(inherited(jobs[0]), 1);

  const EndOutcome first = ledger.end(jobs[0], EndCause::succeeded, {}, make);
  EXPECT_EQ(first.freed, 1) << "the slot that a job ran on passes to no ancestor";
  EXPECT_FALSE(first.passed_to);
  const EndOutcome second = ledger.end(jobs[1], EndCause::failed, {}, make);
  EXPECT_EQ(second.freed, 1);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, MoreJobsThanTokensGetOneEachAsFarAsTheyGo) {
  take(ninja, 1);
  const Processes jobs{process(10), process(11)};
  for (const ProcessId job : jobs) ledger.introduce(job, Processes{ninja, make});
  const EndOutcome end = ledger.end(ninja, EndCause::failed, jobs, make);
  EXPECT_EQ(end.moved_to, Processes{jobs[0]});
  EXPECT_EQ(end.freed, 0);
}

TEST_F(LedgerTest, AHelperPassesWhatItFetchedToItsNearestAncestor) {
  hold_unseen(cc, 1);
  const EndOutcome end = ledger.end(cc, EndCause::succeeded, {}, sh);
  EXPECT_EQ(end.passed_to, sh);
  EXPECT_EQ(end.freed, 0);
  EXPECT_EQ(own(sh), 1);
  EXPECT_EQ(ledger.give(sh, false), GiveOutcome::settled);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, WithoutAnHeirItIsFree) {
  take(cc, 1);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, std::nullopt).freed, 1);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, AnUnknownEndOfAHelperCountsAsSuccess) {
  hold_unseen(cc, 1);
  EXPECT_EQ(ledger.end(cc, EndCause::unknown, {}, sh).passed_to, sh);
}

TEST_F(LedgerTest, AnUnknownEndOfOneWhoseCallsWereSeenCountsAsKilled) {
  take(cc, 2);
  const EndOutcome end = ledger.end(cc, EndCause::unknown, {}, sh);
  EXPECT_EQ(end.freed, 2);
  EXPECT_FALSE(end.passed_to);
}

TEST_F(LedgerTest, AnUnknownEndOfAClientCountsAsKilled) {
  take(ninja, 2);
  ASSERT_EQ(ledger.give(ninja, false), GiveOutcome::settled);
  EXPECT_EQ(ledger.end(ninja, EndCause::unknown, {}, make).freed, 1);

  take(sh, 1);
  EXPECT_EQ(ledger.end(sh, EndCause::unknown, Processes{cc}, make).moved_to, Processes{cc});
}

TEST_F(LedgerTest, AReturnByAStrangerToTheTokenSettlesTheNearestHoldingAncestor) {
  hold_unseen(make, 1);
  hold_unseen(sh, 1);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::ancestor);
  EXPECT_EQ(own(sh), 0);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::ancestor);
  EXPECT_EQ(own(make), 0);
}

TEST_F(LedgerTest, AJobReturnsWhatItsParentTookForIt) {
  take(sh, 2);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::ancestor) << "sh has never returned one itself";
  EXPECT_EQ(ledger.unseen_return(1, Processes{cc}), 0);
  EXPECT_EQ(own(sh), 0);
  take(sh, 2);
  EXPECT_EQ(ledger.give(sh, true), GiveOutcome::settled);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::lent) << "sh returns what it took for cc itself";
  EXPECT_EQ(own(sh), 1);
}

TEST_F(LedgerTest, AToolThatIsKnownToReturnItsTokensIsPaidForByNobody) {
  const ProcessId tool = process(5);
  const ProcessId job = process(6);
  ledger.introduce(tool, {}, true);
  ledger.introduce(job, Processes{tool});
  take(tool, 1);
  EXPECT_EQ(ledger.give(job, true), GiveOutcome::lent);
  EXPECT_EQ(own(tool), 1);
}

TEST_F(LedgerTest, OneThatReturnsItselfMayStillSendHelpers) {
  hold_unseen(cc, 1);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).passed_to, sh);
  ASSERT_EQ(ledger.give(sh, false), GiveOutcome::settled);
  const ProcessId second = process(5);
  ledger.introduce(second, Processes{sh, make});
  hold_unseen(second, 1);
  EXPECT_EQ(ledger.end(second, EndCause::succeeded, {}, sh).passed_to, sh);
  EXPECT_EQ(own(sh), 1);
}

TEST_F(LedgerTest, ElseAHoldingDescendant) {
  hold_unseen(cc, 1);
  EXPECT_EQ(ledger.give(make, true), GiveOutcome::descendant);
  EXPECT_EQ(own(cc), 0);
}

TEST_F(LedgerTest, AHelperWhoseCallWasSeen) {
  take(cc, 1);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).passed_to, sh) << "head -c1 \"$FIFO\"";
  EXPECT_EQ(own(sh), 1);
  EXPECT_EQ(ledger.give(ninja, false), GiveOutcome::refused) << "no relative";
  const ProcessId helper = process(5);
  ledger.introduce(helper, Processes{sh, make});
  EXPECT_EQ(ledger.give(helper, false), GiveOutcome::ancestor) << "and one that returns it";
}

TEST_F(LedgerTest, AToolThatTakesItsOwnCountsOnNoHelper) {
  const ProcessId tool = process(5);
  const ProcessId helper = process(6);
  ledger.introduce(tool, {}, true);
  ledger.introduce(helper, Processes{tool});
  take(helper, 3);
  const EndOutcome end = ledger.end(helper, EndCause::succeeded, {}, tool);
  EXPECT_EQ(end.freed, 3);
  EXPECT_FALSE(end.passed_to);
}

TEST_F(LedgerTest, WhatAClientForgotToGiveBackIsFree) {
  take(cc, 4);
  ASSERT_EQ(ledger.give(cc, false), GiveOutcome::settled);
  const EndOutcome end = ledger.end(cc, EndCause::succeeded, {}, sh);
  EXPECT_EQ(end.freed, 3);
  EXPECT_FALSE(end.passed_to);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, AHelperFetchesNothingForAClient) {
  take(make, 1);
  hold_unseen(cc, 1);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, make).freed, 1);
  EXPECT_EQ(own(make), 1);
}

TEST_F(LedgerTest, WhoReturnsItsTokensItselfSettlesItsDebtsItself) {
  take(make, 2);
  ASSERT_EQ(ledger.give(make, true), GiveOutcome::settled);
  EXPECT_EQ(ledger.give(sh, true), GiveOutcome::lent)
      << "make returns the token of this job itself";
  EXPECT_EQ(own(make), 1);
  EXPECT_EQ(ledger.give(sh, true), GiveOutcome::refused);
  EXPECT_EQ(ledger.unseen_return(2, Processes{cc}), 2) << "nor for what is written unseen";
  EXPECT_EQ(ledger.give(make, true), GiveOutcome::settled);
  EXPECT_EQ(ledger.end(sh, EndCause::killed, {}, make).withdraw, 1);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, AKnownWriterSettlesAsIfItHadBeenSeen) {
  hold_unseen(sh, 1);
  EXPECT_EQ(ledger.unseen_return(2, Processes{cc}), 1)
      << "a printf for its shell, and one too many";
  EXPECT_EQ(own(sh), 0);
}

TEST_F(LedgerTest, WhatWasPassedOnBetweenTwoLooksIsSettledByWhoHadIt) {
  hold_unseen(cc, 1);
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja}), 0) << "cc had passed it on to it";
  EXPECT_EQ(own(cc), 0);
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja}), 1);
  EXPECT_EQ(ledger.unseen_take(1, Processes{sh, cc}), 0);
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja}), 0) << "or one of these had";
  EXPECT_EQ(ledger.outstanding(), 0);
  take(make, 2);
  ASSERT_EQ(ledger.give(make, true), GiveOutcome::settled);
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja}), 1) << "a client's moves are seen";
}

TEST_F(LedgerTest, AShellReturnsWhatItsHelperFetchedRatherThanWhatItMayHaveTaken) {
  EXPECT_EQ(ledger.unseen_take(1, Processes{sh, ninja}), 0);
  hold_unseen(cc, 1);  // for sh
  EXPECT_EQ(ledger.give(sh, false), GiveOutcome::descendant);
  EXPECT_EQ(ledger.give(sh, false), GiveOutcome::unseen);
  EXPECT_EQ(ledger.unseen_take(1, Processes{sh}, false), 0);
  hold_unseen(cc, 1);
  EXPECT_EQ(ledger.give(sh, false), GiveOutcome::unseen) << "nobody else can have taken it";
}

TEST_F(LedgerTest, WhoIsOnlyLikelyToHaveTakenSettlesForNobodyElse) {
  EXPECT_EQ(ledger.unseen_take(1, Processes{cc}, false), 0);
  EXPECT_EQ(own(cc), 0) << "another may have closed the FIFO again";
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja}, false), 0) << "this one, for example";
  EXPECT_EQ(ledger.outstanding(), 0);
  EXPECT_EQ(ledger.unseen_take(1, Processes{cc}, false), 0);
  EXPECT_EQ(ledger.end(cc, EndCause::killed, {}, sh).freed, 1);
}

TEST_F(LedgerTest, WhoSentALikelyHelperTakesItsPlace) {
  EXPECT_EQ(ledger.unseen_take(1, Processes{cc}, false), 0);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).freed, 0);
  EXPECT_EQ(ledger.unseen()[0].suspects, Processes{sh});
  EXPECT_EQ(ledger.give(sh, false), GiveOutcome::unseen);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, ABrotherIsNoRelative) {
  take(ninja, 1);
  EXPECT_EQ(ledger.give(sh, false), GiveOutcome::refused);
  EXPECT_EQ(ledger.outstanding(), 1);
}

TEST_F(LedgerTest, ElseItLendsItsImplicitSlotOnceAndOnlyWhereThereIsRoom) {
  EXPECT_EQ(ledger.give(cc, false), GiveOutcome::refused);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  EXPECT_EQ(own(cc), -1);
  EXPECT_EQ(ledger.outstanding(), -1);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::refused);
  ledger.take(cc);
  EXPECT_EQ(own(cc), 0);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, ALoanIsWithdrawnAtTheEndOfItsLender) {
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  EXPECT_TRUE(ledger.concerns(cc));
  const EndOutcome end = ledger.end(cc, EndCause::killed, {}, sh);
  EXPECT_EQ(end.withdraw, 1);
  EXPECT_EQ(end.held, 0);
  EXPECT_EQ(end.freed, 0);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, ALoanThatAHelperMadeIsOfWhoSentIt) {
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  const EndOutcome end = ledger.end(cc, EndCause::succeeded, {}, sh);
  EXPECT_EQ(end.passed_to, sh);
  EXPECT_EQ(end.withdraw, 0);
  EXPECT_EQ(own(sh), -1);
  EXPECT_EQ(ledger.outstanding(), -1);
  const ProcessId second = process(5);
  ledger.introduce(second, Processes{sh, make});
  take(second, 1);
  EXPECT_EQ(ledger.end(second, EndCause::succeeded, {}, sh).passed_to, sh) << "it takes it back";
  EXPECT_EQ(own(sh), 0);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, AShellMayReturnItselfAndByHelpersWhatHelpersFetched) {
  hold_unseen(sh, 2);
  ASSERT_EQ(ledger.unseen_return(1, Processes{sh}), 0) << "printf";
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::ancestor) << "and a program of its own";
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).passed_to, sh);
  EXPECT_EQ(own(sh), -1);
}

TEST_F(LedgerTest, WhoHasLentOrSettlesItselfTakesOverNoLoan) {
  ASSERT_EQ(ledger.give(sh, true), GiveOutcome::lent);
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).withdraw, 1) << "sh has but one slot";
  ASSERT_EQ(ledger.give(ninja, true), GiveOutcome::lent);
  EXPECT_EQ(ledger.end(ninja, EndCause::killed, {}, make).withdraw, 1) << "it was no helper";
  const ProcessId job = process(5);
  ledger.introduce(job, Processes{make});
  ASSERT_EQ(ledger.give(job, true), GiveOutcome::lent);
  take(make, 1);
  ASSERT_EQ(ledger.give(make, true), GiveOutcome::settled);
  EXPECT_EQ(ledger.end(job, EndCause::succeeded, {}, make).withdraw, 1);
}

TEST_F(LedgerTest, WhoReturnsMoreThanItCanLendIsNoHelper) {
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::refused);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).withdraw, 1);
  const ProcessId other = process(5);
  ledger.introduce(other, Processes{sh, make});
  ASSERT_EQ(ledger.unseen_return(3, Processes{other}, true, true), 2);
  EXPECT_EQ(ledger.end(other, EndCause::succeeded, {}, sh).withdraw, 1);
  EXPECT_EQ(own(sh), 0);
}

TEST_F(LedgerTest, ALoanEndsWithWhoTookItOver) {
  ASSERT_EQ(ledger.give(cc, true), GiveOutcome::lent);
  ASSERT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).passed_to, sh);
  EXPECT_EQ(ledger.end(sh, EndCause::succeeded, {}, make).withdraw, 1);
  EXPECT_EQ(own(make), 0);
}

TEST_F(LedgerTest, AnUnseenReturnLendsWhereItIsKnownWhoseItWas) {
  EXPECT_EQ(ledger.unseen_return(2, Processes{sh}, true, true), 1) << "one slot, once";
  EXPECT_EQ(own(sh), -1);
  EXPECT_EQ(ledger.unseen_return(1, Processes{cc}, false, true), 1) << "who knows whose it is";
  EXPECT_EQ(ledger.unseen_return(1, Processes{cc, ninja}, true, true), 1);
  hold_unseen(ninja, 1);
  ASSERT_EQ(ledger.end(ninja, EndCause::killed, {}, make).freed, 1);
  EXPECT_EQ(ledger.unseen_return(1, Processes{cc}, true, true), 1)
      << "ninja had passed it on, and it is free already";
  EXPECT_EQ(own(cc), 0);
}

TEST_F(LedgerTest, AnOrphanedJobMayReturnTheTokenItRunsOn) {
  take(ninja, 1);
  ledger.introduce(process(10), Processes{ninja, make});
  (void)ledger.end(ninja, EndCause::killed, Processes{process(10)}, make);
  EXPECT_EQ(ledger.give(process(10), true), GiveOutcome::inherited);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, AnUnseenTakeComesBackWithTheLastOfItsSuspects) {
  EXPECT_EQ(ledger.unseen_take(2, Processes{sh, cc}), 0);
  EXPECT_EQ(ledger.outstanding(), 2);
  EXPECT_EQ(ledger.end(cc, EndCause::succeeded, {}, sh).unseen, 0);
  const EndOutcome end = ledger.end(sh, EndCause::killed, {}, make);
  EXPECT_EQ(end.unseen, 2);
  EXPECT_EQ(end.freed, 2);
  EXPECT_EQ(end.held, 0);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, ClientsAreSuspectedOnlyIfThereIsNobodyElse) {
  take(make, 1);
  take(ninja, 1);
  EXPECT_EQ(ledger.unseen_take(1, Processes{make, sh, cc}), 0);
  ASSERT_EQ(ledger.unseen().size(), 1U);
  EXPECT_EQ(ledger.unseen()[0].suspects, (Processes{sh, cc}));
  EXPECT_EQ(ledger.unseen_take(1, Processes{make, ninja}), 0);
  ASSERT_EQ(ledger.unseen().size(), 2U);
  EXPECT_EQ(ledger.unseen()[1].suspects, (Processes{make, ninja}));
}

TEST_F(LedgerTest, ASingleOpenerIsNoSuspectButTheHolder) {
  EXPECT_EQ(ledger.unseen_take(1, Processes{cc}), 0);
  EXPECT_TRUE(ledger.unseen().empty());
  EXPECT_EQ(own(cc), 1);
  EXPECT_FALSE(ledger.find(cc)->client) << "its calls are not seen";
  const EndOutcome end = ledger.end(cc, EndCause::succeeded, {}, sh);
  EXPECT_EQ(end.passed_to, sh) << "a dd that fetched the token for its shell";
  EXPECT_EQ(own(sh), 1);
}

TEST_F(LedgerTest, WithoutAnyOpenerNobodyCanReturnIt) {
  EXPECT_EQ(ledger.unseen_take(3, {}), 3);
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, ASeenReturnByASuspectSettlesAnUnseenTake) {
  ASSERT_EQ(ledger.unseen_take(1, Processes{sh, ninja}), 0);
  EXPECT_EQ(ledger.give(cc, true), GiveOutcome::unseen) << "a helper of the suspect";
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, UnseenReturnsSettleUnseenTakesThenOpenersThenAnybody) {
  take(make, 1);
  take(ninja, 1);
  ASSERT_EQ(ledger.unseen_take(1, Processes{sh, cc}), 0);
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja, sh}), 0);
  EXPECT_TRUE(ledger.unseen().empty());
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja, sh}), 0);
  EXPECT_EQ(own(ninja), 0);
  EXPECT_EQ(ledger.unseen_return(1, Processes{ninja, sh}), 0);
  EXPECT_EQ(own(make), 0);
  EXPECT_EQ(ledger.unseen_return(2, Processes{ninja, sh}), 2) << "owed by nobody";
  EXPECT_EQ(ledger.outstanding(), 0);
}

TEST_F(LedgerTest, OfSeveralThatMayHaveReturnedItTheLowestPidDid) {
  const std::vector<int> pids{43, 41, 45, 42, 44};
  for (const int pid : pids) {
    ledger.introduce(process(pid), {});
    take(process(pid), 1);
  }
  for (int pid = 41; pid <= 45; ++pid) {
    EXPECT_EQ(ledger.unseen_return(1, {}), 0);
    EXPECT_EQ(own(process(pid)), 0) << pid;
  }
}

TEST_F(LedgerTest, AnUnseenReturnIsRatherNotAClients) {
  hold_unseen(cc, 1);
  (void)ledger.end(cc, EndCause::succeeded, {}, sh);
  take(make, 1);
  EXPECT_EQ(ledger.unseen_return(1, Processes{make, sh}), 0);
  EXPECT_EQ(own(sh), 0) << "the shell's calls are not seen, those of make are";
  EXPECT_EQ(own(make), 1);
}

TEST_F(LedgerTest, AnUnseenReturnIsRatherAnOpenersThanThatOfASuspectWithoutTheFifo) {
  hold_unseen(cc, 1);
  (void)ledger.end(cc, EndCause::succeeded, {}, sh);
  ledger.introduce(process(30), {});
  ASSERT_EQ(ledger.unseen_take(1, Processes{ninja, process(30)}), 0);
  EXPECT_EQ(ledger.unseen_return(1, Processes{make, sh}), 0);
  EXPECT_EQ(own(sh), 0);
  EXPECT_EQ(ledger.unseen().size(), 1U);
}

TEST_F(LedgerTest, WhenTheBuildIsGoneEverythingIsFree) {
  take(make, 2);
  ASSERT_EQ(ledger.unseen_take(1, Processes{sh, cc}), 0);
  ledger.introduce(process(20), {});
  ASSERT_EQ(ledger.give(process(20), true), GiveOutcome::lent);
  EXPECT_EQ(ledger.end_all(), 3);
  EXPECT_EQ(ledger.outstanding(), 0);
  EXPECT_TRUE(ledger.accounts().empty());
  EXPECT_TRUE(ledger.unseen().empty());
}

TEST_F(LedgerTest, AStrangersEndChangesNothing) {
  EXPECT_EQ(ledger.end(process(77), EndCause::killed, {}, std::nullopt), EndOutcome{});
}

TEST_F(LedgerTest, RestoreSetsTheBalances) {
  ledger.restore(make, 2, 1, true, true);
  ledger.restore(sh, -1, 0, true, true);
  ledger.restore_unseen({2, {cc, process(99), cc}});
  EXPECT_EQ(ledger.outstanding(), 4);
  EXPECT_EQ(ledger.find(make)->held(), 3);
  EXPECT_EQ(ledger.unseen()[0], (UnseenTake{2, {cc}}));
  ledger.restore_unseen({1, {process(99)}});
  EXPECT_EQ(ledger.outstanding(), 4);
}

TEST(LedgerHoldersBelow, AreThoseThatHoldOrAreSuspected) {
  const ProcessId top = process(1);
  const ProcessId shell = process(2);
  const ProcessId helper = process(3);
  const ProcessId suspect = process(4);
  const ProcessId idle = process(5);
  Ledger ledger;
  ledger.introduce(top, {});
  ledger.introduce(shell, std::vector{top});
  for (const ProcessId who : {helper, suspect, idle})
    ledger.introduce(who, std::vector{shell, top});
  ledger.take(top);
  ledger.take(helper);
  EXPECT_EQ(ledger.unseen_take(1, std::vector{suspect, top}, false), 0);
  EXPECT_THAT(ledger.holders_below(shell), testing::UnorderedElementsAre(helper, suspect));
  EXPECT_THAT(ledger.holders_below(top), testing::UnorderedElementsAre(helper, suspect));
  EXPECT_TRUE(ledger.holders_below(helper).empty());
}

TEST_F(LedgerTest, WhoIsKnownToHaveAnUnseenTakeHoldsIt) {
  ASSERT_EQ(ledger.unseen_take(1, Processes{make, sh, ninja}), 0);
  ASSERT_EQ(ledger.unseen_take(2, Processes{sh, ninja}), 0);
  EXPECT_FALSE(ledger.attribute(cc)) << "is suspected of none";
  EXPECT_TRUE(ledger.attribute(sh));
  EXPECT_EQ(own(sh), 1);
  EXPECT_EQ(ledger.outstanding(), 3);
  EXPECT_EQ(ledger.unseen(), (std::vector<UnseenTake>{{1, {make, sh, ninja}}, {1, {sh, ninja}}}));
  EXPECT_TRUE(ledger.attribute(ninja));
  EXPECT_EQ(ledger.give(ninja, false), GiveOutcome::settled);
  EXPECT_EQ(ledger.end(sh, EndCause::killed, {}, make).freed, 1);
  EXPECT_EQ(ledger.outstanding(), 1) << "what one of the three has";
}

}  // namespace
}  // namespace tokenpool::core
