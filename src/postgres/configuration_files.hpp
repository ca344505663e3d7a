#pragma once
#include "postgres/effective_parameters.hpp"
#include "postgres/files.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pgkeel::postgres {

/// Which recovery a start begins with (PostgreSQL, "Archive Recovery").
enum class Signal { none, standby, recovery };

/// The configuration files of this node's server: writing, keeping copies, restoring them. Every call blocks: use
/// Workers.
class ConfigurationFiles {
  public:
    ConfigurationFiles(const config::AgentConfig& agent, Account account) : agent_(agent), account_(account) {}

    std::string directory() const;        ///< config_dir, or the data directory
    std::string postgresql_conf() const;  ///< …/postgresql.conf
    std::string base_conf() const;        ///< …/postgresql.base.conf

    /// Makes a server's own postgresql.conf the base that ours includes, once. Needs no running server.
    Result<> keep_base();

    struct Written {
        bool postgresql_conf = false, pg_hba = false, pg_ident = false, pgpass = false;
        bool any() const { return postgresql_conf || pg_hba || pg_ident; }
    };
    /// Writes what changed: postgresql.conf, pg_hba.conf and pg_ident.conf (unless hba_file or ident_file point
    /// elsewhere), and takes recovery settings out of postgresql.auto.conf, where they would win over ours.
    Result<Written> write(const Parameters& parameters, const json::object& dynamic, Role role);
    /// pg_hba.conf alone, for a bootstrap.
    Result<> write_pg_hba(const std::string& text);
    /// Appends to pg_hba.conf: `bootstrap.pg_hba` on a new cluster.
    Result<> append_pg_hba(const std::vector<std::string>& lines);

    /// The password file, mode 0600.
    Result<bool> write_pgpass(const std::string& text);

    /// standby.signal and recovery.signal; recovery.conf of older servers is removed.
    Result<> set_signal(Signal signal);
    Signal signal() const;

    /// Copies postgresql.conf, its base, pg_hba.conf and pg_ident.conf to *.backup in the data directory.
    Result<> save_copies();
    /// Puts back from *.backup what is missing (a base backup of a server whose configuration is elsewhere has none);
    /// an absent pg_ident.conf is created empty.
    Result<> restore_copies();

    /// Where hba_file and ident_file point in the file's parameters, when somebody set them.
    std::optional<std::string> elsewhere(const Parameters& parameters, const std::string& parameter) const;

  private:
    std::string backup_of(const std::string& name) const;
    std::string custom_conf(const json::object& dynamic) const;
    std::vector<std::string> kept_names() const;
    Result<> clean_auto_conf();
    const config::AgentConfig& agent_;
    Account account_;
};

}  // namespace pgkeel::postgres
