#include "scenarios/commands.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace pgkeel::scenarios {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& text) {
    throw std::runtime_error(what + ": '" + text + "'");
}

/// "12" with one of the units given behind it; its factor is the second of the pair.
std::int64_t number(const std::string& text, std::initializer_list<std::pair<std::string_view, std::int64_t>> units) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const auto& [name, factor] : units)
        if (error == std::errc{} && unit == name) return value * factor;
    refuse("not a number with a unit", text);
}

Duration duration(const std::string& text) {
    return std::chrono::milliseconds(number(text, {{"ms", 1}, {"s", 1000}, {"", 1000}, {"min", 60000}}));
}
std::chrono::seconds whole_seconds(const std::string& text) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration(text));
}
std::uint64_t bytes(const std::string& text) {
    return static_cast<std::uint64_t>(number(text, {{"B", 1}, {"", 1}, {"kB", 1024}, {"MB", 1048576}}));
}
bool on_off(const std::string& text) {
    return text == "on" || (text != "off" && (refuse("neither on nor off", text), false));
}

std::pair<std::string, std::string> key_value(const std::string& word) {
    const auto at = word.find('=');
    if (at == std::string::npos) refuse("not KEY=VALUE", word);
    return {word.substr(0, at), word.substr(at + 1)};
}

bool set(ClusterSettings& settings, const std::string& key, const std::string& value) {
    if (key == "ttl")
        settings.ttl = whole_seconds(value);
    else if (key == "loop_wait")
        settings.loop_wait = whole_seconds(value);
    else if (key == "maximum_lag")
        settings.maximum_lag_on_failover_bytes = bytes(value);
    else if (key == "primary_start_timeout")
        settings.primary_start_timeout = whole_seconds(value);
    else if (key == "check_timeline")
        settings.check_timeline = on_off(value);
    else if (key == "synchronous")
        settings.synchronous_mode = value == "quorum" ? SynchronousMode::quorum
                                    : on_off(value)   ? SynchronousMode::on
                                                      : SynchronousMode::off;
    else
        return false;
    return true;
}

void cluster(Stage& stage, const Words& words) {
    Words nodes;
    std::string leader;
    Lsn position{0x5000000};
    Timeline timeline{1};
    for (const std::string& word : words) {
        const auto [key, value] = key_value(word);
        if (key == "lease")
            leader = value;
        else if (key == "position")
            position = parse_lsn(value).value();
        else if (key == "timeline")
            timeline = Timeline{static_cast<std::uint32_t>(number(value, {{"", 1}}))};
        else if (!set(stage.settings, key, value))
            nodes.push_back(word);
    }
    for (const std::string& word : nodes)
        stage.add_node(key_value(word).first, key_value(word).second, position, timeline);
    stage.settle(leader);
}

void tag(Stage& stage, const std::string& name, const Words& words) {
    Tags& tags = stage.actor(name).tags;
    for (const std::string& word : words) {
        const auto at = word.find('=');
        const std::string key = word.substr(0, at);
        const std::string value = at == std::string::npos ? "on" : word.substr(at + 1);
        if (key == "nofailover") {
            tags.nofailover = on_off(value);
            tags.failover_priority = tags.nofailover ? 0 : 1;
        } else if (key == "failover_priority") {
            tags.failover_priority = static_cast<int>(number(value, {{"", 1}}));
            tags.nofailover = tags.failover_priority <= 0;
        } else if (key == "clonefrom") {
            tags.clonefrom = on_off(value);
        } else if (key == "replicatefrom") {
            tags.replicatefrom = value;
        } else if (key == "nostream") {
            tags.nostream = on_off(value);
        } else {
            refuse("no such tag", key);
        }
    }
}

/// request switchover pg-a -> pg-b [at TIME] | request switchover pg-a | request failover -> pg-b | request reinit pg-b
void request(Stage& stage, const Words& words) {
    if (words.size() == 2 && words[0] == "reinit") {
        stage.actor(words[1]).memory.reinit_requested = true;
        return;
    }
    FailoverRequest wanted;
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i] == "->" && i + 1 < words.size())
            wanted.candidate = words[++i];
        else if (words[i] == "at" && i + 1 < words.size())
            wanted.scheduled_at = words[++i];
        else
            wanted.leader = words[i];
    }
    if (words[0] != "switchover" && words[0] != "failover") refuse("no such request", words[0]);
    stage.request(std::move(wanted));
}

/// sync pg-a: pg-b pg-c quorum=1
void sync(Stage& stage, const Words& words) {
    SyncKey key;
    key.leader = words[0].substr(0, words[0].find(':'));
    stage.actor(key.leader);
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i].find('=') == std::string::npos) {
            stage.actor(words[i]);
            key.members.push_back(words[i]);
        } else {
            key.quorum = static_cast<int>(number(key_value(words[i]).second, {{"", 1}}));
        }
    }
    stage.write_sync(std::move(key));
}

/// from etcd: both ways; from another node: neither answers the other.
void partition(Stage& stage, const std::string& name, const Words& places) {
    stage.actor(name);
    for (const std::string& place : places) {
        if (place != "etcd" && place != stage.settings.remote.host) stage.actor(place);
        stage.cut.insert({name, place});
        stage.cut.insert({place, name});
    }
}

}  // namespace

const char* commands_help() {
    return R"(cluster NAME=ROLE... [lease=NAME] [ttl=5] [loop_wait=1] [maximum_lag=1MB] [timeline=1] [position=0/5000000]
    roles: primary standby crashed-primary crashed-standby stopped-primary stopped-standby empty patroni-primary patroni-standby
set KEY=VALUE...                      ttl loop_wait maximum_lag primary_start_timeout check_timeline synchronous=on|quorum
sync LEADER: [NAME...] [quorum=N]     what the key sync says
failsafe NAME...                      whom the key failsafe names
accept failsafe NAME                  this node has let the leader go on without etcd
tag NAME TAG[=VALUE]...               nofailover failover_priority clonefrom replicatefrom nostream
follow cluster HOST                   the cluster becomes a standby cluster of one that was copied from it
stand alone                           … and no longer
promote remote                        that one gets a new timeline
pause | resume
advance TIME                          leases are renewed meanwhile, or end
tick [NAME...]                        these nodes, or all with an agent, look, decide and act
show                                  what has become of everybody
partition NAME from PLACE...          PLACE: etcd or another node
heal                                  ends every partition
stop etcd | start etcd | wipe etcd | delete KEY | extend leases TIME
kill postgres|agent|host NAME | kill postmaster NAME | start agent NAME | hang|unhang postgres NAME
write BYTES | lag NAME BYTES | diverge NAME BYTES | catch up NAME
hold NAME | finish NAME | fail NAME   operations go on until finished; fail: what goes on ends with an error
release_hold NAME                     operations are done at once again
promote NAME by hand | restore heartbeat NUMBER
break starts NAME | repair starts NAME
foreign NAME | no_rewind NAME [remove_data]
request switchover LEADER [-> NAME] [at TIME] | request failover -> NAME | request reinit NAME)";
}

void run_command(Stage& stage, const Words& words) {
    const std::string& verb = words[0];
    const Words rest(words.begin() + 1, words.end());
    const auto arguments = [&](std::size_t least) {
        if (rest.size() < least) refuse("too few words", verb);
    };
    if (verb == "cluster") return cluster(stage, rest);
    if (verb == "pause" || verb == "resume") {
        stage.settings.pause = verb == "pause";
        return;
    }
    if (verb == "tick") {
        for (const std::string& name : rest) stage.actor(name);
        return stage.tick({rest.begin(), rest.end()});
    }
    if (verb == "show") return stage.show();
    if (verb == "heal") return stage.cut.clear();
    if (verb == "stand") {
        stage.settings.standby_cluster = false;
        return;
    }
    arguments(1);
    if (verb == "set") {
        for (const std::string& word : rest)
            if (const auto [key, value] = key_value(word); !set(stage.settings, key, value))
                refuse("no such setting", key);
        return;
    }
    if (verb == "advance") return stage.advance(duration(rest[0]));
    if (verb == "write") return stage.write(bytes(rest[0]));
    if (verb == "hold") return void(stage.actor(rest[0]).holds_operations = true);
    if (verb == "release_hold") return void(stage.actor(rest[0]).holds_operations = false);
    if (verb == "foreign") return void(stage.actor(rest[0]).machine.system_identifier = "7000000000000000666");
    if (verb == "finish" || verb == "fail") {
        stage.actor(rest[0]).holds_operations = false;
        return stage.finish(rest[0], verb == "fail");
    }
    if (verb == "no_rewind") {
        stage.actor(rest[0]).abilities.can_rewind = false;
        stage.actor(rest[0]).abilities.remove_data_on_diverged_timelines = rest.size() > 1 && rest[1] == "remove_data";
        return;
    }
    if (verb == "promote" && rest[0] == "remote") return stage.remote_promoted();
    if (rest.back() == "etcd" && verb == "wipe") return stage.wipe_etcd();
    if (rest.back() == "etcd" && (verb == "stop" || verb == "start")) return void(stage.etcd_answers = verb == "start");
    if (verb == "sync") return sync(stage, rest);
    if (verb == "failsafe") {
        std::map<std::string, std::string> api_urls;
        for (const std::string& name : rest) api_urls[name] = "http://" + stage.actor(name).machine.name + ":8008";
        return stage.write_failsafe(std::move(api_urls));
    }
    if (verb == "delete") return stage.delete_key(rest[0]);
    arguments(2);
    if (verb == "tag") return tag(stage, rest[0], {rest.begin() + 1, rest.end()});
    if (verb == "request") return request(stage, rest);
    if (verb == "extend") return void(stage.leases_extended = duration(rest[1]));
    if (verb == "lag") return stage.lag(rest[0], bytes(rest[1]));
    if (verb == "diverge") return void(stage.actor(rest[0]).machine.position.bytes += bytes(rest[1]));
    if (verb == "catch") return void(stage.actor(rest[1]).replication_stuck = false);
    if (verb == "break" || verb == "repair") return void(stage.actor(rest[1]).starts_fail = verb == "break");
    if (verb == "hang" || verb == "unhang") return void(stage.actor(rest[1]).machine.hung = verb == "hang");
    if (verb == "start" && rest[0] == "agent") return stage.start_agent(rest[1]);
    if (verb == "accept" && rest[0] == "failsafe") return stage.accept_failsafe(rest[1]);
    if (verb == "kill" && rest[0] == "postgres") return stage.kill_postgres(rest[1]);
    if (verb == "kill" && rest[0] == "agent") return stage.kill_agent(rest[1]);
    if (verb == "kill" && rest[0] == "host") return stage.kill_host(rest[1]);
    if (verb == "kill" && rest[0] == "postmaster") {
        stage.kill_postgres(rest[1]);
        return void(stage.actor(rest[1]).orphans = true);
    }
    if (verb == "follow" && rest[0] == "cluster") return stage.add_remote(rest[1]);
    if (verb == "promote" && rest.back() == "hand") return stage.promote_by_hand(rest[0]);
    if (verb == "restore" && rest[0] == "heartbeat") return stage.restore_heartbeat(bytes(rest[1]));
    if (verb == "partition" && rest[1] == "from") return partition(stage, rest[0], {rest.begin() + 2, rest.end()});
    refuse("no such command", verb);
}

}  // namespace pgkeel::scenarios
