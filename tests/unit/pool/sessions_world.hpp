#pragma once
#include "log/log.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pool/worker.hpp"
#include "sessions_postgres.hpp"
#include "sessions_wire.hpp"

#include <deque>
#include <functional>
#include <list>
#include <random>
#include <stdexcept>
#include <string>

// The whole proxy but for sockets and threads: workers on one hub, clients, one PostgreSQL. Nothing happens by itself:
// the world does one thing after another, in order or, with a seed, in any order that could be.

namespace pgkeel::pool {

class World;

/// A program that talks to the proxy.
class FakeClient final : public Peer {
  public:
    explicit FakeClient(World& world) : world_(world) {}
    MemoryWire* wire = nullptr;
    Client* session = nullptr;  ///< valid until `closed`
    bool closed = false;        ///< by the proxy
    void got(std::string_view bytes) override { in_ += bytes; }
    void hung_up() override { closed = true; }
    void send(std::string_view bytes) { wire->send(bytes); }
    void leave() { wire->hang_up(); }

    FakeClient& startup(std::vector<pgwire::Parameter> parameters = {}, std::string user = "app",
                        std::string database = "db");
    FakeClient& query(std::string_view text) {
        return write([&](pgwire::Writer& out) { pgwire::frontend::write_query(out, text); });
    }
    FakeClient& parse(std::string_view name, std::string_view text) {
        return write([&](pgwire::Writer& out) { pgwire::frontend::write_parse(out, name, {{}, text, {}}); });
    }
    FakeClient& bind(std::string_view name, std::optional<std::string_view> value = {}, std::string_view portal = "") {
        return write([&](pgwire::Writer& out) {
            pgwire::frontend::write_bind(out, portal, name, value ? std::span(&value, 1) : std::span(&value, 0));
        });
    }
    FakeClient& describe(char kind, std::string_view name) {
        return write([&](pgwire::Writer& out) {
            pgwire::frontend::write_describe(out, {static_cast<pgwire::frontend::Target::Kind>(kind), name});
        });
    }
    FakeClient& close(char kind, std::string_view name) {
        return write([&](pgwire::Writer& out) {
            pgwire::frontend::write_close(out, {static_cast<pgwire::frontend::Target::Kind>(kind), name});
        });
    }
    FakeClient& execute(std::uint32_t most = 0, std::string_view portal = "") {
        return write([&](pgwire::Writer& out) { pgwire::frontend::write_execute(out, {portal, most}); });
    }
    FakeClient& sync() {
        return write([](pgwire::Writer& out) { pgwire::frontend::write_sync(out); });
    }
    FakeClient& flush() {
        return write([](pgwire::Writer& out) { pgwire::frontend::write_flush(out); });
    }
    FakeClient& copy_data(std::string_view data) { return raw('d', data); }
    FakeClient& copy_done() { return raw('c', {}); }
    FakeClient& copy_fail() { return raw('f', std::string_view("why\0", 4)); }
    FakeClient& terminate() { return raw('X', {}); }
    FakeClient& password(std::string_view text) {
        return write([&](pgwire::Writer& out) { pgwire::frontend::write_password(out, text); });
    }
    FakeClient& raw(char type, std::string_view body) {
        return write([&](pgwire::Writer& out) {
            out.begin(type);
            out.bytes(body);
            out.end();
        });
    }
    /// What was answered since the last time, in short: "T D(a) C(SELECT 1) Z(I)". Incomplete bytes stay.
    std::string answers();
    /// Lets the world go on first.
    std::string answer();
    /// What follows is collected, and sent by flush_now() as one piece.
    void collect() { collecting_ = true; }
    std::string collected() {
        collecting_ = false;
        return std::exchange(held_, {});
    }
    std::map<std::string, std::string> parameters;  ///< as told last
    std::string key;                                ///< of the last BackendKeyData, as a CancelRequest holds it
    std::size_t bytes_in() const { return in_.size(); }
    std::string take_raw() { return std::exchange(in_, {}); }
    bool answers_are_messages = true;

  private:
    template <class F>
    FakeClient& write(F make) {
        std::string bytes;
        pgwire::Writer writer(bytes);
        make(writer);
        if (collecting_)
            held_ += bytes;
        else
            send(bytes);
        return *this;
    }
    World& world_;
    std::string in_, held_;
    bool collecting_ = false;
};

class FakeConsole final : public Console {
  public:
    explicit FakeConsole(Client& client) : client_(client) {}
    std::vector<Setting> greeting() const override { return {{"server_version", "15.8/bouncer"}}; }
    void message(char, std::string_view) override {
        std::string answer;
        pgwire::Writer writer(answer);
        pgwire::backend::write_command_complete(writer, "SHOW");
        pgwire::backend::write_ready_for_query(writer, pgwire::backend::TransactionStatus::idle);
        client_.wire().put(answer);
    }
    bool busy() const override { return false; }
    void interrupt() override {}

  private:
    Client& client_;
};

class World final : public Surroundings {
  public:
    config::PoolerConfig config;
    Access access;
    Postgres postgres;
    config::Listener listener;
    /// Nonzero: what happens next is drawn.
    std::uint64_t seed = 0;
    /// Of the bytes that arrive, so many at once; with a seed, drawn up to that.
    std::size_t piece = std::size_t{1} << 30;
    std::size_t client_room = std::size_t{1} << 30, server_room = std::size_t{1} << 30;
    bool client_tls_is_on = false, server_tls_is_on = false;
    std::shared_ptr<Hub> hub;
    std::vector<std::unique_ptr<Worker>> workers;
    std::list<std::unique_ptr<FakeClient>> clients;
    std::list<std::unique_ptr<MemoryWire>> wires;
    Instant time{std::chrono::hours(1)};
    bool offloads_wait = false;

    World() {
        log::Options quiet;
        quiet.level = log::Level::critical;
        (void)log::configure(quiet);
        config.settings.auth_type = config::AuthType::trust;
        config.settings.pool_mode = config::PoolMode::transaction;
        config.settings.default_pool_size = 1;
        config.settings.server_tls_sslmode = config::TlsMode::disable;
        config.settings.client_tls_sslmode = config::TlsMode::disable;
        config.settings.pgbouncer_compat = false;
        config.settings.max_client_conn = 0;
        config::DatabaseEntry entry;
        entry.name = "db";
        entry.hosts = {"pg"};
        config.databases["db"] = entry;
        user("app", "secret");
    }
    ~World() override {
        // Sessions close their wires, which must be there.
        workers.clear();
        jobs_.clear();
    }
    void user(const std::string& name, std::string_view secret) {
        access.users[name] = *auth::Secret::parse(secret);
        if (!postgres.passwords.contains(name)) postgres.passwords[name] = secret;
    }
    /// After the configuration was written.
    World& start(std::size_t count = 1) {
        random_.seed(seed);
        auto shared = std::make_shared<const config::PoolerConfig>(config);
        hub = std::make_shared<Hub>(shared, std::make_shared<const Access>(std::move(access)),
                                    *auth::MockVerifiers::fresh());
        jobs_.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            workers.push_back(std::make_unique<Worker>(static_cast<WorkerId>(i), *hub, *this));
            workers.back()->set_config(shared);
        }
        return *this;
    }
    void reconfigure() {
        auto shared = std::make_shared<const config::PoolerConfig>(config);
        Orders orders;
        {
            const std::scoped_lock lock(hub->mutex);
            hub->apply(shared, time, orders);
        }
        for (auto& worker : workers) worker->set_config(shared);
        workers[0]->carry_out(orders);
        flush();
    }

    /// A connection on which nothing was said yet.
    FakeClient& connect_client(std::size_t worker = 0) {
        clients.push_back(std::make_unique<FakeClient>(*this));
        FakeClient& client = *clients.back();
        WireFacts facts;
        facts.address = "192.0.2.7";
        facts.port = static_cast<std::uint16_t>(40000 + clients.size());
        wires.push_back(std::make_unique<MemoryWire>(client, facts));
        MemoryWire& wire = *wires.back();
        wire.room = client_room;
        client.wire = &wire;
        client.session = &workers[worker]->accept(listener, [&wire](WireOwner& owner) {
            wire.own(&owner);
            return OwnedWire(&wire);
        });
        return client;
    }
    /// One that has logged in.
    FakeClient& client(std::size_t worker = 0, std::vector<pgwire::Parameter> parameters = {},
                       std::string user_name = "app", std::string database = "db") {
        FakeClient& made = connect_client(worker);
        made.startup(std::move(parameters), std::move(user_name), std::move(database));
        made.answer();
        return made;
    }

    /// One thing that can happen now. False: there is none.
    bool step() {
        todo_.clear();
        for (auto& wire : wires) {
            if (wire->can_connect()) todo_.push_back({Do::connect, wire.get(), 0});
            if (wire->can_secure()) todo_.push_back({Do::secure, wire.get(), 0});
            if (wire->can_receive()) todo_.push_back({Do::receive, wire.get(), 0});
            if (wire->can_drain()) todo_.push_back({Do::drain, wire.get(), 0});
            if (wire->can_tell_end()) todo_.push_back({Do::end, wire.get(), 0});
            if (wire->can_deliver()) todo_.push_back({Do::deliver, wire.get(), 0});
            if (wire->can_tell_peer()) todo_.push_back({Do::tell_peer, wire.get(), 0});
        }
        for (std::size_t i = 0; i < jobs_.size(); ++i)
            if (!jobs_[i].empty()) todo_.push_back({Do::job, nullptr, i});
        if (!work_.empty() && !offloads_wait) todo_.push_back({Do::work, nullptr, 0});
        if (todo_.empty()) return false;
        const Event event = todo_[seed == 0 ? 0 : pick(todo_.size())];
        perform(event);
        flush();
        return true;
    }
    void run() {
        for (std::size_t steps = 0; step(); ++steps)
            if (steps > 2'000'000) throw std::runtime_error("the world does not come to rest");
    }
    /// In steps, each of which the workers look at.
    void pass(Duration duration, int steps = 1) {
        for (int i = 0; i < steps; ++i) {
            time += duration / steps;
            for (auto& worker : workers) {
                worker->maintain();
                flush();
            }
            run();
        }
    }
    std::size_t pick(std::size_t count) { return static_cast<std::size_t>(random_() % count); }
    std::size_t work_waiting() const { return work_.size(); }
    Book::Counts counts(const std::string& database = "db", const std::string& user_name = "app") {
        const std::scoped_lock lock(hub->mutex);
        for (const auto& [key, pool] : hub->pools)
            if (pool->database->name == database && pool->user->name == user_name) return hub->book.counts(pool->id);
        return {};
    }
    /// What was broken on the way; empty when all is well.
    std::string troubles() const {
        std::string all;
        for (const std::string& one : postgres.violations) all += one + "\n";
        for (const auto& wire : wires)
            if (!wire->broken.empty()) all += wire->broken + "\n";
        return all;
    }

    // ---- what the sessions see
    Instant now() const override { return time; }
    WallTime wall_now() const override { return WallTime(std::chrono::hours(400'000)); }
    void after(Duration, Job) override {}  // maintain() does the same, only later
    void offload(Job work, Job done) override { work_.emplace_back(std::move(work), std::move(done)); }
    void post(WorkerId worker, std::move_only_function<void(Worker&)> job) override {
        jobs_.at(worker).push_back(std::move(job));
    }
    void resolve(const std::string& host, std::uint16_t,
                 std::move_only_function<void(Result<std::string>)> done) override {
        work_.emplace_back([] {},
                           [host, done = std::move(done)]() mutable {
                               if (host == "nowhere")
                                   done(fail(Errc::not_found, "no such host"));
                               else
                                   done(std::string("198.51.100.1"));
                           });
    }
    OwnedWire connect(const std::string& address, std::uint16_t port, WireOwner& owner) override {
        Backend& backend = postgres.add();
        WireFacts facts;
        facts.address = address;
        facts.port = port;
        wires.push_back(std::make_unique<MemoryWire>(backend, facts));
        MemoryWire& wire = *wires.back();
        wire.room = server_room;
        wire.waits_for_connection = true;
        if (postgres.unreachable) wire.hang_up();
        backend.wire = &wire;
        wire.own(&owner);
        return OwnedWire(&wire);
    }
    void hand_over(OwnedWire wire, WorkerId to, std::move_only_function<void(Worker&, Attach)> arrived) override {
        static_cast<MemoryWire&>(*wire).hand_on();
        jobs_.at(to).push_back([wire = std::move(wire), arrived = std::move(arrived)](Worker& worker) mutable {
            arrived(worker, [wire = std::move(wire)](WireOwner& owner) mutable {
                static_cast<MemoryWire&>(*wire).own(&owner);
                return std::move(wire);
            });
        });
    }
    /// Sessions that have left, as bytes, with their wires.
    struct Departed {
        auth::SecretText image;
        MemoryWire* client = nullptr;
        MemoryWire* server = nullptr;
    };
    std::vector<Departed> departed;
    std::vector<std::uint64_t> asked_elsewhere;
    std::vector<std::uint32_t> cancels_done;
    void depart(SessionImage image, OwnedWire client, OwnedWire server) override {
        const auto loosen = [](OwnedWire wire) {
            auto* const memory = static_cast<MemoryWire*>(wire.release());
            if (memory != nullptr) memory->own(nullptr);
            return memory;
        };
        departed.push_back({encode(image), loosen(std::move(client)), loosen(std::move(server))});
    }
    bool cancel_elsewhere(std::uint64_t key, ClientRef) override {
        asked_elsewhere.push_back(key);
        return false;
    }
    void cancelled(std::uint32_t asker) override { cancels_done.push_back(asker); }
    /// The same bytes and wires in this world, which may be another one than they have left.
    Result<> arrive(
        const Departed& session, std::size_t worker = 0, std::function<bool()> confirm = [] { return true; }) {
        const auto image = decode_session(session.image.reveal());
        if (!image) return std::unexpected(image.error());
        const auto attach = [](MemoryWire* wire) {
            return [wire](WireOwner& owner) {
                wire->own(&owner);
                return OwnedWire(wire);
            };
        };
        auto done = workers[worker]->admit(
            *image, listener,
            {.client = attach(session.client), .server = attach(session.server), .confirm = std::move(confirm)});
        flush();
        return done;
    }
    std::shared_ptr<ssl_ctx_st> client_tls() const override { return client_tls_is_on ? context() : nullptr; }
    std::shared_ptr<ssl_ctx_st> server_tls() const override { return server_tls_is_on ? context() : nullptr; }
    std::unique_ptr<Console> open_console(Client& client) override { return std::make_unique<FakeConsole>(client); }

    void flush() {
        for (auto& wire : wires) wire->flush();
    }

  private:
    enum class Do { connect, secure, receive, drain, end, deliver, tell_peer, job, work };
    struct Event {
        Do what;
        MemoryWire* wire;
        std::size_t worker;
    };
    void perform(const Event& event) {
        const std::size_t amount = seed == 0 ? piece : 1 + pick(piece);
        switch (event.what) {
            case Do::connect:
                // Nobody listens: the wire's end is told instead.
                if (postgres.unreachable) return event.wire->tell_end();
                return event.wire->connect();
            case Do::secure:
                return event.wire->secure();
            case Do::receive:
                return event.wire->receive(amount);
            case Do::drain:
                return event.wire->drain();
            case Do::end:
                return event.wire->tell_end();
            case Do::deliver:
                return event.wire->deliver(amount);
            case Do::tell_peer:
                return event.wire->tell_peer();
            case Do::job: {
                auto job = std::move(jobs_[event.worker].front());
                jobs_[event.worker].pop_front();
                return job(*workers[event.worker]);
            }
            case Do::work: {
                auto [work, done] = std::move(work_.front());
                work_.pop_front();
                work();
                return done();
            }
        }
    }
    static std::shared_ptr<ssl_ctx_st> context() {
        static int something = 0;
        return {reinterpret_cast<ssl_ctx_st*>(&something), [](ssl_ctx_st*) {}};
    }

    std::mt19937_64 random_;
    std::vector<Event> todo_;
    std::vector<std::deque<std::move_only_function<void(Worker&)>>> jobs_;
    std::deque<std::pair<Job, Job>> work_;
};

inline FakeClient& FakeClient::startup(std::vector<pgwire::Parameter> startup_parameters, std::string user,
                                       std::string database) {
    pgwire::StartupMessage message;
    message.user = std::move(user);
    message.database = std::move(database);
    message.parameters = std::move(startup_parameters);
    return write([&](pgwire::Writer& out) { pgwire::frontend::write_startup(out, message); });
}

inline std::string FakeClient::answer() {
    world_.run();
    return answers();
}

inline std::string FakeClient::answers() {
    std::string text;
    const auto say = [&](std::string_view word) {
        if (!text.empty()) text += ' ';
        text += word;
    };
    for (;;) {
        if (in_.size() < 5) break;
        std::uint32_t length = 0;
        for (int i = 1; i < 5; ++i) length = length << 8 | static_cast<unsigned char>(in_[static_cast<std::size_t>(i)]);
        if (length < 4 || length > (1U << 24)) {
            answers_are_messages = false;
            say("?");
            break;
        }
        if (in_.size() < std::size_t{1} + length) break;
        const char type = in_[0];
        const std::string body = in_.substr(5, length - 4);
        in_.erase(0, 1 + length);
        switch (type) {
            case 'D': {
                const auto row = pgwire::backend::read_data_row(body);
                std::string values;
                if (row)
                    for (const auto& value : *row)
                        values += (values.empty() ? "" : ",") + std::string(value.value_or("-"));
                say("D(" + values + ")");
                break;
            }
            case 'C':
                say("C(" + body.substr(0, body.size() - 1) + ")");
                break;
            case 'Z':
                say("Z(" + body + ")");
                break;
            case 'd':
                say("d(" + body + ")");
                break;
            case 'E':
            case 'N': {
                const auto fields = pgwire::backend::read_error_fields(body);
                say(std::string(1, type) + "(" + std::string(fields->severity) + " " + std::string(fields->sqlstate) +
                    " " + std::string(fields->message) + ")");
                break;
            }
            case 'S': {
                const auto parameter = pgwire::backend::read_parameter_status(body);
                parameters[std::string(parameter->name)] = parameter->value;
                say("S(" + std::string(parameter->name) + "=" + std::string(parameter->value) + ")");
                break;
            }
            case 'K':
                key = body;
                say("K");
                break;
            case 'R':
                say("R(" + std::to_string(static_cast<int>(body[3])) + ")");
                break;
            default:
                say(std::string(1, type));
        }
    }
    if (closed && in_.empty()) say("closed");
    return text;
}

}  // namespace pgkeel::pool
