#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"

#include <boost/json/array.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
/// "Lost with timeline 3: at least 74232 bytes of WAL …"
std::string line_of(const cluster::LostWalReport& report) {
    std::string text = cluster::describe(report);
    if (report.bytes() != 0) return "Lost: " + text;
    text.front() = 'N';  // Nothing is lost of what …
    return text;
}

Task<Result<int>> history(Session& session, ClusterOptions options) {
    auto format = parse_format(options.format);
    if (!format) co_return std::unexpected(format.error());
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    const auto lost = co_await session.admin().lost_wal(session.soon());
    if (!lost) co_return std::unexpected(lost.error());
    if (*format == Format::table) {
        Table table({{"TL", Align::right},
                     {"LSN", Align::right},
                     {"Reason", Align::left, true},
                     {"Timestamp"},
                     {"New Leader"}});
        for (const HistoryEntry& entry : view->history)
            table.add(
                {fmt::format("{}", entry.timeline.id), to_string(entry.lsn), entry.reason, entry.at, entry.new_leader});
        put("{}", table.framed("", terminal_width()));
        for (const cluster::LostWalReport& report : *lost) {
            put("{}\n", line_of(report));
            if (!report.kept_in.empty()) put("  kept on {} in {}\n", report.member, report.kept_in);
            if (!report.not_kept.empty()) put("  not kept: {}\n", report.not_kept);
        }
        co_return 0;
    }
    boost::json::array records;
    for (const HistoryEntry& entry : view->history) {
        boost::json::object record;
        record["TL"] = entry.timeline.id;
        record["LSN"] = entry.lsn.bytes;  // a number, as patronictl prints it
        record["Reason"] = entry.reason;
        record["Timestamp"] = entry.at;
        record["New Leader"] = entry.new_leader;
        for (const cluster::LostWalReport& report : *lost) {
            if (report.timeline != entry.timeline) continue;
            record["Lost Bytes"] = report.bytes();
            record["Lost Exact"] = report.exact;
            if (!report.kept_in.empty()) record["Lost Kept In"] = report.member + ":" + report.kept_in;
        }
        records.push_back(std::move(record));
    }
    put("{}", *format == Format::tsv ? render_tsv({"TL", "LSN", "Reason", "Timestamp", "New Leader"}, records)
                                     : render(records, *format));
    co_return 0;
}
}  // namespace

void add_history(CLI::App& app, Context& context) {
    auto options = std::make_shared<ClusterOptions>();
    CLI::App* command =
        add_cluster_command(app, "history", "show when the primary changed: one line for each timeline that ended",
                            "pgkeel history", *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    add_format_option(*command, options->format);
    on_chosen(command, context, options, history);
}

}  // namespace pgkeel::cli
