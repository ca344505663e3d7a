#pragma once
#include "config/agent_config.hpp"
#include "config/source.hpp"
#include "config/view.hpp"

#include <string>
#include <vector>

// The sections of the agent's file, one function each: from checked values to the typed model.

namespace pgkeel::config {

/// What reading collects. Errors are collected too, so that one start names every mistake.
struct Findings {
    const Source& source;
    std::vector<Error> errors;
    std::vector<std::string> warnings;

    /// "patroni.yml:3:1: restapi.listen TEXT"
    void error(const std::string& path, const std::string& text, std::string hint = {});
    void warn(const std::string& path, const std::string& text, const std::string& hint = {});
};

RestApi read_restapi(const View& view, Findings& findings);
/// What is not set for calls to the other nodes is taken from `restapi`.
Ctl read_ctl(const View& view, const RestApi& restapi);
Etcd read_etcd(const View& view, Findings& findings);
Bootstrap read_bootstrap(const View& view, Findings& findings);
Postgresql read_postgresql(const View& view, const Environment& environment, Findings& findings);
Watchdog read_watchdog(const View& view);
log::Options read_log(const View& view, Findings& findings);

struct ReadTags {
    Tags tags;
    json::object published;
};
ReadTags read_tags(const json::object& written, Findings& findings);

}  // namespace pgkeel::config
