#include "dialect/cmake_tree.h"

#include <vector>

#include <gtest/gtest.h>

namespace tokenpool::dialect {
namespace {

using Words = std::vector<std::string>;

TEST(CmakeBuildFolder, IsTheWordBehindBuild) {
  EXPECT_EQ(cmake_build_folder(Words{"--build", "out", "-j8"}), "out");
  EXPECT_EQ(cmake_build_folder(Words{"--build", "out", "--", "--preset"}), "out");
  EXPECT_EQ(cmake_build_folder(Words{"--build", ".", "--target", "--", "x"}), ".");
}

TEST(CmakeBuildFolder, IsNotKnownOfAPreset) {
  for (const Words& words :
       {Words{"--build", "--preset", "x"}, Words{"--build", "--preset=x"},
        Words{"--build", "out", "--preset", "x"}, Words{"--build"}, Words{"--build", "-j8", "out"},
        Words{"-S", ".", "-B", "out"}, Words{"--build=out"}, Words{}}) {
    EXPECT_EQ(cmake_build_folder(words), std::nullopt);
  }
  EXPECT_TRUE(is_cmake_build(Words{"--build", "--preset", "x"}));
  EXPECT_FALSE(is_cmake_build(Words{"--install", "--build"}));
  EXPECT_FALSE(is_cmake_build({}));
}

// The lines between are those of a cache that cmake 3.25.1 wrote.
TEST(CmakeCache, AsCmakeWritesIt) {
  const CmakeTree tree = parse_cmake_cache(
      "# This is the CMakeCache file.\n"
      "# KEY:TYPE=VALUE\n"
      "\n"
      "########################\n"
      "# EXTERNAL cache entries\n"
      "########################\n"
      "\n"
      "//Program used to build from makefiles.\n"
      "CMAKE_MAKE_PROGRAM:STRING=/usr/bin/gmake\n"
      "\n"
      "//ADVANCED property for variable: CMAKE_MAKE_PROGRAM\n"
      "CMAKE_MAKE_PROGRAM-ADVANCED:INTERNAL=1\n"
      "//Name of external makefile project generator.\n"
      "CMAKE_EXTRA_GENERATOR:INTERNAL=\n"
      "//Name of generator.\n"
      "CMAKE_GENERATOR:INTERNAL=Unix Makefiles\n"
      "//Name of generator platform.\n"
      "CMAKE_GENERATOR_PLATFORM:INTERNAL=\n");
  EXPECT_EQ(tree, (CmakeTree{"Unix Makefiles", "/usr/bin/gmake"}));
}

TEST(CmakeCache, LineEndsBlanksAndQuotes) {
  EXPECT_EQ(parse_cmake_cache("CMAKE_GENERATOR:INTERNAL=Ninja\r\nCMAKE_MAKE_PROGRAM:FILEPATH=/n\r"),
            (CmakeTree{"Ninja", "/n"}));
  EXPECT_EQ(parse_cmake_cache(" \t CMAKE_GENERATOR:INTERNAL=Ninja \t\n"
                              "\"CMAKE_MAKE_PROGRAM\":STRING='/a b '"),
            (CmakeTree{"Ninja", "/a b "}));
  EXPECT_EQ(parse_cmake_cache("CMAKE_GENERATOR=Ninja\nCMAKE_MAKE_PROGRAM:STRING=/a=b:c"),
            (CmakeTree{"Ninja", "/a=b:c"}));
  EXPECT_EQ(parse_cmake_cache("CMAKE_MAKE_PROGRAM:STRING='").make_program, "'");
}

TEST(CmakeCache, CommentsAreNoEntries) {
  EXPECT_EQ(parse_cmake_cache("//CMAKE_GENERATOR:INTERNAL=Ninja\n# CMAKE_MAKE_PROGRAM:STRING=/n\n"
                              "  //x\n#\n//\n/"),
            CmakeTree{});
}

TEST(CmakeCache, MissingKeysAreEmpty) {
  for (const char* text : {"", "\n\r\n", "=", ":=", "\"", "\"=", "CMAKE_GENERATOR",
                           "CMAKE_GENERATOR:INTERNAL", "xCMAKE_GENERATOR:INTERNAL=Ninja",
                           "CMAKE_GENERATOR_TOOLSET:INTERNAL=Ninja", "\"CMAKE_GENERATOR=Ninja"}) {
    EXPECT_EQ(parse_cmake_cache(text), CmakeTree{}) << text;
  }
  EXPECT_EQ(parse_cmake_cache("CMAKE_MAKE_PROGRAM:STRING=\n"), CmakeTree{});
}

TEST(CmakeCache, TheLastOneCounts) {
  EXPECT_EQ(parse_cmake_cache("CMAKE_GENERATOR:A=Ninja\nCMAKE_GENERATOR:A=Xcode\n").generator,
            "Xcode");
}

TEST(CmakeCache, HugeLines) {
  const std::string huge(1 << 20, 'x');
  EXPECT_EQ(parse_cmake_cache(huge + ":STRING=" + huge + "\nCMAKE_GENERATOR:INTERNAL=Ninja\n" +
                              "#" + huge + "\nCMAKE_MAKE_PROGRAM:STRING=/n"),
            (CmakeTree{"Ninja", "/n"}));
  EXPECT_EQ(parse_cmake_cache(std::string(1 << 20, '\0')), CmakeTree{});
}

TEST(GeneratorTool, IsMakeOrNinjaOrUnknown) {
  EXPECT_EQ(generator_tool("Unix Makefiles"), ToolKind::make);
  EXPECT_EQ(generator_tool("Ninja"), ToolKind::ninja);
  EXPECT_EQ(generator_tool("Ninja Multi-Config"), ToolKind::ninja);
  for (const char* other : {"Xcode", "Visual Studio 17 2022", "Watcom WMake", "", "ninja"}) {
    EXPECT_EQ(generator_tool(other), ToolKind::unknown);
  }
}

}  // namespace
}  // namespace tokenpool::dialect
