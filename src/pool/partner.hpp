#pragma once
#include "pgwire/backend_builders.hpp"
#include "pool/session_effects.hpp"
#include "pool/statements.hpp"

#include <span>
#include <string>
#include <string_view>

namespace pgkeel::pool {

class Server;

/// Whom a server works for: a client, or a question of our own.
class Partner {
  public:
    /// The server that was wanted. It stays until it is given back, or has gone.
    virtual void linked(Server& server) = 0;
    /// Bytes of the server for the client; whole or parts of messages.
    virtual void deliver(std::string_view bytes) = 0;
    /// Takes no more now; whoever delivers stops until Server::resume().
    virtual bool is_full() const = 0;
    /// It has sent a part of a message: nothing else may be put behind that.
    virtual bool is_amid_message() const { return false; }
    /// ReadyForQuery was delivered; everything asked for is answered, and the server is clean if it says so. The
    /// partner may give the server back now.
    virtual void answered() = 0;
    /// Another ReadyForQuery has come, and more is expected; or a Sync is not going to be answered.
    virtual void caught_up() {}
    /// The session's setting has this value now.
    virtual void setting_reported(std::string_view, std::string_view) {}
    /// A statement of the partner has ended well. `effects`: what it leaves in the session, as far as its text is
    /// known. Returns whether the partner sees to it that the server's settings are known.
    virtual bool completed(std::string_view, std::span<const SessionEffect>) { return false; }
    /// One has failed.
    virtual void failed() {}
    /// What ReadyForQuery says, before it is delivered.
    virtual void transaction_is(pgwire::backend::TransactionStatus) {}
    /// What was put in front of the first message, and was answered. Nothing: it has worked.
    virtual void settings_applied(const pgwire::backend::Report*) {}
    /// A Parse under this name has failed, or was skipped behind another error; a Close was skipped, or all was
    /// forgotten at the client's wish.
    virtual void statement_failed(std::string_view) {}
    virtual void statement_skipped(std::string_view) {}
    virtual void statement_kept(std::string_view, const StatementRef&) {}
    virtual void statements_forgotten() {}
    /// The server takes bytes again.
    virtual void server_drained() {}
    /// The server has gone. `told`: the client has had the server's own last words.
    virtual void server_gone(const pgwire::backend::Report& why, bool told) = 0;
    /// No server can be had.
    virtual void refused(const pgwire::backend::Report& why) = 0;

  protected:
    ~Partner() = default;
};

}  // namespace pgkeel::pool
