#pragma once
#include "base/result.hpp"
#include "base/server_state.hpp"
#include "postgres/files.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>

// The data directory as a directory. Everything here blocks: use Workers.

namespace pgkeel::postgres {

/// Beside the data directory while we fill it, `<data_dir>.pgkeel-unfinished`: what is in there is ours to remove,
/// whatever it looks like. pg_basebackup insists on an empty directory, so the mark cannot be inside.
std::string unfinished_mark(const std::string& data_directory);

DataDirectory inspect_data_directory(const std::string& path);

/// Creates it if missing, mode 0700, and marks it as being filled.
/// Errors: unsafe, when it holds something that is neither a cluster nor an unfinished one. This and the next that
/// begin or remove something end what an earlier agent left writing there (writers.hpp).
Result<> begin_filling(const std::string& path, Account account);
/// The copy is complete: takes the mark away.
Result<> end_filling(const std::string& path);
bool is_unfinished(const std::string& path);
/// Errors: unsafe, when it is marked as unfinished or half rewound: no server may be started on it.
Result<> must_be_whole(const std::string& path);

/// In the data directory while pg_rewind changes it: the FIFO `pgkeel_rewinding`. Who finds it there after the program
/// has gone must not start what is left (PostgreSQL 15 manual, pg_rewind, "Warning"): nothing else tells that files are
/// from two histories. pg_rewind removes any file and directory that its source does not have, and passes over what is
/// neither; inside, the mark goes wherever the data go (decision 0014). Errors: io_error; then nothing may be rewound.
Result<> begin_rewinding(const std::string& path, Account account);
Result<> end_rewinding(const std::string& path);
bool is_half_rewound(const std::string& path);

/// Empties the directory, and the directories behind pg_wal and tablespace links with it; the directories themselves
/// stay, as mount points must. Follows no other link. Errors: unsafe, when it does not look like a cluster of ours and
/// is not marked; unsafe, while a postmaster.pid names a living process.
Result<> wipe_data_directory(const std::string& path);
/// Renames to `<path>.<suffix>` (an older one of that name is removed if it is a cluster); link targets are renamed
/// alike.
Result<> set_data_directory_aside(const std::string& path, const std::string& suffix);
/// The process that postmaster.pid names, if it lives and works in this directory.
std::optional<int> living_postmaster(const std::string& path);
/// A process that works in this directory, as every process of a server does; what is left of a dead server's too.
std::optional<int> process_working_in(const std::string& path);
/// 0700 unless it is 0750 already (PostgreSQL takes those two only).
Result<> fix_permissions(const std::string& path, Account account);
/// The mode for files in it: 0600, or 0640 when the group may read the directory.
mode_t file_mode(const std::string& data_directory);

/// patroni.dynamic.json: the dynamic configuration as it was last seen.
Result<std::optional<boost::json::object>> load_dynamic_cache(const std::string& data_directory);
/// Does nothing in a directory that holds no cluster.
Result<> save_dynamic_cache(const std::string& data_directory, const boost::json::object& dynamic, Account account);

}  // namespace pgkeel::postgres
