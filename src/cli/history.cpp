#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"

#include <boost/json/array.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
Task<Result<int>> history(Session& session, ClusterOptions options) {
    auto format = parse_format(options.format);
    if (!format) co_return std::unexpected(format.error());
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
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
