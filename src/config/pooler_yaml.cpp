#include "config/address.hpp"
#include "config/pooler_reader.hpp"
#include "config/sections.hpp"

#include <algorithm>
#include <charconv>

// pgkeel's own file: scope, namespace and etcd3 as the agent reads them, and the section `proxy`.

namespace pgkeel::config {
namespace {

struct ProxySection {
    const Source& source;
    PoolerReader& reader;

    PoolerConfig& config() const { return reader.reading.config; }
    std::string where(const std::string& path) const { return source.place(path); }

    /// The key-value pairs of an entry: a map, or a line as an ini has it.
    template <class Owner>
    std::optional<std::vector<IniPair>> pairs(const std::string& path, const json::value& value,
                                              std::span<const Declared<Owner>> table) const {
        if (value.is_null()) return std::vector<IniPair>{};
        if (const auto* line = value.if_string()) {
            auto read = parse_ini_pairs(std::string_view(line->data(), line->size()));
            if (read) return std::move(*read);
            reader.error(where(path), fmt::format("{}: {}", path, read.error().text), read.error().hint);
            return std::nullopt;
        }
        const auto* object = value.if_object();
        if (object == nullptr) {
            reader.error(where(path), path + " is not a map of keys", "write {host: …, port: …}");
            return std::nullopt;
        }
        std::vector<IniPair> out;
        for (const auto& member : *object) {
            const std::string key(member.key());
            const auto* declared = find_declared(table, key);
            auto text = yaml_text(declared != nullptr && declared->is_text(),
                                  declared != nullptr && declared->is_list(), member.value());
            if (text)
                out.push_back({.key = key, .value = std::move(*text)});
            else
                reader.error(where(path + "." + key), fmt::format("{}.{} {}", path, key, text.error().text),
                             text.error().hint);
        }
        // The reader tells no unknown word behind a password of a line; here words are keys without a doubt.
        std::ranges::stable_partition(out, [](const IniPair& pair) { return pair.key != "password"; });
        return out;
    }

    /// `databases`, `users` or `peers`.
    template <class Owner>
    void entries(const json::value& value, const std::string& path, std::span<const Declared<Owner>> table,
                 void (PoolerReader::*take)(const std::string&, const std::string&,
                                            const std::vector<IniPair>&)) const {
        const auto* object = value.if_object();
        if (object == nullptr && value.is_null()) return;
        if (object == nullptr) return reader.error(where(path), path + " is not a map of names", "write name: {…}");
        for (const auto& member : *object) {
            const std::string name(member.key());
            const std::string here = path + "." + name;
            const auto pairs_of_entry = pairs(here, member.value(), table);
            if (pairs_of_entry) (reader.*take)(name, where(here), *pairs_of_entry);
        }
    }

    void listener(const json::value& value, const std::string& path) const {
        const auto* object = value.if_object();
        if (object == nullptr)
            return reader.error(where(path), path + " is not a map",
                                "write {listen: \"0.0.0.0:5000\", route: primary}");
        Listener listener;
        listener.route = Route::primary;
        bool has_address = false;
        for (const auto& member : *object) {
            const std::string key(member.key());
            const std::string here = path + "." + key;
            const auto text = yaml_text(key == "listen", false, member.value());
            if (!text) {
                reader.error(where(here), fmt::format("{} {}", here, text.error().text), text.error().hint);
            } else if (key == "listen") {
                has_address = true;
                address(*text, here, listener);
            } else if (find_declared(listener_keys(), key) == nullptr) {
                std::vector<std::string> names{"listen"};
                for (const auto& declared : listener_keys()) names.emplace_back(declared.name);
                const auto meant = nearest(key, names);
                reader.error(where(here), fmt::format("{} is not a known key", here),
                             meant ? fmt::format("is '{}' meant?", *meant) : "");
            } else {
                reader.assign(listener_keys(), where(here), path + ".", key, *text, listener);
                if (key == "route" && listener.route == Route::configured)
                    reader.error(where(here), here + ": 'configured' is for a pgbouncer.ini",
                                 "write one of: primary, standby, any, split");
            }
        }
        // Only keys have a place of their own: the first one stands for the map.
        const std::string first = object->empty() ? path : path + "." + std::string(object->begin()->key());
        if (!has_address) reader.error(where(first), path + " has no listen", "add listen: \"0.0.0.0:5000\"");
        config().listeners.push_back(std::move(listener));
    }

    void address(const std::string& text, const std::string& path, Listener& listener) const {
        const auto address = split_address(text, "");
        if (!address) return reader.error(where(path), path + " is no host:port", "for example 0.0.0.0:5000");
        listener.host = address->host.empty() ? "*" : address->host;
        std::from_chars(address->port.data(), address->port.data() + address->port.size(), listener.port);
    }

    void listeners(const json::value& value) const {
        config().places["listeners"] = where("proxy.listeners");
        const auto* array = value.if_array();
        if (array == nullptr)
            return reader.error(where("proxy.listeners"), "proxy.listeners is not a list",
                                "write one `- {listen: …, route: …}` a line");
        for (std::size_t i = 0; i < array->size(); ++i) listener((*array)[i], fmt::format("proxy.listeners[{}]", i));
    }

    void setting(const std::string& key, const json::value& value) const {
        const std::string path = "proxy." + key;
        const auto* declared = find_declared(pooler_settings(), key);
        if (declared == nullptr) return unknown(key);
        if (declared->only_ini)
            return reader.error(where(path), path + " is for a pgbouncer.ini", "write proxy.listeners");
        const auto text = yaml_text(declared->is_text(), declared->is_list(), value);
        if (!text) return reader.error(where(path), fmt::format("{} {}", path, text.error().text), text.error().hint);
        config().places[std::string(declared->name)] = where(path);
        if (value.is_null()) return;  // the default
        reader.assign(pooler_settings(), where(path), "proxy.", key, *text, config().settings);
    }

    void unknown(const std::string& key) const {
        std::vector<std::string> names{"listeners", "databases", "users", "peers"};
        for (const PoolerSetting& setting : pooler_settings())
            if (!setting.only_ini) names.emplace_back(setting.name);
        const auto meant = nearest(key, names);
        reader.error(where("proxy." + key), fmt::format("proxy.{} is not a known key", key),
                     meant ? fmt::format("is '{}' meant?", *meant) : "");
    }

    void read(const json::object& proxy) const {
        for (const auto& member : proxy) {
            const std::string key(member.key());
            if (key == "listeners")
                listeners(member.value());
            else if (key == "databases")
                entries(member.value(), "proxy.databases", database_keys(), &PoolerReader::database);
            else if (key == "users")
                entries(member.value(), "proxy.users", user_keys(), &PoolerReader::user);
            else if (key == "peers")
                entries(member.value(), "proxy.peers", peer_keys(), &PoolerReader::peer);
            else
                setting(key, member.value());
        }
    }
};

/// How the members' REST APIs are called: as the members call each other.
void read_rest_tls(const View& view, const Source& source, PoolerConfig& config) {
    // What is wrong in restapi is the agent's to say.
    Findings of_the_agent{.source = source, .errors = {}, .warnings = {}};
    const RestApi restapi = read_restapi(view, of_the_agent);
    const Ctl ctl = read_ctl(view, restapi);
    config.rest_insecure = ctl.insecure;
    // Certificate and key belong together: never one from each section.
    config.rest_tls = ctl.tls.certificate_file.empty() ? restapi.tls : ctl.tls;
    config.rest_tls.ca_file = ctl.tls.ca_file;
}

/// scope, namespace, etcd3 and ctl. The agent's other sections may be there: one file can serve both.
void read_cluster(const Source& source, PoolerReader& reader) {
    PoolerConfig& config = reader.reading.config;
    const View view(source.values);
    Findings findings{.source = source, .errors = {}, .warnings = {}};
    const std::vector<std::string> also_known{"proxy"};
    for (const Finding& finding : check_keys(source.values, agent_options(), also_known)) {
        const auto section = finding.path.substr(0, finding.path.find('.'));
        const bool at_top = section == finding.path;
        if (section.starts_with("x-") || section.starts_with(".") || section == "pgkeel") continue;
        const bool is_ours = section == "scope" || section == "namespace" || section == "etcd3" || section == "ctl";
        if (!is_ours && !(at_top && finding.unknown)) continue;
        if (finding.unknown)
            findings.warn(finding.path, finding.text, finding.hint);
        else
            findings.error(finding.path, finding.text, finding.hint);
    }
    config.follows_cluster = view.has("etcd3") || view.has("etcd") || view.has("scope");
    config.namespace_ = view.text("namespace");
    config.scope = view.text("scope");
    if (config.follows_cluster) {
        if (config.scope.empty()) findings.error("scope", "is missing: which cluster is followed?");
        config.etcd = read_etcd(view, findings);
        read_rest_tls(view, source, config);
    }
    // Findings begin with their place already.
    const auto problem = [](const std::string& text, const std::string& hint) {
        const auto end = std::min(text.find(": "), text.size());
        return Problem{.where = text.substr(0, end), .text = text.substr(std::min(end + 2, text.size())), .hint = hint};
    };
    for (const Error& error : findings.errors) reader.reading.errors.push_back(problem(error.text, error.hint));
    for (const std::string& warning : findings.warnings) config.warnings.push_back(problem(warning, ""));
    for (const std::string& warning : source.warnings)
        config.warnings.push_back({.where = source.name, .text = warning, .hint = ""});
}

}  // namespace

Result<PoolerReading> read_pooler_yaml(const std::string& path, const Environment& environment) {
    const auto source = read_source(path, environment);
    if (!source) return std::unexpected(source.error());
    PoolerReader reader;
    PoolerConfig& config = reader.reading.config;
    config.source = source->name;
    config.settings.conffile = source->name;
    read_cluster(*source, reader);
    const auto* proxy = source->values.if_contains("proxy");
    if (proxy != nullptr && proxy->is_object())
        ProxySection{.source = *source, .reader = reader}.read(proxy->get_object());
    else
        reader.error(source->place("proxy"), "there is no section proxy", "add proxy: with listeners");
    // Without names of its own the proxy serves every database of the cluster.
    if (config.databases.empty() && config.follows_cluster) config.databases["*"].name = "*";
    return reader.finish(false);
}

}  // namespace pgkeel::config
