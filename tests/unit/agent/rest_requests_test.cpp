#include "agent/rest/requests.hpp"

#include "agent/rest/handover.hpp"
#include "ha/switchover.hpp"

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

namespace pgkeel::agent::rest {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

const WallTime now = *ha::parse_iso_time("2026-11-21T00:00:00Z");

json::object object(const char* text) {
    return json::parse(text).as_object();
}

/// "CODE text" of a refusal, or "ok".
template <class T>
std::string said(const OrAnswer<T>& result) {
    return result ? "ok" : fmt::format("{} {}", result.error().status, result.error().body);
}

TEST(schedule, is_read_in_the_forms_that_people_and_libraries_write) {
    const WallTime expected = *ha::parse_iso_time("2026-11-21T02:03:04Z");
    for (const char* text :
         {"2026-11-21T02:03:04+00:00", "2026-11-21 02:03:04+0000", "2026-11-21 02:03:04 UTC", "2026-11-21t02:03:04z",
          "2026-11-21 2:03:04 GMT", "2026-11-21 03:03:04+01", "2026-11-20 21:03:04 -0500", "20261121T020304Z",
          "2026/11/21 02:03:04 +00:00", "2026-11-21T02:03:04.000000Z", "Sat, 21 Nov 2026 02:03:04 +0000",
          "21 Nov 2026 03:03:04 +0100", "Sat, 21 Nov 2026 02:03:04 GMT", "21 november 2026 02:03:04z",
          "  2026-11-21 02:03:04-00:00  ", "2026-11-21T02:03:04-0000"}) {
        const ReadTime read = read_time(text);
        EXPECT_EQ(read.kind, ReadTime::Kind::time) << text;
        EXPECT_EQ(read.time, expected) << text << " is " << iso_with_zone(read.time);
    }
    EXPECT_EQ(read_time("2026-11-21 02:03+00").time, *ha::parse_iso_time("2026-11-21T02:03:00Z"));
}

TEST(schedule, without_a_zone_is_not_understood_as_anything) {
    for (const char* text :
         {"2026-11-21T02:03:04", "2026-11-21 02:03", "2026-11-21", "21 Nov 2026 02:03:04", "20261121T0203"})
        EXPECT_EQ(read_time(text).kind, ReadTime::Kind::no_zone) << text;
}

TEST(schedule, that_is_none_is_refused) {
    for (const char* text :
         {"", " ", "soon", "2026-13-21T02:03:04Z", "2026-11-31T02:03:04Z", "2026-11-21T25:00:00Z",
          "9999-01-01T00:00:00Z", "1234567", "2026-11-21T02:03:04+99:00", "02:03:04Z", "Sat, Nov 2026",
          "2026-11-21 02:03:04 Europe/Berlin", "2026-11-21T02:03:04Z and more", "\xff\xfe"})
        EXPECT_EQ(read_time(text).kind, ReadTime::Kind::unreadable) << text;
    EXPECT_EQ(read_time(std::string(100000, '1')).kind, ReadTime::Kind::unreadable);
}

TEST(schedule, has_patronis_codes_and_texts) {
    EXPECT_EQ(said(read_schedule(json::value("2026-11-21T02:03:04"), "restart", now)),
              "400 Timezone information is mandatory for the scheduled restart");
    EXPECT_EQ(said(read_schedule(json::value("2026-11-20T23:59:59Z"), "switchover", now)),
              "422 Cannot schedule switchover in the past");
    EXPECT_EQ(said(read_schedule(json::value("foo"), "restart", now)),
              "422 Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601");
    EXPECT_EQ(read_schedule(json::value(nullptr), "restart", now).error().status, 422);
    EXPECT_EQ(read_schedule(json::value(12), "restart", now).error().status, 422);
}

TEST(schedule, is_stored_so_that_it_can_be_read_again) {
    const WallTime time = now + 1h + 500ms;
    EXPECT_EQ(iso_with_zone(time), "2026-11-21T01:00:00.500000+00:00");
    EXPECT_EQ(ha::parse_iso_time(iso_with_zone(time)), time);
    EXPECT_EQ(iso_with_zone(now), "2026-11-21T00:00:00+00:00");
}

TEST(restart, takes_every_filter) {
    const auto asked = read_restart(
        object(
            R"({"schedule":"2026-11-22T00:00:00Z","role":"replica","postgres_version":"15.2","timeout":"2min","restart_pending":"True"})"),
        false, now);
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->at, now + 24h);
    EXPECT_EQ(asked->filters.role, "replica");
    EXPECT_EQ(asked->filters.version_below, 150002);
    EXPECT_EQ(asked->filters.timeout, 120s);
    EXPECT_TRUE(asked->filters.only_pending);
    EXPECT_EQ(asked->filters.as_given.at("role").as_string(), "replica");
    EXPECT_EQ(read_restart(object(R"({"role":"master"})"), false, now)->filters.role, "primary");
    EXPECT_EQ(read_restart(object(R"({"timeout":30})"), false, now)->filters.timeout, 30s);
    EXPECT_FALSE(read_restart(object(R"({"restart_pending":false})"), false, now)->filters.only_pending);
    EXPECT_TRUE(read_restart(object("{}"), true, now));
}

TEST(restart, refuses_what_it_cannot_use) {
    EXPECT_EQ(said(read_restart(object(R"({"role":"boss"})"), false, now)),
              "400 PostgreSQL role should be either primary, standby_leader, or replica");
    EXPECT_EQ(said(read_restart(object(R"({"role":7})"), false, now)),
              "400 PostgreSQL role should be either primary, standby_leader, or replica");
    for (const char* body : {R"({"timeout":0})", R"({"timeout":-5})", R"({"timeout":"long"})", R"({"timeout":[]})",
                             R"({"timeout":1e300})"})
        EXPECT_EQ(said(read_restart(object(body), false, now)), "400 Timeout should be a positive number of seconds")
            << body;
    EXPECT_EQ(said(read_restart(object(R"({"when":"now"})"), false, now)),
              "400 Unknown filter for the scheduled restart: when");
    for (const char* version : {"15", "x.y", "15.2.1", "9.6.3.1", "", "15."})
        EXPECT_EQ(read_restart({{"postgres_version", version}}, false, now).error().status, 400) << version;
    EXPECT_EQ(said(read_restart(object(R"({"schedule":"2027-01-01T00:00:00Z"})"), true, now)),
              "500 Can't schedule restart in the paused state");
}

TEST(version_number, is_postgresqls) {
    EXPECT_EQ(version_number("15.2"), 150002);
    EXPECT_EQ(version_number("9.6.3"), 90603);
    EXPECT_EQ(version_number("9.6"), 90600);
    EXPECT_EQ(version_number("9999999999.1"), std::nullopt);
}

TEST(handover, checks_come_in_patronis_order) {
    const auto failover = [](const char* body, bool paused = false) {
        return said(read_handover(object(body), false, paused, now));
    };
    const auto switchover = [](const char* body, bool paused = false) {
        return said(read_handover(object(body), true, paused, now));
    };
    EXPECT_EQ(failover(R"({"leader":"a"})"), "400 Failover could be performed only to a specific candidate");
    EXPECT_EQ(switchover(R"({"candidate":"a"})"), "400 Switchover could be performed only from a specific leader");
    EXPECT_EQ(failover(R"({"candidate":"b","scheduled_at":"2027-01-01T00:00Z"})"), "400 Failover can't be scheduled");
    EXPECT_EQ(switchover(R"({"leader":"a","scheduled_at":"2027-01-01T00:00Z"})", true),
              "400 Can't schedule switchover in the paused state");
    EXPECT_EQ(switchover(R"({"leader":"a"})", true),
              "400 Switchover is possible only to a specific candidate in a paused state");
    EXPECT_EQ(switchover(R"({"leader":"a","candidate":"a"})"), "400 Switchover target and source are the same");
    EXPECT_EQ(switchover(R"({"leader":"a","scheduled_at":"2020-01-01T00:00Z"})"),
              "422 Cannot schedule switchover in the past");
    EXPECT_EQ(switchover(R"({"leader":["a"]})").substr(0, 3), "400");
    EXPECT_EQ(failover(R"({"candidate":"b","scheduled_at":null})"), "ok");
    EXPECT_EQ(failover(R"({"member":"b"})", true), "ok");
    EXPECT_TRUE(read_handover(object(R"({"candidate":"b","leader":"a"})"), false, false, now)->is_switchover);
}

ClusterView cluster() {
    ClusterView view;
    view.leader = LeaderKey{"a", 1, 5, 5};
    for (const char* name : {"a", "b", "c"}) {
        Member member;
        member.name = name;
        member.api_url = "http://" + std::string(name) + ":8008/patroni";
        view.members.push_back(member);
    }
    return view;
}

std::string names(const std::expected<std::vector<Member>, std::string>& candidates) {
    if (!candidates) return candidates.error();
    std::string out;
    for (const Member& member : *candidates) out += member.name;
    return out;
}

TEST(handover, candidates_depend_on_the_mode) {
    ClusterView view = cluster();
    ClusterSettings settings;
    EXPECT_EQ(names(candidates_of({true, "a", "", {}}, view, settings)), "bc");
    EXPECT_EQ(names(candidates_of({true, "b", "c", {}}, view, settings)), "leader name does not match");
    EXPECT_EQ(names(candidates_of({false, "", "z", {}}, view, settings)), "candidate does not exists");
    settings.synchronous_mode = SynchronousMode::on;
    EXPECT_EQ(names(candidates_of({true, "a", "", {}}, view, settings)),
              "switchover is not possible: can not find sync_standby");
    view.sync = SyncKey{"a", {"c"}, 0, 7};
    EXPECT_EQ(names(candidates_of({true, "a", "", {}}, view, settings)), "c");
    EXPECT_EQ(names(candidates_of({true, "a", "b", {}}, view, settings)),
              "candidate name does not match with sync_standby");
    EXPECT_EQ(names(candidates_of({false, "", "b", {}}, view, settings)), "b");
    settings.synchronous_mode = SynchronousMode::quorum;
    EXPECT_EQ(names(candidates_of({true, "a", "b", {}}, view, settings)), "b");
    view.leader.reset();
    EXPECT_EQ(names(candidates_of({false, "", "b", {}}, view, settings)), "b");
}

TEST(handover, somebody_must_be_fit) {
    const std::vector<Member> members = cluster().members;
    PeerStatus answer;
    answer.name = "b";
    EXPECT_FALSE(anyone_fit(members, {answer}));
    answer.reachable = true;
    EXPECT_TRUE(anyone_fit(members, {answer}));
    answer.watchdog_failed = true;
    EXPECT_FALSE(anyone_fit(members, {answer}));
    answer.watchdog_failed = false;
    answer.tags.nofailover = true;
    EXPECT_FALSE(anyone_fit(members, {answer}));
}

TEST(handover, its_outcome_is_told_in_patronis_words) {
    const auto told = [](const HandoverAsked& asked, const ClusterView& view) -> std::string {
        const auto answer = outcome(asked, "a", view);
        return answer ? fmt::format("{} {}", answer->status, answer->body) : "not yet";
    };
    ClusterView view = cluster();
    view.failover = FailoverRequest{"a", "b", "", 9};
    EXPECT_EQ(told({true, "a", "b", {}}, view), "not yet");
    view.leader.reset();
    EXPECT_EQ(told({true, "a", "b", {}}, view), "not yet");
    view.leader = LeaderKey{"b", 1, 9, 9};
    EXPECT_EQ(told({true, "a", "b", {}}, view), R"(200 Successfully switched over to "b")");
    EXPECT_EQ(told({true, "a", "", {}}, view), R"(200 Successfully switched over to "b")");
    EXPECT_EQ(told({false, "", "b", {}}, view), R"(200 Successfully failed over to "b")");
    EXPECT_EQ(told({true, "a", "c", {}}, view), R"(200 Switched over to "b" instead of "c")");
    EXPECT_EQ(told({false, "", "c", {}}, view), R"(200 Failed over to "b" instead of "c")");
    view.leader->name = "a";
    view.failover.reset();
    EXPECT_EQ(told({true, "a", "b", {}}, view), "503 Switchover failed");
    EXPECT_EQ(told({false, "", "b", {}}, view), "503 Failover failed");
    EXPECT_EQ(outcome_unknown({true, "a", "b", {}}, 20s).body,
              "Switchover status unknown after 20 seconds; operation may still be in progress");
}

}  // namespace
}  // namespace pgkeel::agent::rest
