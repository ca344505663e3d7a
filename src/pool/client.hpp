#pragma once
#include "pgwire/framing.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/startup.hpp"
#include "pool/hub.hpp"
#include "pool/partner.hpp"
#include "pool/server.hpp"
#include "pool/session_image.hpp"
#include "pool/session_state.hpp"
#include "pool/stats.hpp"
#include "pool/surroundings.hpp"
#include "pool/wire.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace pgkeel::pool {

class AuthQuery;

/// What clients are told who have to go because the process ends.
extern const pgwire::backend::Report shutting_down;

/// A client's connection, on the thread of its worker. Idle ones are many: what is needed only at times is behind
/// pointers.
class Client final : public WireOwner, public Partner {
  public:
    enum class State : std::uint8_t {
        opening,         ///< the first packet, TLS
        authenticating,  ///< a password exchange, or what we look up for it
        welcoming,       ///< logged in; a server has to tell its parameters first
        idle,
        waiting,     ///< for a server
        setting,     ///< the server is being told the session's settings
        active,      ///< linked
        cancelling,  ///< it is a cancel request
        gone,
    };

    Client(Worker& worker, ClientRef ref, const config::Listener& listener);
    ~Client();
    void begin(OwnedWire wire) { wire_ = std::move(wire); }

    /// Tells it an error that ends its connection.
    void end(const pgwire::backend::Report& why);
    /// Ends it without a word to it. `why`: for the log.
    void leave(const std::string& why);
    void notice(const std::string& text);

    // ---- for whoever looks
    State state() const { return state_; }
    ClientRef ref() const { return ref_; }
    Worker& worker() { return worker_; }
    Wire& wire() { return *wire_; }
    const Wire& wire() const { return *wire_; }
    Server* server() const { return server_; }
    PoolRecord* pool() const { return pool_; }
    DatabaseRecord* database() const { return database_; }
    UserRecord* user() const { return user_; }
    bool is_console() const { return console_ != nullptr; }
    Console& console() { return *console_; }
    std::uint32_t number() const { return number_; }
    bool is_admin() const { return is_admin_; }
    bool has_logged_in() const { return state_ >= State::welcoming && state_ <= State::active; }
    bool is_replication() const { return opening_ != nullptr; }
    pgwire::ReplicationMode replication() const;
    config::PoolMode mode() const { return mode_; }
    const Settings& settings() const { return settings_; }
    /// Why it keeps its server between transactions.
    PinReasons pins() const { return session_ ? session_->pins() : PinReasons(); }
    std::size_t prepared() const { return statements_.size(); }
    WallTime connected_at() const { return connected_at_; }
    Instant began() const { return began_; }
    /// When it began to wait, or when its request or its idleness began.
    Instant since() const { return since_; }
    Instant transaction_since() const { return transaction_since_; }
    Instant query_since() const { return query_since_; }
    bool in_query() const { return query_since_ != Instant{}; }
    bool in_transaction() const { return transaction_since_ != Instant{}; }
    bool was_told_to_wait() const { return told_to_wait_; }
    void told_to_wait() { told_to_wait_ = true; }
    std::string label() const;

    std::size_t received(std::string_view bytes) override;
    void secured() override;
    void drained() override;
    void closed(const std::string& why) override;

    void linked(Server& server) override;
    void deliver(std::string_view bytes) override;
    bool is_full() const override { return wire_ && wire_->backed_up(); }
    bool is_amid_message() const override { return !scanner_.at_border(); }
    void answered() override;
    void caught_up() override;
    void setting_reported(std::string_view name, std::string_view value) override;
    bool completed(std::string_view tag, std::span<const SessionEffect> effects) override;
    void failed() override {
        if (session_) session_->failed();
    }
    void transaction_is(pgwire::backend::TransactionStatus status) override;
    void settings_applied(const pgwire::backend::Report* error) override;
    void statement_failed(std::string_view name) override { statement_lost(name); }
    void statement_skipped(std::string_view name) override { statement_lost(name); }
    void statement_kept(std::string_view name, const StatementRef& statement) override {
        statements_.add(name, statement);
    }
    void statements_forgotten() override { statements_.clear(); }
    void server_drained() override;
    void server_gone(const pgwire::backend::Report& why, bool told) override;
    void refused(const pgwire::backend::Report& why) override { end(why); }

    /// Who the server is for that this client has waited for: itself, or a question about it.
    Partner& partner();
    /// Under the hub's mutex.
    void wait_for(PoolRecord& pool, Orders& orders);
    void try_again(Orders& orders);
    /// The server that it was given has gone on the way.
    void want_again();
    Server::Opening server_opening() const;
    void console_interrupt() { console_->interrupt(); }
    /// Whether a server that comes now is still wanted.
    bool wants() const { return wants_; }
    void forget_waiter() {
        waiter_.reset();
        wants_ = waits_for_dedicated_ = false;
    }

    // ---- for another process (client_handover.cpp)
    /// It has logged in, nothing is under way in its session, and its connection is nothing but its socket.
    bool may_depart() const;
    /// What it is, without the login of its pool. Under the hub's mutex.
    ClientImage image() const;
    /// It is not a client of this process any more; its server, if it has one, is left as it is.
    OwnedWire depart();
    /// Goes on where that one was. Under the hub's mutex.
    void resume(const ClientImage& image, DatabaseRecord& database, UserRecord& user, PoolRecord& pool);
    /// After that: with its wire, and with the server that came with it.
    void go_on(OwnedWire wire, Server* server);
    /// The other process does not want it: it is not asked again.
    void stay() { stays_ = true; }

  private:
    friend class AuthQuery;
    struct Login;

    // client_login.cpp
    std::size_t read_opening(std::string_view bytes);
    void take_cancel(const pgwire::CancelRequest& request);
    bool pass_on_to_peer(std::string key);
    void take_startup(pgwire::StartupMessage startup);
    bool take_parameters(const pgwire::StartupMessage& startup);
    bool find_identity();
    void choose_method();
    void use_method(config::AuthType method, std::string_view map);
    void secret_is_known(std::optional<auth::Secret> secret);
    void offer_scram();
    std::size_t read_authentication(std::string_view bytes);
    void take_password(std::string_view body);
    void take_sasl(std::string_view body);
    void authentication_failed(const char* method);
    void authenticated();
    void auth_query_answered(Result<std::optional<auth::Secret>> answer);
    void enter();
    void enter_console();
    std::optional<pgwire::backend::Report> count_console_client();
    void write_key(pgwire::Writer& writer) const;
    void welcome();
    void add_host_to_application_name();

    // client_requests.cpp
    std::size_t read_requests(std::string_view bytes);
    std::size_t read_console(std::string_view bytes);
    bool take_server();
    bool put_settings();
    bool tracks_statements() const;
    static bool needs_name(char type);
    static bool is_enough_here(const pgwire::Front& front, std::string_view bytes);
    std::optional<std::size_t> hold_back();
    std::optional<std::size_t> put_renamed(const pgwire::Front& front, std::string_view bytes);
    std::optional<pgwire::backend::Report> refusal_of(char type) const;
    void expect_answer(char type, std::unique_ptr<Answer::Subject> subject = nullptr);
    const std::string& name_on_server(const StatementRef& statement) const;
    void begin_request();
    void read_on();

    // client_session.cpp
    bool watches_session() const;
    static bool is_text_here(const pgwire::Front& front);
    bool waits_for_text(const pgwire::Front& front) const;
    std::unique_ptr<Answer::Subject> subject_of(const pgwire::Front& front, std::string_view bytes);
    void note_parse(const pgwire::frontend::Parse& parse);
    void note_bind(const pgwire::frontend::BindNames& names, const Statement* statement);
    SessionState& session();
    void change_setting(const SessionState::Change& change);
    void forget_portals();

    void leave_hub();
    void rest();

    bool keeps_server() const { return mode_ == config::PoolMode::session || !pins().none(); }
    void give_back();
    void forget_server();
    void statement_lost(std::string_view name);

    Worker& worker_;
    ClientRef ref_;
    OwnedWire wire_;
    const config::Listener* listener_;
    DatabaseRecord* database_ = nullptr;
    UserRecord* user_ = nullptr;
    PoolRecord* pool_ = nullptr;
    Server* server_ = nullptr;
    Stats* stats_ = nullptr;
    std::unique_ptr<Login> login_;
    std::unique_ptr<Console> console_;
    std::unique_ptr<pgwire::StartupMessage> opening_;  ///< of a replication client
    Settings settings_;
    Settings login_settings_;                                            ///< what RESET means
    std::unique_ptr<SessionState> session_;                              ///< null: nothing is left behind
    SessionEffectsRef unnamed_effects_;                                  ///< of the unnamed statement
    std::unique_ptr<std::map<std::string, SessionEffectsRef>> portals_;  ///< those with effects, if there are any
    ClientStatements statements_;
    pgwire::Scanner scanner_{pgwire::Origin::frontend};
    std::optional<WaiterId> waiter_;
    std::uint64_t cancel_key_ = 0;
    std::uint32_t number_;
    WallTime connected_at_{};
    Instant began_{}, since_{}, transaction_since_{}, query_since_{};
    State state_ = State::opening;
    config::PoolMode mode_ = config::PoolMode::session;
    bool counted_ = false;      ///< among the hub's clients
    bool has_entered_ = false;  ///< counted with its database and user
    bool wants_ = false;        ///< a server, and the book knows
    bool discarding_body_ = false;
    bool is_held_back_ = false;  ///< the server takes no more now, or its answers are needed first
    bool told_to_wait_ = false;
    std::uint8_t servers_lost_ = 0;  ///< before anything was sent to them
    bool is_admin_ = false;
    bool waits_for_dedicated_ = false;
    bool stays_ = false;
};

}  // namespace pgkeel::pool
