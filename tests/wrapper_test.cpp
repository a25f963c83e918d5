// SPDX-License-Identifier: Apache-2.0
// What the exec wrapper makes of arguments and environment: tables. The program itself: wrapper_test.py.
#include "support/catch.h"
#include "wrapper/rewrite.h"

#include <optional>
#include <string>
#include <vector>

namespace {

using Words = std::vector<std::string>;

const std::string ours = "/var/task/:/var/task/lib/a.jar:/var/task/lib/b.jar:/opt/java/lib/c.jar";

std::vector<const char*> pointers(const Words& words) {
  std::vector<const char*> result;
  for (const std::string& word : words)
    result.push_back(word.c_str());
  result.push_back(nullptr);
  return result;
}

Words words_of(const char* const* words) {
  Words result;
  for (; words != nullptr && *words != nullptr; ++words)
    result.emplace_back(*words);
  return result;
}

// A machine with two jars of the function, one of a layer, and the shim.
struct Machine {
  std::vector<const char*> task_lib{"b.jar", "notes.txt", "a.jar", ".", "..", "jar"};
  std::vector<const char*> java_lib{"c.jar"};
  const char* preload = "/opt/lib/libtmpdump-preload.so";

  struct Outcome {
    std::string error;
    Words arguments, environment;
    tmpdump_wait_mode mode = TMPDUMP_WAIT_LAZY;
    int timeout_ms = 0;
    std::string library_folder;
  };

  [[nodiscard]] Outcome rewrite(const Words& arguments, const Words& environment = {}) const {
    const auto argument_pointers = pointers(arguments), environment_pointers = pointers(environment);
    const tmpdump_command command{argument_pointers.data(), environment_pointers.data()};
    const tmpdump_surroundings surroundings{"/var/task",
                                            {"/var/task/lib", task_lib.data(), task_lib.size()},
                                            {"/opt/java/lib", java_lib.data(), java_lib.size()},
                                            preload};
    tmpdump_arena arena{};
    tmpdump_rewritten out;
    const char* error = tmpdump_rewrite(&command, &surroundings, &arena, &out);
    Outcome outcome;
    if (error != nullptr) {
      outcome.error = error;
    } else {
      outcome = {"",
                 words_of(out.command.arguments),
                 words_of(out.command.environment),
                 out.mode,
                 out.timeout_ms,
                 out.library_folder};
    }
    tmpdump_arena_release(&arena);
    return outcome;
  }
  // The arguments behind "java".
  [[nodiscard]] Words java(Words arguments, const Words& environment = {}) const {
    arguments.insert(arguments.begin(), "/var/lang/bin/java");
    Outcome outcome = rewrite(arguments, environment);
    REQUIRE(outcome.error.empty());
    REQUIRE(outcome.arguments.at(0) == "/var/lang/bin/java");
    outcome.arguments.erase(outcome.arguments.begin());
    return outcome.arguments;
  }
  // The new value of a variable of `program`; nullopt: it is not set.
  [[nodiscard]] std::optional<std::string> variable(const std::string& name, const Words& environment,
                                                    const std::string& program = "node") const {
    const Outcome outcome = rewrite({program}, environment);
    REQUIRE(outcome.error.empty());
    for (const std::string& word : outcome.environment) {
      if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
    }
    return std::nullopt;
  }
};

} // namespace

TEST_CASE("the command line of Lambda's java17") {
  const std::string native_client =
      "-Dcom.amazonaws.services.lambda.runtime.api.client.runtimeapi.NativeClient.JNI=";
  const Words given{"-XX:MaxHeapSize=445645k",
                    "-javaagent:/var/runtime/lib/Log4jHotPatch.jar=log4jFixerVerbose=false",
                    "-XX:+UseSerialGC",
                    "-Xshare:on",
                    "-XX:SharedArchiveFile=/var/lang/lib/server/runtime.jsa",
                    "-XX:+TieredCompilation",
                    "-XX:TieredStopAtLevel=1",
                    "--add-opens=java.base/java.io=ALL-UNNAMED",
                    "-Dorg.crac.Core.Compat=com.amazonaws.services.lambda.crac",
                    "-XX:+ErrorFileToStderr",
                    native_client + "/var/runtime/lib/jni/libaws-lambda-jni.linux-x86_64.so",
                    "-classpath",
                    "A.jar:B.jar:C.jar",
                    "com.amazonaws.services.lambda.runtime.api.client.AWSLambda",
                    "example.Handler::handleRequest"};
  Words expected = given;
  expected[12] += ":" + ours;
  CHECK(Machine().java(given) == expected);
}

TEST_CASE("a class path in every spelling, the last one counts") {
  struct Row {
    Words given, expected;
  };
  const std::vector<Row> rows{
      {{"-cp", "x", "Main"}, {"-cp", "x:" + ours, "Main"}},
      {{"-classpath", "x", "Main"}, {"-classpath", "x:" + ours, "Main"}},
      {{"--class-path", "x", "Main"}, {"--class-path", "x:" + ours, "Main"}},
      {{"--class-path=x", "Main"}, {"--class-path=x:" + ours, "Main"}},
      {{"-Djava.class.path=x", "Main"}, {"-Djava.class.path=x:" + ours, "Main"}},
      {{"-cp", "x", "-cp", "y", "Main"}, {"-cp", "x", "-cp", "y:" + ours, "Main"}},
      {{"--class-path=x", "-cp", "y", "Main"}, {"--class-path=x", "-cp", "y:" + ours, "Main"}},
      {{"-cp", "x", "-Djava.class.path=y", "Main"}, {"-cp", "x", "-Djava.class.path=y:" + ours, "Main"}},
      {{"-cp", "", "Main"}, {"-cp", ":" + ours, "Main"}},           // the current directory
      {{"-cp", "lib/*", "Main"}, {"-cp", "lib/*:" + ours, "Main"}}, // the launcher expands it
      {{"-cp", "-odd", "Main"}, {"-cp", "-odd:" + ours, "Main"}},   // a value, though it looks like an option
      {{"-cp", "-cp", "Main"}, {"-cp", "-cp:" + ours, "Main"}},
      {{"-p", "mods", "-cp", "x", "Main"}, {"-p", "mods", "-cp", "x:" + ours, "Main"}},
      {{"--add-opens", "a/b=ALL-UNNAMED", "-cp", "x", "Main"},
       {"--add-opens", "a/b=ALL-UNNAMED", "-cp", "x:" + ours, "Main"}},
      {{"--add-modules", "-cp", "-cp", "x", "Main"}, {"--add-modules", "-cp", "-cp", "x:" + ours, "Main"}},
      {{"-ea", "-Xmx1g", "-cp", "x", "Main"}, {"-ea", "-Xmx1g", "-cp", "x:" + ours, "Main"}},
      // What stands behind the main class is the program's own.
      {{"-cp", "x", "Main", "-cp", "y", "-Djava.library.path=/z"},
       {"-cp", "x:" + ours, "Main", "-cp", "y", "-Djava.library.path=/z"}},
      {{"-cp", "x", "Main", "@file"}, {"-cp", "x:" + ours, "Main", "@file"}},
      {{"--disable-@files", "-cp", "x", "@Main"}, {"--disable-@files", "-cp", "x:" + ours, "@Main"}},
      // Elements that are there already come once.
      {{"-cp", "/var/task/lib/a.jar:/opt/java/lib/c.jar:/var/task/", "Main"},
       {"-cp", "/var/task/lib/a.jar:/opt/java/lib/c.jar:/var/task/:/var/task/lib/b.jar", "Main"}},
      {{"-cp", ours, "Main"}, {"-cp", ours, "Main"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.given);
    CHECK(Machine().java(row.given) == row.expected);
  }
}

TEST_CASE("no class path among the arguments") {
  struct Row {
    Words environment;
    std::optional<std::string> path; // of the new -cp; nullopt: nothing is added
  };
  const std::vector<Row> rows{
      {{}, "."},
      {{"CLASSPATH=x:y"}, "x:y"},
      {{"CLASSPATH="}, ""},
      {{"CLASSPATH=x", "JDK_JAVA_OPTIONS=-Xmx1g -cp y"}, "y"},
      {{"JDK_JAVA_OPTIONS= \t-cp y  --class-path=z "}, "z"},
      {{"JDK_JAVA_OPTIONS=-Xmx1g"}, "."},
      {{"JDK_JAVA_OPTIONS=-cp"}, "."},
      {{"JDK_JAVA_OPTIONS=-cp 'a b'"}, std::nullopt},
      {{"JDK_JAVA_OPTIONS=@options"}, std::nullopt},
      {{"JAVA_TOOL_OPTIONS=-Xmx1g"}, "."},
      {{"JAVA_TOOL_OPTIONS=-Djava.class.path=x"}, std::nullopt},
      {{"CLASSPATH=y", "JAVA_TOOL_OPTIONS=-Djava.class.path=x"}, "y"}, // the launcher hands CLASSPATH on
      {{"_JAVA_OPTIONS=-Djava.class.path=x"}, std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.environment);
    Words expected{"-ea", "Main", "x"};
    if (row.path) expected.insert(expected.begin(), {"-cp", *row.path + ":" + ours});
    CHECK(Machine().java({"-ea", "Main", "x"}, row.environment) == expected);
  }
  // Where the arguments set it they overrule all of these.
  CHECK(Machine().java({"-cp", "x", "Main"}, {"CLASSPATH=y", "JDK_JAVA_OPTIONS=@z"}) ==
        Words{"-cp", "x:" + ours, "Main"});
}

TEST_CASE("a launch without a class to find on the class path is left alone") {
  const std::vector<Words> rows{
      {},
      {"-version"},
      {"-cp"},
      {"-cp", "x"},
      {"-cp", "x", "--version"},
      {"--module-path"},
      {"-jar", "app.jar", "x"},
      {"-cp", "x", "-jar", "app.jar"},
      {"-jar", "-cp", "x", "app.jar", "-cp", "y"},
      {"-m", "module/main", "-cp", "y"},
      {"-cp", "x", "-p", "mods", "--module", "module/main"},
      {"-cp", "x", "--module=module/main"},
      {"@file"},
      {"-cp", "x", "@file"},
      {"-cp", "x", "@file", "Main"},
      {"-Djava.library.path=/x", "@file", "Main"},
      {"-cp", "x", "@@Main"},
  };
  for (const Words& row : rows) {
    CAPTURE(row);
    CHECK(Machine().java(row) == row);
  }
}

TEST_CASE("java.library.path gets the folder in front wherever it is set") {
  const Machine machine;
  CHECK(machine.java({"-Djava.library.path=/x", "-jar", "a.jar", "-Djava.library.path=/mine"}) ==
        Words{"-Djava.library.path=/tmp/lib:/x", "-jar", "a.jar", "-Djava.library.path=/mine"});
  CHECK(machine.java({"-jar", "-Djava.library.path=/x", "a.jar"}) ==
        Words{"-jar", "-Djava.library.path=/tmp/lib:/x", "a.jar"});
  CHECK(machine.java({"-cp", "-Djava.library.path=/x", "Main"}) ==
        Words{"-cp", "-Djava.library.path=/x:" + ours, "Main"});
  CHECK(machine.java({"-Djava.library.path=/x", "-Djava.library.path=", "-version"}) ==
        Words{"-Djava.library.path=/tmp/lib:/x", "-Djava.library.path=/tmp/lib", "-version"});
  CHECK(machine.java({"-Djava.library.path=/tmp/lib:/x", "-version"}) ==
        Words{"-Djava.library.path=/tmp/lib:/x", "-version"});
  CHECK(machine.java({"-Djava.library.path=/tmp/library", "-version"}) ==
        Words{"-Djava.library.path=/tmp/lib:/tmp/library", "-version"});
  CHECK(machine.java({"-Djava.library.path=/x", "-m", "m/m"}, {"TMPDUMP_DEST=/mnt/x y//"}) ==
        Words{"-Djava.library.path=/mnt/x y/lib:/x", "-m", "m/m"});
  // Where nothing sets it the virtual machine takes LD_LIBRARY_PATH and its own default.
  CHECK(machine.java({"-version"}) == Words{"-version"});
}

TEST_CASE("java.library.path in the variables of the virtual machine") {
  struct Row {
    std::string given, expected;
  };
  const std::vector<Row> rows{
      {"-Djava.library.path=/x", "-Djava.library.path=/tmp/lib:/x"},
      {"-Xmx1g -Djava.library.path=/x -ea", "-Xmx1g -Djava.library.path=/tmp/lib:/x -ea"},
      {"-Djava.library.path= -ea", "-Djava.library.path=/tmp/lib -ea"},
      {"-Djava.library.path=", "-Djava.library.path=/tmp/lib"},
      {"'-Djava.library.path=/a b' \"-Djava.library.path=/c\"",
       "'-Djava.library.path=/tmp/lib:/a b' \"-Djava.library.path=/tmp/lib:/c\""},
      {"-Djava.library.path=\"/a b\"", "-Djava.library.path=/tmp/lib:\"/a b\""},
      {"-Djava.library.path=/a' 'b -ea", "-Djava.library.path=/tmp/lib:/a' 'b -ea"},
      {"'-Djava.library.path='/a", "'-Djava.library.path=/tmp/lib:'/a"},
      {"-Djava.library.path=\"\" -ea", "-Djava.library.path=/tmp/lib\"\" -ea"},
      {"'-Djava.library.path=' -ea", "'-Djava.library.path=/tmp/lib' -ea"},
      {"-Djava.library.path=/tmp/lib:/opt/lib", "-Djava.library.path=/tmp/lib:/opt/lib"},
      {"-Djava.library.path=\"/tmp/lib:/a b\"", "-Djava.library.path=\"/tmp/lib:/a b\""},
      {"-Djava.library.path='/tmp/lib b'", "-Djava.library.path=/tmp/lib:'/tmp/lib b'"},
      {"-Djava.library.path=/tmp/lib -Djava.library.path=/y",
       "-Djava.library.path=/tmp/lib -Djava.library.path=/tmp/lib:/y"},
      {"-Dx=-Djava.library.path=/x", "-Dx=-Djava.library.path=/x"},
      {"-Dx=\"a -Djava.library.path=/x\"", "-Dx=\"a -Djava.library.path=/x\""},
      {"-Xmx1g", "-Xmx1g"},
      {"", ""},
  };
  for (const char* name : {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}) {
    for (const Row& row : rows) {
      CAPTURE(name, row.given);
      const Words environment{std::string(name) + "=" + row.given};
      CHECK(Machine().variable(name, environment, "/usr/bin/java") == row.expected);
      CHECK(Machine().variable(name, environment, "node") == row.given);
    }
  }
  CHECK(Machine().variable("JAVA_TOOL_OPTIONS",
                           {"TMPDUMP_DEST=/x y", "JAVA_TOOL_OPTIONS=-Djava.library.path=/x"},
                           "java") == "-Djava.library.path=/x");
}

TEST_CASE("where the loader looks, for every program") {
  const Machine machine;
  CHECK(machine.variable("LD_LIBRARY_PATH", {}) == "/tmp/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"LD_LIBRARY_PATH="}) == "/tmp/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"LD_LIBRARY_PATH=/var/lang/lib:/opt/lib"}) ==
        "/tmp/lib:/var/lang/lib:/opt/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"LD_LIBRARY_PATH=/tmp/lib:/x"}) == "/tmp/lib:/x");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"LD_LIBRARY_PATH=/x:/tmp/lib"}) == "/tmp/lib:/x:/tmp/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"TMPDUMP_DEST=/mnt/d/"}) == "/mnt/d/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"TMPDUMP_DEST="}) == "/tmp/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"TMPDUMP_DEST=/"}) == "/lib");
  CHECK(machine.variable("LD_LIBRARY_PATH", {"TMPDUMP_WAIT=none"}) == "/tmp/lib");

  const std::string shim = "/opt/lib/libtmpdump-preload.so";
  CHECK(machine.variable("LD_PRELOAD", {}) == shim);
  CHECK(machine.variable("LD_PRELOAD", {"LD_PRELOAD="}) == shim);
  CHECK(machine.variable("LD_PRELOAD", {"LD_PRELOAD=libx.so liby.so"}) == shim + ":libx.so liby.so");
  CHECK(machine.variable("LD_PRELOAD", {"LD_PRELOAD=libx.so " + shim}) == "libx.so " + shim);
  CHECK(machine.variable("LD_PRELOAD", {"TMPDUMP_WAIT=lazy"}) == shim);
  CHECK(machine.variable("LD_PRELOAD", {"TMPDUMP_WAIT=eager"}) == std::nullopt);
  CHECK(machine.variable("LD_PRELOAD", {"TMPDUMP_WAIT=none", "LD_PRELOAD=libx.so"}) == "libx.so");
  Machine without;
  without.preload = nullptr;
  CHECK(without.variable("LD_PRELOAD", {}) == std::nullopt);
}

TEST_CASE("everything else goes through as it is") {
  const Words arguments{"/bin/sh", "-c", "exit 3", "-cp", "x", "Main", "", "-Djava.library.path=/x"};
  const Words environment{
      "LD_LIBRARY_PATH=/tmp/lib", "odd", "=", "X=1", "X=2", "LD_PRELOAD=/opt/lib/libtmpdump-preload.so",
      "LD_LIBRARY_PATHS=y",       ""};
  const auto outcome = Machine().rewrite(arguments, environment);
  CHECK(outcome.arguments == arguments);
  CHECK(outcome.environment == environment);
  // A variable that is there twice: readers differ in which one they take.
  CHECK(Machine().rewrite({"x"}, {"LD_LIBRARY_PATH=a", "LD_PRELOAD=b", "LD_LIBRARY_PATH=c"}).environment ==
        Words{"LD_LIBRARY_PATH=/tmp/lib:a", "LD_PRELOAD=/opt/lib/libtmpdump-preload.so:b",
              "LD_LIBRARY_PATH=/tmp/lib:c"});
}

TEST_CASE("jars that a class path cannot spell, and paths that exec would refuse") {
  Machine machine;
  machine.task_lib = {"a:b.jar", "z.jar"};
  machine.java_lib = {};
  CHECK(machine.java({"-cp", "x", "Main"}) == Words{"-cp", "x:/var/task/:/var/task/lib/z.jar", "Main"});
  machine.task_lib.clear();
  CHECK(machine.java({"-cp", "x", "Main"}) == Words{"-cp", "x:/var/task/", "Main"});
  const std::string name = std::string(96, 'n') + ".jar";
  machine.task_lib.assign(1200, name.c_str()); // 114 characters each: 136,800 behind MAX_ARG_STRLEN's 131,072
  CHECK(machine.java({"-cp", "x", "Main"}) == Words{"-cp", "x", "Main"});
  CHECK(machine.java({"--class-path=x", "Main"}) == Words{"--class-path=x", "Main"});
  CHECK(machine.java({"Main"}) == Words{"Main"});
}

TEST_CASE("settings, and errors that name the variable") {
  const Machine machine;
  CHECK(machine.rewrite({"x"}).mode == TMPDUMP_WAIT_LAZY);
  CHECK(machine.rewrite({"x"}, {"TMPDUMP_WAIT="}).mode == TMPDUMP_WAIT_LAZY);
  CHECK(machine.rewrite({"x"}, {"TMPDUMP_WAIT=eager"}).mode == TMPDUMP_WAIT_EAGER);
  CHECK(machine.rewrite({"x"}, {"TMPDUMP_WAIT=none"}).mode == TMPDUMP_WAIT_NONE);
  CHECK(machine.rewrite({"x"}).timeout_ms == 60000);
  CHECK(machine.rewrite({"x"}, {"TMPDUMP_WAIT_TIMEOUT=0"}).timeout_ms == 0);
  CHECK(machine.rewrite({"x"}, {"TMPDUMP_WAIT_TIMEOUT=3600"}).timeout_ms == 3600000);
  CHECK(machine.rewrite({"x"}, {"TMPDUMP_DEST=/mnt/d"}).library_folder == "/mnt/d/lib");
  struct Row {
    std::string variable, error;
  };
  const std::vector<Row> rows{
      {"TMPDUMP_WAIT=Lazy", "TMPDUMP_WAIT='Lazy': expected lazy, eager or none"},
      {"TMPDUMP_WAIT_TIMEOUT=1.5", "TMPDUMP_WAIT_TIMEOUT='1.5': expected whole seconds, 0 to 3600"},
      {"TMPDUMP_WAIT_TIMEOUT=-1", "TMPDUMP_WAIT_TIMEOUT='-1': expected whole seconds, 0 to 3600"},
      {"TMPDUMP_WAIT_TIMEOUT=3601", "TMPDUMP_WAIT_TIMEOUT='3601': expected whole seconds, 0 to 3600"},
      {"TMPDUMP_WAIT_TIMEOUT=99999999999999999999",
       "TMPDUMP_WAIT_TIMEOUT='99999999999999999999': expected whole seconds, 0 to 3600"},
      {"TMPDUMP_PRELOAD_CHILDREN=no", "TMPDUMP_PRELOAD_CHILDREN='no': expected 1 or 0"},
      {"TMPDUMP_DEST=tmp", "TMPDUMP_DEST='tmp': expected an absolute path without ':', ';' and '$'"},
      {"TMPDUMP_DEST=/a:b", "TMPDUMP_DEST='/a:b': expected an absolute path without ':', ';' and '$'"},
  };
  for (const Row& row : rows)
    CHECK(machine.rewrite({"x"}, {row.variable}).error == row.error);
  Machine odd;
  odd.preload = "/opt/a b/lib.so";
  CHECK(odd.rewrite({"x"}).error.starts_with("'/opt/a b/lib.so'"));
}
