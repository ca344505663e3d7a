#include "local/preflight.hpp"

#include "local/files.hpp"
#include "scratch_directory.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

namespace pgkeel::local {

namespace {
ServerUser self() {
    return {::getpwuid(::geteuid())->pw_name, ::geteuid(), ::getegid(), "/"};
}
/// Somebody who is not us and in no group of ours.
ServerUser stranger() {
    return {"stranger", 54321, 54321, "/"};
}
}  // namespace

TEST(check_disk, names_the_place_and_the_bytes) {
    EXPECT_TRUE(check_disk("/tmp", 1));
    const auto refused = check_disk("/tmp/not/there/yet", std::numeric_limits<std::uint64_t>::max());
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("/tmp"), std::string::npos);
    EXPECT_NE(refused.error().text.find("18446744073709551615"), std::string::npos);
}

TEST(find_programs, names_the_package_of_a_missing_one) {
    const ScratchDirectory scratch;
    const auto found = find_programs(scratch.path());
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().text.find("etcd"), std::string::npos);
    EXPECT_EQ(found.error().hint, "apt install etcd-server");
}

TEST(check_directory, accepts_a_new_or_empty_one_or_a_cluster) {
    const ScratchDirectory scratch;
    EXPECT_TRUE(check_directory(scratch / "new", self()));
    EXPECT_TRUE(check_directory(scratch.path(), self()));
    ASSERT_TRUE(write_file(Layout{scratch.path()}.plan(), "{}"));
    EXPECT_TRUE(check_directory(scratch.path(), self()));
}

TEST(check_directory, refuses_one_with_other_things_in_it) {
    const ScratchDirectory scratch;
    ASSERT_TRUE(write_file(scratch / "thesis.tex", "x"));
    const auto refused = check_directory(scratch.path(), self());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unsafe);
    EXPECT_NE(refused.error().text.find(scratch.path()), std::string::npos);
    EXPECT_FALSE(check_directory(scratch / "thesis.tex", self()));
}

TEST(check_directory, refuses_one_that_the_servers_cannot_reach_or_do_not_own) {
    const ScratchDirectory scratch;  // mode 0700
    const auto unreachable = check_directory(scratch / "below", stranger());
    ASSERT_FALSE(unreachable);
    EXPECT_NE(unreachable.error().text.find("cannot reach"), std::string::npos);
    ASSERT_EQ(::chmod(scratch.path().c_str(), 0755), 0);
    ASSERT_TRUE(write_file(scratch / "file", "x"));
    const auto foreign = check_directory(scratch.path(), stranger());
    ASSERT_FALSE(foreign);
    EXPECT_NE(foreign.error().text.find("belongs to"), std::string::npos);
}

TEST(check_ports, names_port_node_and_process) {
    const ScratchDirectory scratch;
    const Layout layout{scratch.path()};
    auto plan = make_plan("demo", 2);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(check_ports(*plan, layout));

    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(plan->nodes[1].postgres_port));
    ASSERT_EQ(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(descriptor, 1), 0);
    const auto refused = check_ports(*plan, layout);
    ::close(descriptor);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::already_exists);
    for (const std::string& part :
         {std::to_string(plan->nodes[1].postgres_port), std::string("pg-b"), std::to_string(::getpid())})
        EXPECT_NE(refused.error().text.find(part), std::string::npos) << refused.error().text;
}

}  // namespace pgkeel::local
