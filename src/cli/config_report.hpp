#pragma once
#include "config/pooler.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

namespace pgkeel::cli {

/// What is known of one file as the configuration of one kind of process.
struct ConfigReport {
    std::string file;
    std::string process = {};  ///< "proxy" or "agent"; empty: the file could not be read
    std::vector<config::Problem> errors = {}, warnings = {};
    std::string summary = {};  ///< what it configures, when it is right
    bool unreadable = false;

    /// 0 without errors, 1 unreadable, 2 with errors.
    int exit_status() const;
    /// `FILE:LINE: error: text`, a line for its hint, and a last line about the whole.
    std::string to_text() const;
    boost::json::object to_json() const;
};

/// The proxy's report of a pgbouncer.ini and of a YAML with the section `proxy`; the agent's of another YAML; both of
/// one that has `proxy` beside an agent's sections.
std::vector<ConfigReport> check_config_file(const std::string& path, const config::Environment& environment);

/// "p.yml:3:1: TEXT" in its parts; where no place is named, it is `file`. For texts that stand alone.
config::Problem problem_from(const std::string& text, const std::string& file);

/// Several errors in one text, "p.yml:3:1: A; p.yml:9:2: B", each on its own; the hints come with the last one.
std::vector<config::Problem> problems_from(const Error& error, const std::string& file);

}  // namespace pgkeel::cli
