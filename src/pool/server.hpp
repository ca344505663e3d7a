#pragma once
#include "auth/scram_client.hpp"
#include "pgwire/backend_readers.hpp"
#include "pgwire/framing.hpp"
#include "pool/answers.hpp"
#include "pool/hub.hpp"
#include "pool/partner.hpp"
#include "pool/session_image.hpp"
#include "pool/wire.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgkeel::pool {

class Worker;
struct Withheld;

/// A connection to PostgreSQL, on the thread of its worker.
class Server final : public WireOwner {
  public:
    enum class State {
        connecting,
        logging_in,
        setting_up,  ///< connect_query
        idle,
        testing,  ///< server_check_query, for a partner who waits
        linked,
        cleaning,  ///< ROLLBACK or the reset query, after its client has left
        gone,
    };
    /// What a replication client's server begins with, and nobody else's.
    struct Opening {
        pgwire::ReplicationMode replication = pgwire::ReplicationMode::none;
        std::vector<pgwire::Parameter> parameters;
        std::string options;
        bool is_ordinary() const { return replication == pgwire::ReplicationMode::none; }
    };

    Server(Worker& worker, ServerId id, PoolRecord& pool, Opening opening);
    ~Server();

    /// Resolves, connects, logs in; then the book is told.
    void start();
    void login_timed_out();
    /// Closes it; the book is told. `why`: for the log. A partner is told nothing.
    void end(const std::string& why);
    /// Closes it after an error that its partner is told of, if it has one.
    void fail(const pgwire::backend::Report& why, bool told = false);

    /// An idle one: tests whether it lives, then works for this client if it is still wanted.
    void test_for(ClientRef client);
    void link(Partner& partner);
    /// The partner needs it no more, whatever it is doing. Rolls back and resets if it has to, and goes back to the
    /// book when it is clean.
    void release();
    /// Before it goes back, server_reset_query is run.
    void needs_reset() { needs_reset_ = true; }
    /// Whatever the configuration says: the client has left what no other must see.
    void must_reset() { needs_reset_ = must_reset_ = true; }

    // ---- while linked
    Wire& wire() { return *wire_; }
    /// What the message that is sent next will be answered with.
    void expect(Answer::Kind kind, Answer::Way way = Answer::Way::forward,
                std::unique_ptr<Answer::Subject> subject = nullptr);
    void expect_sync();
    /// The client's CopyDone or CopyFail.
    void end_copy_in();
    /// Answers whose turn it is and which the server was not asked for.
    void answer_what_is_due();
    /// Puts what makes the server know the statement, if it does not.
    void prepare(const StatementRef& statement, std::size_t most);
    /// A client's own Parse of it.
    void parse(const StatementRef& statement, const std::string& client_name, std::size_t most);
    /// The same under a name the client has taken already: the server's error is what the client must see.
    void parse_again(const StatementRef& statement, const std::string& client_name, std::size_t most);
    /// What is sent next uses a statement that the client does not have.
    void expect_unknown(Answer::Kind kind, std::string client_name);
    void close_for(const std::string& client_name, const StatementRef& statement);
    /// Puts the statement that makes its settings the wanted ones. False: they are.
    bool put_settings(const Settings& wanted);
    /// As the client's statement has set it; no value: it has its default.
    void setting_learned(std::string_view name, const std::string* value);
    void settings_forgotten();
    /// It says when this setting changes.
    bool is_reported(std::string_view setting) const { return reported_.find(setting) != nullptr; }
    /// Nothing asked for is unanswered.
    bool is_quiet() const { return answers_.empty() && !skipping_; }
    bool is_skipping() const { return skipping_; }
    /// What a name or a text stands for depends on answers that are still to come: Partner::caught_up() tells when to
    /// ask again.
    bool is_open(std::string_view client_name, const StatementRef& statement) const {
        return answers_.is_open(client_name, statement);
    }
    /// It is at a statement of ours, which no cancel request may hit.
    bool works_for_itself() const {
        return !answers_.empty() && answers_.front().way == Answer::Way::swallow &&
               answers_.front().kind == Answer::Kind::query;
    }
    bool is_copying_both() const { return copying_both_; }
    pgwire::backend::TransactionStatus status() const { return status_; }
    void resume() { wire_->start_reading(); }
    /// The session's settings as the server has them.
    const Settings& settings() const { return settings_; }

    // ---- for cancel requests
    void cancel_begins();
    /// `certain`: its signal has been sent, or will never be.
    void cancel_ends(bool certain);
    std::uint32_t process_id() const { return process_id_; }
    const std::string& cancel_key() const { return cancel_key_; }
    /// Where it was connected to, for another connection to the same place.
    const std::string& connect_address() const { return connect_address_; }
    std::uint16_t port() const { return port_; }

    // ---- for whoever looks
    ServerId id() const { return id_; }
    std::uint32_t number() const { return number_; }
    State state() const { return state_; }
    PoolRecord& pool() const { return pool_; }
    Worker& worker() { return *worker_; }
    void now_on(Worker& worker, OwnedWire wire);
    OwnedWire take_wire() { return std::move(wire_); }
    Partner* partner() { return partner_; }
    bool is_cancelling() const { return cancels_ > 0; }
    std::size_t prepared() const { return statements_.size(); }
    Instant began() const { return began_; }
    WallTime connected_at() const { return connected_at_; }
    Instant since() const { return since_; }
    const Opening& opening() const { return opening_; }
    const Wire* wire_if_any() const { return wire_.get(); }
    /// The member of the cluster that it is connected to; empty: it is configured.
    const std::string& place() const { return place_; }
    std::string label() const;

    // ---- for another process (server_handover.cpp)
    /// Nothing is under way on it, it is clean or its client's, and its connection is nothing but its socket.
    bool may_depart() const;
    /// What it is, without what the book and the pool's user know. Under the hub's mutex.
    ServerImage image() const;
    /// It is not a server of this process any more. Its client is told nothing.
    OwnedWire depart();
    /// Goes on where that one was: idle, or linked with the partner that came with it.
    void go_on(const ServerImage& image, OwnedWire wire, Partner* partner);

    std::size_t received(std::string_view bytes) override;
    void connected() override;
    void secured() override;
    void drained() override;
    void closed(const std::string& why) override;

  private:
    struct Login;  ///< what is needed until it has logged in

    void connect_to(const std::string& address);
    void send_startup();
    std::size_t read_tls_answer(std::string_view bytes);
    std::size_t read_login(std::string_view bytes);
    bool take_login_message(char type, std::string_view body);
    bool authenticate(std::string_view body);
    void answer_sasl(std::string_view server_first);
    void logged_in();
    void wait_for_promotion();
    void ask_for_promotion();
    void ready();
    bool choose_host(std::string& host);
    void leave_place();
    void login_failed(pgwire::backend::Report why, bool server_said_so);

    std::size_t read_idle(std::string_view bytes);
    std::size_t read_answers(std::string_view bytes);
    /// Whether the message goes to the partner. With the body where one is needed.
    bool judge(char type, std::string_view body);
    bool judge_error(std::string_view body);
    void refuse_copy();
    bool say_in_own_name(const Answer::Subject& subject, std::string_view sqlstate);
    bool judge_ready(std::string_view body);
    bool judge_parameter(std::string_view body);
    void skip_to_sync();
    void undo(Answer& answer, bool failed);
    // ---- commits that no standby has confirmed (server_confirmation.cpp)
    bool is_unconfirmed_commit(std::string_view body);
    bool is_asking() const;
    void acquit_if_over();
    void judge_suspicion();
    bool end_is_queued();
    bool withhold(char type, std::string_view message, std::string_view body);
    void request_is_over();
    void give_unless_committed();
    void ask_for_confirmation();
    void confirmation_is_over();
    void give_withheld();
    void fail_unconfirmed();

    void settings_answered();
    bool tell_effects(std::string_view tag);
    void doubt_unreported();
    void forget_statements();
    void after_ready();
    void clean_up();
    void go_idle();
    void run_own(std::string_view sql);

    Worker* worker_;
    ServerId id_;
    PoolRecord& pool_;
    Opening opening_;
    std::unique_ptr<Login> login_;
    OwnedWire wire_;
    Partner* partner_ = nullptr;
    pgwire::Scanner scanner_{pgwire::Origin::backend};
    Answers answers_;
    ServerStatements statements_;
    Settings settings_;
    std::string address_, connect_address_, cancel_key_, place_;
    std::uint32_t number_, process_id_ = 0;
    std::uint16_t port_ = 0;
    State state_ = State::connecting;
    pgwire::backend::TransactionStatus status_ = pgwire::backend::TransactionStatus::idle;
    bool skipping_ = false;  ///< after an error, until a Sync is answered
    bool copying_in_ = false, copying_both_ = false;
    bool swallowing_body_ = false;  ///< what comes of the present body is not for the client
    /// Its client was told that its commit is in doubt: up to ReadyForQuery the server's answers are not for it.
    bool in_doubt_ = false;
    bool is_suspect_ = false;     ///< a cancel request may have ended the wait of a commit that is still to be told of
    bool has_failed_ = false;     ///< the client's request had an error
    bool has_committed_ = false;  ///< while it is suspect: a transaction has ended, and the request goes on
    bool must_confirm_ = false;   ///< the ReadyForQuery that was just judged says that something is committed
    bool cancel_is_loose_ = false;  ///< nobody knows whether a cancel request will still come: for nobody else, then
    std::unique_ptr<Withheld> withheld_;
    bool ready_now_ = false;   ///< ReadyForQuery was read, and what comes of it is still to be done
    bool own_failed_ = false;  ///< a query of ours had an error
    bool ready_own_ = false;   ///< it was the end of a query of ours
    bool confused_ = false;    ///< it answered what it was not asked
    bool needs_reset_ = false, must_reset_ = false, is_resetting_ = false;
    bool release_when_quiet_ = false;
    bool last_words_ = false;  ///< a fatal error was delivered
    int cancels_ = 0;
    /// The client has sent Syncs while it copied in. After an error nobody can tell whether they came before it, and
    /// are answered, or were ignored.
    std::size_t ignored_syncs_ = 0;
    bool is_doubtful_ = false;  ///< so it must not serve anybody else
    std::optional<ClientRef> tested_for_;
    std::optional<pgwire::backend::Report> settings_error_;
    Settings reported_;  ///< at the login: what the server tells whenever it changes
    Settings wanted_;    ///< while they are being set
    std::string made_;   ///< an answer of ours in the place of the server's
    Instant began_{}, since_{};
    WallTime connected_at_{};
};

}  // namespace pgkeel::pool
