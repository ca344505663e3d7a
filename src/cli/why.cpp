#include "cli/answers.hpp"
#include "cli/members.hpp"
#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/why_report.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

struct WhyOptions : ClusterOptions {
    std::size_t count = 5;
};

/// What the agent of `member` says of its decisions; an object with `name` and `error` when it does not.
boost::json::object report_of(const Member& member, const Result<http::Response>& answer) {
    const auto failed = [&](std::string text) {
        boost::json::object report;
        report["name"] = member.name;
        report["error"] = std::move(text);
        return report;
    };
    if (!answer) return failed(answer.error().line());
    // Patroni takes the path for a health check, and answers with its status.
    const bool recorded = answer->body.find("\"decisions\"") != std::string::npos;
    if (!recorded && !member.runs_pgkeel) return failed("its agent is Patroni, which keeps no record of its decisions");
    if (answer->status != 200) return failed(fmt::format("{} (HTTP {})", text_of(*answer), answer->status));
    boost::system::error_code problem;
    auto report = boost::json::parse(answer->body, problem);
    if (problem || !report.is_object()) return failed("its answer is no JSON object");
    if (!report.get_object().contains("name")) report.get_object()["name"] = member.name;
    return std::move(report.get_object());
}

Task<Result<int>> why(Session& session, WhyOptions options) {
    auto format = parse_format(options.format);
    if (!format) co_return std::unexpected(format.error());
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    auto members = choose_members(*view, options.words, "any");
    if (!members) co_return std::unexpected(members.error());
    boost::json::array reports;
    bool any_answered = false;
    for (const Member& member : *members) {
        auto answer = co_await ask_member(session, member, "GET", "/pgkeel/decisions", "", 5s,
                                          fmt::format("asking {}", member.name));
        reports.push_back(report_of(member, answer));
        any_answered = any_answered || !reports.back().get_object().contains("error");
    }
    put("{}", *format == Format::json || *format == Format::yaml ? render(reports, *format)
                                                                 : why_report(*view, reports, options.count));
    co_return any_answered ? 0 : 1;
}
}  // namespace

void add_why(CLI::App& app, Context& context) {
    auto options = std::make_shared<WhyOptions>();
    CLI::App* command = add_cluster_command(
        app, "why", "show what each agent decided last, on which facts, and whether a failover is possible now",
        "pgkeel why\n  pgkeel why pg-b -n 20", *options);
    command->add_option("MEMBER", options->words, "[CLUSTER] and members; all when none is named");
    command->add_option("-n,--count", options->count, "decisions of each agent")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    add_format_option(*command, options->format);
    on_chosen(command, context, options, why);
}

}  // namespace pgkeel::cli
