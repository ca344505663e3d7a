#include "cli/local_proxy.hpp"
#include "cli/member_table.hpp"
#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cli/when.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace pgkeel::cli {

namespace {
struct ListOptions : ClusterOptions {
    bool watch = false;
    double watch_seconds = 0;
    bool extended = false;
    bool timestamp = false;
    bool as_tree = false;
};

/// What the last change of the primary has cost, while its timeline is the newest.
std::string last_loss(const ClusterView& view, const std::vector<cluster::LostWalReport>& reports) {
    std::string text;
    for (const cluster::LostWalReport& report : reports)
        if (report.bytes() > 0 && view.timeline() && report.timeline.id + 1 == view.timeline().id)
            text += " Lost: " + cluster::describe(report) + "\n";
    return text;
}

Result<> print_once(Session& session, const ClusterView& view, const std::vector<cluster::LostWalReport>& lost,
                    const ListOptions& options, Format format) {
    std::string text;
    if (options.timestamp) text += local_time_text(session.clock.wall_now()) + "\n";
    const auto summary = cluster::summarize(view);
    if (format == Format::table) {
        text += member_table(session.scope(), summary, terminal_width(), options.as_tree, options.extended);
        text += last_loss(view, lost);
        if (const auto proxy = find_local_proxy(options.choice); proxy && proxy->scope == session.scope())
            text += cut_to_width(" " + proxy_in_words(proxy->ports, proxy->runs), terminal_width()) + "\n";
    } else {
        const auto records = member_records(session.scope(), summary);
        text += format == Format::tsv ? render_tsv(member_columns(records), records) : render(records, format);
    }
    put("{}", text);
    std::fflush(stdout);
    return {};
}

Task<Result<int>> list(Session& session, ListOptions options) {
    auto format = parse_format(options.format);
    if (!format) co_return std::unexpected(format.error());
    const double every = options.watch_seconds > 0 ? options.watch_seconds : options.watch ? 2 : 0;
    if (options.words.empty()) options.words.emplace_back();
    while (true) {
        if (every > 0 && is_terminal(1)) put("\033[H\033[2J");
        for (const std::string& cluster : options.words) {
            std::vector<std::string> words;
            if (!cluster.empty()) words.push_back(cluster);
            auto view = co_await session.view_of(words);
            if (!view && every <= 0) co_return std::unexpected(view.error());
            const auto lost = co_await session.admin().lost_wal(session.soon());
            if (!view) {
                report(view.error());  // the next look may find it again
            } else if (auto printed = print_once(session, *view, lost.value_or(std::vector<cluster::LostWalReport>{}),
                                                 options, *format);
                       !printed) {
                co_return std::unexpected(printed.error());
            }
        }
        if (every <= 0) co_return 0;
        co_await session.clock.sleep_for(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(every)));
    }
}

CLI::App* add(CLI::App& app, Context& context, const std::string& name, const std::string& description,
              const std::string& example, std::shared_ptr<ListOptions> options) {
    CLI::App* command = add_cluster_command(app, name, description, example, *options);
    command->add_option("CLUSTER", options->words, "clusters; the configured one when none is named");
    command->add_flag("-W", options->watch, "look again every 2 seconds");
    command->add_option("-w,--watch", options->watch_seconds, "look again every SECONDS (2 when none are given)")
        ->expected(0, 1)
        ->default_str("2")
        ->check(CLI::PositiveNumber);
    command->add_flag("-e,--extended", options->extended, "show pending and scheduled restarts and tags in any case");
    command->add_flag("-t,--timestamp", options->timestamp, "print the time first");
    on_chosen(command, context, options, list);
    return command;
}
}  // namespace

void add_list(CLI::App& app, Context& context) {
    auto options = std::make_shared<ListOptions>();
    CLI::App* command =
        add(app, context, "list", "show who leads, who follows, and how far behind",
            "pgkeel list --watch\n  pgkeel list -f json | jq -r '.[] | select(.Role == \"Leader\").Member'", options);
    command->alias("status");
    add_format_option(*command, options->format);
}

void add_topology(CLI::App& app, Context& context) {
    auto options = std::make_shared<ListOptions>();
    options->as_tree = true;
    add(app, context, "topology", "show who streams from whom, as a tree", "pgkeel topology", options);
}

}  // namespace pgkeel::cli
