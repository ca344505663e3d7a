#include "cli/answers.hpp"
#include "cli/members.hpp"
#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cluster/json_reading.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

/// 150020 → "15.20", 90625 → "9.6.25".
std::string postgres_version(std::int64_t number) {
    if (number < 100000) return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
    return fmt::format("{}.{}", number / 10000, number % 10000);
}

/// " (15.21 is installed)" when that is not what runs, from GET /pgkeel/versions; Patroni's agents do not tell it.
std::string describe_installed(const std::string& body) {
    const auto answer = cluster::read_object(body);
    const auto* versions = answer ? cluster::object_of(*answer, "postgresql") : nullptr;
    if (versions == nullptr) return {};
    const auto running = cluster::number_of(versions->if_contains("running"));
    const auto installed = cluster::number_of(versions->if_contains("installed"));
    if (!installed || installed == running) return {};
    return fmt::format(" ({} is installed)", postgres_version(static_cast<std::int64_t>(*installed)));
}

/// "pgkeel 0.1.0, PostgreSQL 15.20", from GET /patroni.
std::string describe(const Member& member, const std::string& body) {
    boost::system::error_code problem;
    const auto status = boost::json::parse(body, problem);
    if (problem || !status.is_object()) return "its answer is no JSON object";
    boost::system::error_code no_key;
    const auto published = boost::json::parse(member.raw, no_key);
    const auto* own = !no_key && published.is_object() ? published.get_object().if_contains("pgkeel") : nullptr;
    std::string text =
        own != nullptr && own->is_string() ? "pgkeel " + std::string(own->get_string()) + ", as Patroni" : "Patroni";
    const auto* patroni = status.get_object().if_contains("patroni");
    const auto* version =
        patroni != nullptr && patroni->is_object() ? patroni->get_object().if_contains("version") : nullptr;
    text +=
        version != nullptr && version->is_string() ? " " + std::string(version->get_string()) : " of unknown version";
    const auto* server = status.get_object().if_contains("server_version");
    if (server != nullptr && server->is_number())
        text += ", PostgreSQL " + postgres_version(server->to_number<std::int64_t>());
    return text;
}

Task<Result<int>> version_of_members(Session& session, ClusterOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    auto members = choose_members(*view, options.words, "any");
    if (!members) co_return std::unexpected(members.error());
    bool all_answered = true;
    for (const Member& member : *members) {
        auto answer =
            co_await ask_member(session, member, "GET", "/patroni", "", 5s, fmt::format("asking {}", member.name));
        auto versions = answer ? co_await ask_member(session, member, "GET", "/pgkeel/versions", "", 5s,
                                                     fmt::format("asking {}", member.name))
                               : answer;
        const std::string installed = versions ? describe_installed(versions->body) : std::string{};
        const bool answered = answer ? say_done(member, describe(member, answer->body) + installed)
                                     : say_failed(member, "GET /patroni", answer.error());
        all_answered = all_answered && answered;
    }
    co_return all_answered ? 0 : 1;
}
}  // namespace

void add_version(CLI::App& app, Context& context) {
    auto options = std::make_shared<ClusterOptions>();
    CLI::App* command = add_cluster_command(
        app, "version", "print the version of this program and, with a cluster named, of its agents and servers",
        "pgkeel version demo", *options);
    command->add_option("MEMBER", options->words, "[CLUSTER] [MEMBER...]");
    command->callback([&context, command, options] {
        take_common_options(*command, *options);
        context.action = [options] {
            put("pgkeel {}\n", PGKEEL_VERSION);
            const bool asks_cluster =
                !options->words.empty() || !options->choice.config_file.empty() || !options->choice.directory.empty();
            if (!asks_cluster) return 0;
            return run_session(*options, [options](Session& session) { return version_of_members(session, *options); });
        };
    });
}

}  // namespace pgkeel::cli
