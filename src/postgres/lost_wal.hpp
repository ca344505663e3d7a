#pragma once
#include "postgres/files.hpp"
#include "postgres/rewind_rule.hpp"
#include "postgres/server.hpp"

#include <string>
#include <string_view>
#include <vector>

// What is lost when a former primary comes back: WAL that it wrote after the new one had left its timeline. pg_rewind
// and a fresh copy throw it away, so it is copied before.

namespace pgkeel::postgres {

/// Where our history left the leader's. `ours`: the lines of our timeline's history file, which end before `here`.
/// Nothing when one contains the other, or too little is known. Pure.
std::optional<LostWal> lost_wal(const std::vector<HistoryEntry>& ours, const LocalHistory& here,
                                const LeaderHistory& leader);

/// Those of `names`, the files of pg_wal, that hold it: segments in WAL order, before them the history files of
/// its timelines. Segments beyond its end are of older WAL, kept to be written over. Pure.
std::vector<std::string> files_with(const LostWal& lost, std::vector<std::string> names, std::uint64_t segment_bytes);

/// Where a server's own WAL ends, from `pg_waldump --rmgr=XLOG` of it from `begin` on: what its last stop, or its crash
/// recovery, has added behind that does not count. `begin` itself when there is no more than the header of a page
/// between. Nothing when the text does not end with a shutdown checkpoint. Pure.
std::optional<Lsn> end_of_own_wal(std::string_view waldump_output, Lsn begin);

/// The command that shows what was kept.
std::string show_command(const LostWal& lost, const std::string& directory);

struct KeepRequest {
    LostWal lost;
    std::string pg_wal;
    std::string directory;  ///< for all that is kept on this node; made if it is missing
    std::uint64_t bytes_max = 0;
    Account account;
};
/// Copies it into a directory of its own, whose name it is known by: called again, it finds what it has kept before.
/// When all of it is too much, its oldest part; what was kept of earlier losses makes room first. Blocks: use Workers.
/// Errors: io_error — nothing was kept.
Result<Server::KeptWal> keep_lost_wal(const KeepRequest& request);

}  // namespace pgkeel::postgres
