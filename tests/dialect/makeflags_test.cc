#include "dialect/makeflags.h"

#include <gtest/gtest.h>

namespace tokenpool::dialect {
namespace {

using Form = JobserverWord::Form;

const Jobserver kPool{"/tmp/p/fifo", 900, 901, 4};

std::string composed(std::string_view value, Dialect dialect) {
  return compose_makeflags(parse_makeflags(value), kPool, dialect);
}

std::string stripped(std::string_view value) { return compose_makeflags(parse_makeflags(value)); }

TEST(ComposeMakeflags, EachDialect) {
  EXPECT_EQ(composed("", Dialect::fifo), " -j4 --jobserver-auth=fifo:/tmp/p/fifo");
  EXPECT_EQ(composed("", Dialect::fds_auth), " -j4 --jobserver-auth=900,901");
  EXPECT_EQ(composed("", Dialect::fds_old), " -j --jobserver-fds=900,901");
  EXPECT_EQ(composed("", Dialect::cargo),
            " -j --jobserver-fds=900,901 --jobserver-auth=fifo:/tmp/p/fifo");
  EXPECT_EQ(composed("", Dialect::both),
            " -j --jobserver-auth=fifo:/tmp/p/fifo --jobserver-f=900,901");
}

TEST(ComposeMakeflags, NeverSaysOneJob) {
  Jobserver one = kPool;
  one.slots = 1;
  EXPECT_EQ(compose_makeflags({}, one, Dialect::fifo), " -j2 --jobserver-auth=fifo:/tmp/p/fifo");
}

TEST(ComposeMakeflags, KeepsWhatIsNotOurs) {
  EXPECT_EQ(composed("ks -j8 --jobserver-auth=3,4 -Otarget -- A=b\\ c D=e", Dialect::fds_auth),
            "ks -Otarget -j4 --jobserver-auth=900,901 -- A=b\\ c D=e");
  EXPECT_EQ(composed("-k --no-print-directory", Dialect::fifo),
            " -k --no-print-directory -j4 --jobserver-auth=fifo:/tmp/p/fifo");
  EXPECT_EQ(composed("A=b", Dialect::fds_auth), " A=b -j4 --jobserver-auth=900,901");
}

TEST(ComposeMakeflags, FinalBackslashDoesNotJoinWords) {
  EXPECT_EQ(composed("A=b\\", Dialect::fds_old), " A=b\\\\ -j --jobserver-fds=900,901");
}

TEST(StripMakeflags, EveryFormOfJobs) {
  for (const char* value : {"-j", "-j8", " -j 8", "--jobs", "--jobs=8", "--jobs 8", "j8", "j",
                            "j 8", "-j0", "-jx", "-j8 -j4"}) {
    EXPECT_EQ(stripped(value), "") << value;
  }
  EXPECT_EQ(stripped("kj8"), "k");
  EXPECT_EQ(stripped("-kj 8 -s"), " -k -s");
  EXPECT_EQ(stripped("-j8x"), "");
  EXPECT_EQ(stripped("-j 8x -k"), " -k") << "make takes 8x for a goal, and ignores it here";
}

TEST(StripMakeflags, EveryFormOfJobserver) {
  for (const char* value :
       {"--jobserver-auth=3,4", "--jobserver-fds=3,4", "--jobserver-f=3,4", "--jobserver-auth 3,4",
        "--jobserver-auth=fifo:/x", "--jobserver-style=fifo", "--jobserver", "--jobse=3,4",
        "\\--jobserver-auth=3,4", "--jobserver-auth=-2,-2", " -- --jobserver-auth=3,4"}) {
    const std::string left = stripped(value);
    EXPECT_TRUE(left.empty() || left == " --") << value << ": " << left;
  }
}

TEST(StripMakeflags, ValuesAreNoOptions) {
  EXPECT_EQ(stripped("-C -j4"), " -C -j4");
  EXPECT_EQ(stripped("-kI j4 -j2"), " -kI j4");
  EXPECT_EQ(stripped("-Ij4 -Wj5 --directory -j6 --what-i -j7 -j8"),
            " -Ij4 -Wj5 --directory -j6 --what-i -j7");
  EXPECT_EQ(stripped("-l -j4"), " -l");
  EXPECT_EQ(stripped("-Oj4"), " -Oj4");
  EXPECT_EQ(stripped("-- -j4"), " -- -j4");
}

TEST(StripMakeflags, NoWordBecomesTheFirstBundle) { EXPECT_EQ(stripped("-j4 kn -s"), " -s"); }

TEST(StripMakeflags, OptionWithoutItsValueSwallowsNothing) {
  EXPECT_EQ(stripped("-s -C"), " -s");
  EXPECT_EQ(stripped("-f --jobserver-auth=3,4 -s"), " -s");
}

TEST(ParseMakeflags, WhichJobservers) {
  const auto flags = parse_makeflags(
      " --jobserver-auth=fifo:/tmp/x --jobserver-fds=3,4 --jobserver-auth=-2,-2"
      " --jobserver-auth=gmake_semaphore_7 --jobserver-auth=3;4 --jobserver-style=pipe");
  ASSERT_EQ(flags.jobservers.size(), 6u);
  EXPECT_EQ(flags.jobservers[0],
            (JobserverWord{Form::fifo, "--jobserver-auth=fifo:/tmp/x", "/tmp/x", -1, -1}));
  EXPECT_EQ(flags.jobservers[1],
            (JobserverWord{Form::descriptors, "--jobserver-fds=3,4", "", 3, 4}));
  EXPECT_EQ(flags.jobservers[2].form, Form::negative);
  EXPECT_EQ(flags.jobservers[3].form, Form::semaphore);
  EXPECT_EQ(flags.jobservers[4].form, Form::invalid);
  EXPECT_EQ(flags.jobservers[5].form, Form::invalid);
}

TEST(ParseMakeflags, LastJobsWins) {
  EXPECT_EQ(parse_makeflags("-j8 -j2").jobs, 2u);
  EXPECT_EQ(parse_makeflags("-j8 -j").jobs, 0u);
  EXPECT_EQ(parse_makeflags("k").jobs, std::nullopt);
}

TEST(ParseMakeflags, SerialIsOneJobWithoutJobserver) {
  EXPECT_TRUE(parse_makeflags("w -j1").serial());
  EXPECT_FALSE(parse_makeflags(" -j1 --jobserver-auth=3,4").serial());
  EXPECT_FALSE(parse_makeflags("w").serial());
}

TEST(Validate, Bounds) {
  EXPECT_TRUE(validate(kPool));
  const auto sentence = [](const Jobserver& pool) {
    const auto result = validate(pool);
    return result ? std::string() : result.error().sentence;
  };
  EXPECT_NE(sentence({"fifo", 900, 901, 4}).find("'fifo'"), std::string::npos);
  EXPECT_NE(sentence({"/tmp/a b", 900, 901, 4}).find("TMPDIR"), std::string::npos);
  EXPECT_NE(sentence({"/f", 2, 901, 4}).find("descriptor 2"), std::string::npos);
  EXPECT_NE(sentence({"/f", 900, 1024, 4}).find("descriptor 1024"), std::string::npos);
  EXPECT_NE(sentence({"/f", 900, 900, 4}), "");
  EXPECT_NE(sentence({"/f", 900, 901, 0}).find("0 slots"), std::string::npos);
  EXPECT_NE(sentence({"/f", 900, 901, 513}).find("513 slots"), std::string::npos);
}

}  // namespace
}  // namespace tokenpool::dialect
