#include "cli/handover.hpp"
#include "cli/put.hpp"

#include "async/event.hpp"
#include "async/spawn.hpp"
#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/handover_story.hpp"
#include "cli/member_table.hpp"
#include "cli/progress.hpp"
#include "cli/terminal.hpp"
#include "cli/when.hpp"
#include "cli/write_probe.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

const char* name_of(const HandoverOptions& options) {
    return options.is_failover ? "failover" : "switchover";
}

std::vector<std::string> possible_candidates(const ClusterView& view) {
    std::vector<std::string> names;
    for (const Member& member : view.members)
        if (!member.tags.nofailover && (!view.leader || view.leader->name != member.name)) names.push_back(member.name);
    return names;
}

/// Fills in what was not said and refuses what cannot be done. The agents check again; this is for a clear answer
/// early.
Result<> complete(HandoverOptions& options, const ClusterView& view, const std::string& scope) {
    const std::string current = view.leader ? view.leader->name : std::string{};
    if (!options.is_failover && current.empty())
        return fail(
            Errc::conflict, fmt::format("cluster {} has no leader to switch from", scope),
            "`pgkeel why` tells why nobody was elected; `pgkeel failover --candidate NAME` names a new primary");
    if (!options.leader.empty() && options.leader != current)
        return fail(Errc::conflict, fmt::format("{} is not the leader of cluster {}: {}", options.leader, scope,
                                                current.empty() ? "nobody is" : current + " is"));
    if (!options.is_failover) options.leader = current;
    const auto names = possible_candidates(view);
    const std::string choices =
        names.empty() ? "there is none" : fmt::format("candidates are {}", fmt::join(names, ", "));
    if (names.empty())
        return fail(Errc::conflict, fmt::format("cluster {} has no member to {} to", scope, name_of(options)));
    if (options.candidate.empty() && options.is_failover) {
        if (!options.force && is_terminal(0))
            options.candidate = ask(fmt::format("Which member shall be primary ({})", choices));
        if (options.candidate.empty()) return fail(Errc::invalid_input, "a failover needs --candidate", choices);
    }
    if (options.candidate.empty()) return {};
    if (options.candidate == current)
        return fail(Errc::conflict, fmt::format("{} leads cluster {} already", current, scope));
    if (view.member(options.candidate) == nullptr)
        return fail(Errc::not_found, fmt::format("cluster {} has no member '{}'", scope, options.candidate), choices);
    if (std::ranges::find(names, options.candidate) == names.end())
        return fail(Errc::conflict, fmt::format("{} has the tag nofailover", options.candidate), choices);
    return {};
}

std::string question_for(const HandoverOptions& options, const ClusterView& view, const std::string& scope,
                         const std::optional<When>& when) {
    const std::string target = options.candidate.empty() ? "the best standby" : options.candidate;
    std::string question =
        fmt::format("{} cluster {} from {} to {}{}?", options.is_failover ? "Fail over" : "Switch over", scope,
                    view.leader ? view.leader->name : "nobody", target, when ? " at " + when->text : "");
    const bool sync_only = view.sync && !view.sync->leader.empty();
    if (options.is_failover && sync_only &&
        std::ranges::find(view.sync->members, options.candidate) == view.sync->members.end())
        question =
            fmt::format("{} is not a synchronous standby: acknowledged writes may be lost. ", options.candidate) +
            question;
    return question;
}

std::string request_body(const HandoverOptions& options, const std::optional<When>& when) {
    boost::json::object body;
    if (!options.leader.empty()) body["leader"] = options.leader;
    if (!options.candidate.empty()) body["candidate"] = options.candidate;
    if (when) body["scheduled_at"] = when->text;
    return boost::json::serialize(body);
}

/// What the tasks of a running handover have in common. Shared: one that is still waiting may outlast the command's
/// frame.
struct Running {
    Running(cluster::Keys keys, const ClusterView& view) : story(std::move(keys), view) {}
    HandoverStory story;
    Event news;
    Instant begin{};
    std::optional<Result<http::Response>> answer;
    std::unique_ptr<Progress> progress;

    void say(Instant now, const std::string& line) {
        if (progress) progress->clear();
        put("  {:6.2f} s  {}\n", seconds(now - begin), line);
        std::fflush(stdout);
    }
};

Task<> follow_etcd(Session& session, std::shared_ptr<Running> running, etcd::Revision from) {
    while (true) {
        auto next = from;
        co_await session.admin().watch(from, [&](etcd::Revision revision, const std::vector<etcd::WatchEvent>& events) {
            next = revision + 1;
            for (const std::string& line : running->story.tell(events)) running->say(session.clock.now(), line);
            running->news.set();
        });
        from = next;
        co_await session.clock.sleep_for(100ms);
    }
}

Task<> send_request(Session& session, std::shared_ptr<Running> running, Member member, std::string path,
                    std::string body, Duration patience) {
    running->answer = co_await session.admin().call(std::move(member), "POST", std::move(path), std::move(body),
                                                    session.clock.now() + patience);
    running->news.set();
}

/// Where the probe connects; none without credentials.
std::unique_ptr<WriteProbe> start_probe(const Session& session, const ClusterView& view) {
    const config::PgUser& user = session.config().postgresql.superuser;
    if (user.username.empty()) return nullptr;
    const std::string& configured = session.config().postgresql.database;
    std::vector<WriteProbe::Target> targets;
    for (const Member& member : view.members)
        if (!member.host.empty())
            targets.push_back(
                {member.name, sql_parameters(member, user, configured.empty() ? "postgres" : configured)});
    return std::make_unique<WriteProbe>(std::move(targets));
}

void print_pause(const WriteProbe* probe, const Session& session, const HandoverStory& story) {
    if (probe == nullptr) {
        put("write pause: not measured ({} has no postgresql.authentication.superuser)\n", session.config().source);
        return;
    }
    const auto pause = probe->pause(story.old_leader(), story.leader());
    if (pause) {
        put("write pause: {:.3f} s (last acknowledged write on {} to the first on {})\n", seconds(*pause),
            story.old_leader(), story.leader());
        return;
    }
    const auto before = probe->writes_on(story.old_leader());
    const auto after = probe->writes_on(story.leader());
    const auto unmeasured = [](const std::string& side, const std::string& member, const std::string& problem) {
        put("write pause: not measured (no write was acknowledged {} {}{})\n", side,
            member.empty() ? "without a leader" : "on " + member, problem.empty() ? "" : ": " + problem);
    };
    if (before.count == 0) return unmeasured("before it", story.old_leader(), before.last_problem);
    unmeasured("after it", story.leader(), after.last_problem);
}

/// Waits until the end of the story is known. Returns whether another member leads now.
Task<bool> wait_for_end(Session& session, std::shared_ptr<Running> running, const WriteProbe* probe,
                        Duration patience) {
    HandoverStory& story = running->story;
    Deadline until = session.clock.now() + patience;
    bool leader_told = false;
    std::optional<Instant> runs_since;
    while (session.clock.now() < until) {
        if (story.leader_changed() && !leader_told) {
            leader_told = true;
            until = std::max(until, session.clock.now() + 60s);  // promotion and its recovery follow
            running->progress->say(fmt::format("waiting until {} takes writes", story.leader()));
        }
        const auto writes = probe != nullptr && leader_told ? probe->writes_on(story.leader()) : WriteProbe::Writes{};
        if (writes.count > 0) {
            running->say(writes.first, fmt::format("first acknowledged write on {}", story.leader()));
            co_return true;
        }
        // A standby leader takes no writes, and the probe may be refused: then the member's own word counts, a little
        // later.
        if (story.new_leader_runs() && !runs_since) runs_since = session.clock.now();
        if (runs_since && (probe == nullptr || session.clock.now() > *runs_since + 3s)) co_return true;
        const bool refused = running->answer && *running->answer && (*running->answer)->status >= 300;
        if (refused && !story.leader_changed()) co_return false;
        co_await running->news.wait(session.clock, session.clock.now() + 20ms);
    }
    co_return story.leader_changed();
}

/// The way around a REST API that does not answer: the agents read the same request from etcd.
Task<Result<>> request_through_etcd(Session& session, std::shared_ptr<Running> running, const HandoverOptions& options,
                                    const std::optional<When>& when, Error error) {
    running->say(session.clock.now(), error.text);
    // The request may have arrived although its answer did not.
    if (running->story.leader_changed() || running->story.request_cleared()) co_return Result<>{};
    running->say(session.clock.now(), "the request goes through etcd instead");
    FailoverRequest request;
    request.leader = options.leader;
    request.candidate = options.candidate;
    if (when) request.scheduled_at = when->text;
    co_return co_await session.admin().put_request(std::move(request), session.soon());
}

Task<Result<int>> schedule(Session& session, HandoverOptions options, ClusterView view, When when) {
    const Member* leader = view.leader_member();
    auto answer =
        Result<http::Response>(fail(Errc::unavailable, fmt::format("the leader {} has no member key", options.leader)));
    if (leader != nullptr)
        answer = co_await ask_member(session, *leader, "POST", "/switchover", request_body(options, when), 10s,
                                     fmt::format("asking {}", leader->name));
    if (answer) {
        const bool accepted = answer->status == 202 || answer->status == 200;
        if (accepted) put("{}\n", text_of(*answer));
        co_return accepted || say_failed(*leader, "switchover", *answer) ? 0 : 1;
    }
    auto running = std::make_shared<Running>(session.admin().keys(), view);
    running->begin = session.clock.now();
    auto written = co_await request_through_etcd(session, running, options, when, answer.error());
    if (!written) co_return std::unexpected(written.error());
    put("switchover scheduled at {}\n", when.text);
    co_return 0;
}

/// The cluster as soon as the old leader follows, or a moment later: the table is what people look at last.
Task<Result<ClusterView>> settled_view(Session& session, std::string old_leader) {
    const Deadline until = session.clock.now() + 5s;
    while (true) {
        auto view = co_await session.view();
        const Member* old = view ? view->member(old_leader) : nullptr;
        const bool follows = old != nullptr && (old->state == "streaming" || old->state == "running");
        if (old == nullptr || follows || session.clock.now() > until) co_return view;
        co_await session.clock.sleep_for(100ms);
    }
}

Task<Result<int>> carry_out(Session& session, HandoverOptions options, ClusterView view, Duration patience) {
    auto running = std::make_shared<Running>(session.admin().keys(), view);
    const auto probe = start_probe(session, view);
    if (probe && view.leader) {  // the pause begins at a write that was acknowledged before it
        const Deadline until = session.clock.now() + 1s;
        while (probe->writes_on(view.leader->name).count < 3 && session.clock.now() < until)
            co_await session.clock.sleep_for(10ms);
    }
    running->begin = session.clock.now();
    running->progress = std::make_unique<Progress>(session.clock, "waiting for the agents");
    const auto executor = co_await asio::this_coro::executor;
    spawn(executor, "following etcd", follow_etcd(session, running, view.revision + 1));

    const Member* asked = view.leader ? view.leader_member() : view.member(options.candidate);
    auto sent = Result<>{};
    if (asked != nullptr && !asked->api_url.empty()) {
        running->say(session.clock.now(), fmt::format("asking {} for the {}{}", asked->name, name_of(options),
                                                      options.candidate.empty() ? "" : " to " + options.candidate));
        spawn(executor, "request",
              send_request(session, running, *asked,
                           options.is_failover && options.leader.empty() ? "/failover" : "/switchover",
                           request_body(options, {}), patience));
        while (!running->answer && !running->story.leader_changed())
            co_await running->news.wait(session.clock, session.clock.now() + 1s);
        if (running->answer && !*running->answer)
            sent = co_await request_through_etcd(session, running, options, {}, running->answer->error());
    } else {
        sent = co_await request_through_etcd(session, running, options, {},
                                             Error{Errc::unavailable, "nobody publishes a REST API to ask", {}});
    }
    if (!sent) co_return std::unexpected(sent.error());

    const bool changed = co_await wait_for_end(session, running, probe.get(), patience);
    running->progress.reset();
    if (!changed) {
        const bool answered = running->answer && running->answer->has_value();
        const std::string reason = answered                           ? text_of(**running->answer)
                                   : running->story.request_cleared() ? "the agents refused the request"
                                                                      : "nothing has happened in time";
        co_return fail(Errc::conflict,
                       fmt::format("{} of cluster {} failed: {}", name_of(options), session.scope(), reason),
                       "`pgkeel why` shows what the agents decided, and on which facts");
    }
    print_pause(probe.get(), session, running->story);
    std::fflush(stdout);
    auto after = co_await settled_view(session, running->story.old_leader());
    if (after && !options.is_step)
        put("{}", member_table(session.scope(), cluster::summarize(*after), terminal_width(), false));
    const std::string& leader = running->story.leader();
    if (!options.candidate.empty() && leader != options.candidate)
        co_return fail(Errc::conflict, fmt::format("{} is primary now, and not {}", leader, options.candidate),
                       "`pgkeel why` tells why");
    co_return 0;
}
}  // namespace

Task<Result<int>> hand_over(Session& session, HandoverOptions options) {
    auto when = parse_when(options.scheduled, session.clock.wall_now());
    if (!when) co_return std::unexpected(when.error());
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    // patronictl's `failover --leader` asks for a switchover.
    if (options.is_failover && !options.leader.empty()) options.is_failover = false;
    if (auto possible = complete(options, *view, session.scope()); !possible)
        co_return std::unexpected(possible.error());
    const auto summary = cluster::summarize(*view);
    if (*when && summary.settings.pause)
        co_return fail(Errc::conflict,
                       fmt::format("cannot schedule a switchover while cluster {} is paused", session.scope()),
                       "run `pgkeel resume` first");
    if (!options.force) put("{}", member_table(session.scope(), summary, terminal_width(), false));
    std::fflush(stdout);
    if (auto yes = ask_first(question_for(options, *view, session.scope(), *when), options.force); !yes)
        co_return std::unexpected(yes.error());
    if (*when) co_return co_await schedule(session, options, *view, **when);
    // The agent asked waits for twice the loop before it says that it does not know; a leader that is gone holds its
    // key for ttl.
    const auto patience =
        std::max<std::chrono::seconds>(10s, summary.settings.loop_wait) * 2 + summary.settings.ttl + 10s;
    co_return co_await carry_out(session, options, *view, patience);
}

}  // namespace pgkeel::cli
