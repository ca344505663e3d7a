#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/progress.hpp"
#include "cli/put.hpp"
#include "cli/rotation_claim.hpp"
#include "cli/rotation_plan.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cluster/admin_summary.hpp"
#include "cluster/json_reading.hpp"
#include "ha/slots.hpp"
#include "local/rotated_passwords.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;
namespace json = boost::json;
using cluster::Rotation;
using cluster::RotationPhase;

constexpr Duration answer_patience = 5s;
constexpr Duration commit_patience = 25s;  // the agent gives up before
constexpr Duration look_again = 150ms;
constexpr const char* path = "/pgkeel/credentials";

struct RotateOptions : ClusterOptions {
    RotationWishes wishes;
    bool dry_run = false;
    double seconds = 120;
};

// ---- what is seen

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// Whether nobody on the way could read what is sent there, or answer in the member's place.
bool is_private(const Session& session, const Member& member) {
    const auto url = http::parse_url(member.api_url);
    if (!url) return true;  // it will not answer, and that says more
    return is_loopback(url->host) || (url->tls && cluster::api_access(session.config()).tls.verify);
}

std::string why_silent(const http::Response& answer) {
    if (answer.status == 404 || answer.status == 501) return "it is older than this command";
    std::string why = fmt::format("{} (HTTP {})", text_of(answer), answer.status);
    if (answer.status == 401) why += "; set ctl.authentication to the agents' own";
    return why;
}

void add_look(RotationMember& member, const std::string& body) {
    const auto object = cluster::read_object(body);
    const json::value* roles = object ? object->if_contains("roles") : nullptr;
    if (roles == nullptr || !roles->is_array()) {
        member.silence = "its answer names no roles";
        return;
    }
    member.file = cluster::text_of(*object, "file");
    member.trouble = cluster::text_of(*object, "trouble");
    for (const json::value& one : roles->get_array()) {
        const json::object* role = one.if_object();
        if (role == nullptr) continue;
        RotationMember::Role& seen = member.roles.emplace_back();
        seen.name = cluster::text_of(*role, "name");
        seen.has_password = cluster::truth_of(*role, "has_password");
        if (const json::value* sections = role->if_contains("sections"); sections != nullptr && sections->is_array())
            for (const json::value& section : sections->get_array())
                if (section.is_string()) seen.sections.emplace_back(section.get_string());
    }
}

Task<> look_at(Session& session, const Member& member, RotationMember& seen) {
    seen.name = member.name;
    seen.runs_pgkeel = member.runs_pgkeel;
    seen.running = member.state == "running" || member.state == "streaming" || member.state == "in archive recovery";
    seen.private_api = is_private(session, member);
    if (!seen.runs_pgkeel || !seen.private_api) co_return;
    auto answer = co_await session.admin().call(member, "POST", path, R"({"action":"look"})",
                                                session.clock.now() + answer_patience);
    if (!answer)
        seen.silence = answer.error().text;
    else if (answer->status != 200)
        seen.silence = why_silent(*answer);
    else
        add_look(seen, answer->body);
}

Task<RotationCluster> look(Session& session, const ClusterView& view, std::optional<Rotation> interrupted) {
    RotationCluster cluster;
    cluster.scope = session.scope();
    cluster.paused = cluster::summarize(view).settings.pause;
    cluster.interrupted = std::move(interrupted);
    if (view.leader) cluster.leader = view.leader->name;
    if (const Member* leader = view.leader_member()) cluster.standby_cluster = leader->role == Role::standby_leader;
    for (const std::string& slot : view.status.retain_slots)
        if (std::ranges::none_of(view.members, [&](const Member& one) { return ha::slot_name(one.name) == slot; }))
            cluster.missing_slots.push_back(slot);
    for (const Member& member : view.members) co_await look_at(session, member, cluster.members.emplace_back());
    co_return cluster;
}

// ---- what is done

/// One run of the command.
struct Run {
    Session& session;
    RotationClaim& claim;
    RotateOptions options;
    RotationPlan plan;
    Rotation rotation;
    std::optional<local::Layout> local;  ///< the files of `pgkeel up` follow
    Deadline deadline;
    int step = 0;

    void say(const std::string& who, const std::string& what) const {
        put("{}/{}  {}: {}\n", step, rotation_steps, who, what);
        std::fflush(stdout);
    }
    bool late() const { return session.clock.now() > deadline; }
};

/// The local cluster that the file which led here belongs to: that of its commands, or one of its agents'.
std::optional<local::Layout> local_cluster(const std::string& source) {
    if (source.empty()) return std::nullopt;
    const std::filesystem::path file = std::filesystem::absolute(source).lexically_normal();
    for (const std::filesystem::path& directory : {file.parent_path(), file.parent_path().parent_path()}) {
        local::Layout layout{directory};
        const auto plan = local::load_plan(layout);
        if (!plan) continue;
        const bool ours = layout.client_config() == file || std::ranges::any_of(plan->nodes, [&](const auto& node) {
                              return layout.agent_config(node.name) == file;
                          });
        if (ours) return layout;
    }
    return std::nullopt;
}

/// One action at one member, tried again while it says that it cannot yet. Errors: those that do not pass.
Task<Result<>> tell(Run& run, std::string name, json::object body, Duration patience = answer_patience) {
    const std::string action = cluster::text_of(body, "action");
    const std::string text = json::serialize(body);
    Progress progress(run.session.clock, fmt::format("{}: {}", name, action));
    for (;;) {
        co_await run.claim.renew();
        std::string why = "it has left the cluster";
        auto view = co_await run.session.view();
        if (!view) {
            why = view.error().text;
        } else if (const Member* member = view->member(name); member != nullptr) {
            // Its address is what it publishes now, and may be another than when the command began.
            if (!is_private(run.session, *member))
                co_return fail(Errc::unsafe, fmt::format("the REST API of {} is plain HTTP now", name));
            auto answer =
                co_await run.session.admin().call(*member, "POST", path, text, run.session.clock.now() + patience);
            if (answer && answer->status == 200) co_return Result<>{};
            why = answer ? text_of(*answer) : answer.error().text;
            if (answer && answer->status != 503)
                co_return fail(Errc::conflict, fmt::format("{} says: {} (HTTP {})", name, why, answer->status));
        }
        if (run.late()) co_return fail(Errc::timed_out, fmt::format("{} cannot {} yet: {}", name, action, why));
        progress.say(fmt::format("{}: {}", name, why));
        co_await run.session.clock.sleep_for(look_again);
    }
}

json::object action(const Run& run, const char* name) {
    return {{"action", name}, {"rotation", run.rotation.id}};
}

/// Every member has the new passwords on its disk, or none keeps them.
Task<Result<>> prepare(Run& run) {
    run.step = 1;
    if (auto begun = co_await run.claim.write(run.rotation); !begun) co_return begun;
    json::object body = action(run, "prepare");
    json::object passwords;
    for (const std::string& role : run.plan.roles) passwords[role] = local::random_secret();
    body["passwords"] = std::move(passwords);
    Result<> done;
    for (const std::string& name : run.plan.members)
        if (done) done = co_await tell(run, name, body);
    if (!done) {
        run.deadline = run.session.clock.now() + answer_patience;
        for (const std::string& name : run.plan.members)
            if (const auto member = co_await run.session.view(); member && member->member(name) != nullptr)
                co_await run.session.admin().call(*member->member(name), "POST", path,
                                                  json::serialize(action(run, "abandon")),
                                                  run.session.clock.now() + answer_patience);
        co_await run.claim.write(run.rotation, true);
        co_return done;
    }
    run.rotation.phase = RotationPhase::commit;
    if (auto written = co_await run.claim.write(run.rotation); !written) co_return written;
    run.say("all", fmt::format("keep the new passwords of {}", fmt::join(run.plan.roles, ", ")));
    co_return done;
}

/// The files of a local cluster. Its agents do not need them, so a failure is told and mended by the next `up`.
void follow_locally(const Run& run) {
    if (!run.local) return;
    if (const auto followed = local::follow_rotation(*run.local); !followed)
        put(stderr, "pgkeel: the files in {} are not up to date: {}\n  hint: `pgkeel up -d` makes them so\n",
            run.local->directory, followed.error().text);
}

/// One round: the primary has the passwords, whoever that is by now, and who has not proven them yet is asked again.
/// What is missing; empty: nothing.
struct Settled {
    std::int64_t epoch = 0;  ///< of the leader that has them
    std::set<std::string> members;
};
Task<Result<std::string>> settle_once(Run& run, Settled& settled, Progress& progress) {
    co_await run.claim.renew();
    auto view = co_await run.session.view();
    if (!view) co_return view.error().text;
    if (!view->leader || view->leader_member() == nullptr) co_return std::string("nobody leads the cluster now");
    const auto ask = [&](const Member& member, const char* what, Duration patience) {
        return run.session.admin().call(member, "POST", path, json::serialize(action(run, what)),
                                        run.session.clock.now() + patience);
    };
    if (view->leader->create_revision != settled.epoch) {
        // A new primary may never have heard of it, and who has proven the passwords has proven them to another one.
        run.step = 2;
        const Member leader = *view->leader_member();
        const auto answer = co_await ask(leader, "commit", commit_patience);
        if (!answer) co_return fmt::format("{}: {}", leader.name, answer.error().text);
        if (answer->status != 200 && answer->status != 503)
            co_return fail(Errc::conflict,
                           fmt::format("{} says: {} (HTTP {})", leader.name, text_of(*answer), answer->status));
        if (answer->status != 200) co_return fmt::format("{}: {}", leader.name, text_of(*answer));
        progress.clear();
        run.say(leader.name, "has set them on the primary");
        settled = {.epoch = view->leader->create_revision, .members = {}};
        follow_locally(run);
        run.step = 3;
    }
    std::string missing;
    for (const std::string& name : run.plan.members) {
        if (settled.members.contains(name)) continue;
        std::string why = "it has left the cluster";
        if (const Member* member = view->member(name); member != nullptr) {
            const auto answer = co_await ask(*member, "settle", answer_patience + 5s);
            if (answer && answer->status == 200) {
                settled.members.insert(name);
                progress.clear();
                run.say(name,
                        name == view->leader->name ? "uses them" : "uses them, and logs in to the primary with them");
                continue;
            }
            why = answer ? text_of(*answer) : answer.error().text;
            if (answer && answer->status != 503)
                co_return fail(Errc::conflict, fmt::format("{} says: {} (HTTP {})", name, why, answer->status));
        }
        missing += fmt::format("{}{}: {}", missing.empty() ? "" : "; ", name, why);
    }
    co_return missing;
}

Task<Result<>> settle(Run& run) {
    run.step = 2;
    Settled settled;
    Progress progress(run.session.clock, "the primary gets the new passwords");
    for (;;) {
        const auto missing = co_await settle_once(run, settled, progress);
        if (!missing) co_return std::unexpected(missing.error());
        if (missing->empty()) {
            // Proven to the one that leads now, or to nobody.
            const auto view = co_await run.session.view();
            if (view && view->leader && view->leader->create_revision == settled.epoch) break;
            continue;
        }
        if (run.late()) co_return fail(Errc::timed_out, *missing);
        progress.say(*missing);
        co_await run.session.clock.sleep_for(look_again);
    }
    progress.clear();
    run.rotation.phase = RotationPhase::finish;
    co_return co_await run.claim.write(run.rotation);
}

Task<Result<>> finish(Run& run) {
    run.step = 4;
    for (const std::string& name : run.plan.members)
        if (auto done = co_await tell(run, name, action(run, "finish")); !done) co_return done;
    if (auto removed = co_await run.claim.write(run.rotation, true); !removed) co_return removed;
    follow_locally(run);
    run.say("all", "have forgotten the old ones");
    co_return Result<>{};
}

Task<Result<int>> carry_out(Run run, const RotationCluster& cluster) {
    Result<> done;
    if (run.rotation.phase == RotationPhase::prepare) done = co_await prepare(run);
    const bool changed = done.has_value() || run.rotation.phase != RotationPhase::prepare;
    if (done && run.rotation.phase == RotationPhase::commit) done = co_await settle(run);
    if (done) done = co_await finish(run);
    if (!done)
        co_return fail(done.error().code == Errc::invalid_input ? Errc::conflict : done.error().code,
                       fmt::format("the rotation in cluster {} stopped at step {} of {}: {}", cluster.scope, run.step,
                                   rotation_steps, done.error().text),
                       changed ? "the agents have both passwords and go on; when that is mended, `pgkeel "
                                 "rotate-credentials` finishes it"
                               : "nothing was changed");
    put("{} of cluster {}: new passwords.\nEach agent keeps them in a file of its own:\n",
        fmt::join(run.plan.roles, ", "), cluster.scope);
    for (const RotationMember& member : cluster.members)
        if (!member.file.empty()) put("  {}: {}\n", member.name, member.file);
    put("Whoever else logs in as one of these roles (proxies, backups, monitoring)\nneeds the new password, too.\n");
    co_return 0;
}

void print_plan(const RotationCluster& cluster, const RotationPlan& plan) {
    if (plan.resumed)
        put("An earlier rotation was interrupted in phase {}: it is brought to its end.\n",
            to_string(plan.resumed->phase));
    else if (cluster.interrupted)
        put("An earlier rotation was interrupted before anything had changed.\n");
    put("New passwords for {}\n{}", fmt::join(plan.roles, ", "), rotation_table(plan, terminal_width()));
    std::fflush(stdout);
}

Task<Result<int>> rotate_with(Session& session, RotationClaim& claim, RotateOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    if (!options.words.empty())
        co_return fail(Errc::invalid_input,
                       fmt::format("'{}' is not superuser, replication or rewind", options.words.front()),
                       "the passwords of a role are the same on all members");
    if (!options.dry_run)
        if (auto ours = co_await claim.take(); !ours) co_return std::unexpected(ours.error());
    auto interrupted = co_await claim.read();
    if (!interrupted) co_return std::unexpected(interrupted.error());
    RotationCluster cluster;
    {
        const Progress progress(session.clock, "asking the agents");
        cluster = co_await look(session, *view, *interrupted);
    }
    auto plan = plan_rotation(cluster, options.wishes);
    if (!plan) co_return std::unexpected(plan.error());
    print_plan(cluster, *plan);
    if (options.dry_run) co_return 0;
    const std::string question =
        plan->resumed ? "Finish it?" : fmt::format("Rotate the passwords of cluster {}?", cluster.scope);
    if (!options.force) {
        // An answer may take longer than a claim lasts. What changes meanwhile makes the first write fail.
        co_await claim.release();
        if (auto yes = ask_first(question, false); !yes) co_return std::unexpected(yes.error());
        if (auto ours = co_await claim.take(); !ours) co_return std::unexpected(ours.error());
    }
    Rotation rotation = plan->resumed.value_or(
        Rotation{.id = local::random_secret().substr(0, 16), .roles = plan->roles, .members = plan->members});
    if (*interrupted) rotation.mod_revision = (*interrupted)->mod_revision;
    const Deadline deadline =
        session.clock.now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds));
    Run run{session, claim, options, *plan, rotation, local_cluster(session.config().source), deadline};
    co_return co_await carry_out(std::move(run), cluster);
}

Task<Result<int>> rotate_credentials(Session& session, RotateOptions options) {
    static constexpr std::string_view sections[] = {"superuser", "replication", "rewind"};
    std::vector<std::string> words;
    for (const std::string& word : options.words)
        (std::ranges::find(sections, word) != std::end(sections) ? options.wishes.sections : words).push_back(word);
    options.words = std::move(words);
    RotationClaim claim(session);
    auto status = co_await rotate_with(session, claim, std::move(options));
    co_await claim.release();
    co_return status;
}
}  // namespace

void add_rotate_credentials(CLI::App& app, Context& context) {
    auto options = std::make_shared<RotateOptions>();
    CLI::App* command = add_cluster_command(
        app, "rotate-credentials", "give the roles that the agents log in as new passwords, while everything runs",
        "pgkeel rotate-credentials --dry-run\n  pgkeel rotate-credentials replication --force", *options);
    command->add_option("ROLE", options->words,
                        "[CLUSTER] and any of superuser, replication, rewind; all when none is named");
    command->add_flag("--ignore-missing", options->wishes.missing_is_fine,
                      "go on although members are gone: they will need the new passwords by hand");
    command
        ->add_option("--timeout", options->seconds, "seconds after which it stops and leaves the rest for another run")
        ->type_name("SECONDS")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command->add_flag("--dry-run", options->dry_run, "check, show the steps, and do nothing");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, rotate_credentials);
}

}  // namespace pgkeel::cli
