#include "config/pooler_reader.hpp"

#include <array>

// A pgbouncer.ini, with pgkeel's own settings accepted beside PgBouncer's.

namespace pgkeel::config {
namespace {

constexpr std::array<std::string_view, 4> section_names{"databases", "users", "peers", "pgbouncer"};

void read_setting(const IniEntry& entry, PoolerReader& reader) {
    PoolerConfig& config = reader.reading.config;
    const auto* setting = find_declared(pooler_settings(), entry.key);
    reader.assign(pooler_settings(), entry.where, "", entry.key, entry.value, config.settings);
    if (setting == nullptr) return;
    const std::string name(setting->name);
    if (const auto first = config.places.find(name); first != config.places.end())
        reader.warn(entry.where, fmt::format("{} is set again; {} has no effect", name, first->second));
    config.places[name] = entry.where;
}

void read_entry(const IniSection& section, const IniEntry& entry, PoolerReader& reader) {
    if (section.name == "pgbouncer") return read_setting(entry, reader);
    const auto pairs = parse_ini_pairs(entry.value);
    if (!pairs)
        return reader.error(entry.where, fmt::format("{} of [{}]: {}", entry.key, section.name, pairs.error().text),
                            pairs.error().hint);
    if (section.name == "databases") reader.database(entry.key, entry.where, *pairs);
    if (section.name == "users") reader.user(entry.key, entry.where, *pairs);
    if (section.name == "peers") reader.peer(entry.key, entry.where, *pairs);
}

bool known_section(const IniSection& section, PoolerReader& reader) {
    if (std::ranges::find(section_names, section.name) != section_names.end()) return true;
    const std::vector<std::string> candidates(section_names.begin(), section_names.end());
    const auto meant = nearest(section.name, candidates);
    reader.error(
        section.where, fmt::format("[{}] is not a known section", section.name),
        meant ? fmt::format("is [{}] meant?", *meant) : "there are [pgbouncer], [databases], [users], [peers]");
    return false;
}

}  // namespace

PoolerReading read_pooler_ini(std::string_view text, const std::string& name, const ReadIniFile& read) {
    PoolerReader reader;
    PoolerConfig& config = reader.reading.config;
    config.source = name;
    config.settings.conffile = name;
    config.settings.pgbouncer_compat = true;
    config.settings.threads = 1;
    config.settings.log_format = LogFormat::pgbouncer;

    const Ini ini = parse_ini(text, name, read);
    reader.reading.errors = ini.problems;
    for (const IniSection& section : ini.sections)
        if (known_section(section, reader))
            for (const IniEntry& entry : section.entries) read_entry(section, entry, reader);
    for (const std::string& host : config.settings.listen_addr)
        config.listeners.push_back(
            {.host = host, .port = config.settings.listen_port, .route = Route::configured, .pool_mode = std::nullopt});
    if (const auto place = config.places.find("listen_addr"); place != config.places.end())
        config.places["listeners"] = place->second;
    return reader.finish(true);
}

}  // namespace pgkeel::config
