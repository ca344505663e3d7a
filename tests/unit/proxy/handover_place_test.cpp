#include "proxy/handover_place.hpp"

#include <gtest/gtest.h>

namespace pgkeel::proxy {
namespace {

TEST(handover_place, is_beside_the_socket_of_the_clients_or_the_pidfile) {
    config::PoolerSettings settings;
    settings.unix_socket_dir = "/run/pgkeel";
    settings.listen_port = 6432;
    settings.pidfile = "/run/proxy.pid";
    EXPECT_EQ(handover_path(settings), "/run/pgkeel/.s.PGKEEL.6432");
    settings.unix_socket_dir = "@pgkeel";
    EXPECT_EQ(handover_path(settings), "@pgkeel/.s.PGKEEL.6432");
    settings.unix_socket_dir = "";
    EXPECT_EQ(handover_path(settings), "/run/proxy.pid.handover");
    settings.pidfile = "";
    EXPECT_EQ(handover_path(settings), "");
}

}  // namespace
}  // namespace pgkeel::proxy
