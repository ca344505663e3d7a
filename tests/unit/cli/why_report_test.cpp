#include "cli/why_report.hpp"

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

namespace pgkeel::cli {
namespace {

boost::json::array reports() {
    return boost::json::parse(R"([
      {"name":"a","now":"2026-11-21T10:00:09Z","decisions":[
        {"at":"2026-11-21T10:00:00Z","action":"wait","reason":"old","text":"nothing to do","facts":{}},
        {"at":"2026-11-21T10:00:05Z","action":"renew_lease","reason":"still_primary","text":"the lease is ours","facts":{"ttl":5,"left_s":3.9,"leader":"a"}}],
       "failover_now":{"possible":false,"why":"b is 2 MB behind"}},
      {"name":"b","error":"asking member b: connection refused"}])")
        .as_array();
}

TEST(why_report, shows_the_newest_decisions_with_their_facts) {
    ClusterView view;
    view.leader = LeaderKey{"a", 1, 1, 1};
    EXPECT_EQ(why_report(view, reports(), 1),
              "a (leader)\n"
              "  2026-11-21T10:00:05Z  renew_lease (still_primary)\n"
              "      the lease is ours\n"
              "        ttl=5, left_s=3.9, leader=a\n"
              "\n"
              "b\n"
              "  does not tell: asking member b: connection refused\n"
              "\n"
              "A failover now, as each agent sees it:\n"
              "  a: not possible: b is 2 MB behind\n");
}

TEST(why_report, survives_answers_of_another_shape) {
    const auto odd =
        boost::json::parse(R"([7,{"name":"a","decisions":{}},{"name":"b","decisions":[1,{"at":2}],"failover_now":[]}])")
            .as_array();
    EXPECT_NE(why_report({}, odd, 3).find("no decision yet"), std::string::npos);
}

}  // namespace
}  // namespace pgkeel::cli
