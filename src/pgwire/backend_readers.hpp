#pragma once
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

// What servers send, out of the bodies of their messages. Views point into the body given; where no vector is returned,
// success allocates nothing. Errors have their own header: error_fields.hpp.

namespace pgkeel::pgwire::backend {

enum class TransactionStatus : char { idle = 'I', open = 'T', failed = 'E' };
Result<TransactionStatus> read_ready_for_query(std::string_view body);

/// "SELECT 1", "DEALLOCATE ALL"
Result<std::string_view> read_command_complete(std::string_view body);

struct ParameterStatus {
    std::string_view name;
    std::string_view value;
};
Result<ParameterStatus> read_parameter_status(std::string_view body);

/// What a CancelRequest must hold. The key has 4 bytes in protocol 3.0, up to 256 in 3.2.
struct BackendKeyData {
    std::uint32_t process_id = 0;
    std::string_view key;  ///< a secret
};
Result<BackendKeyData> read_backend_key_data(std::string_view body);

/// The SASL mechanisms offered, as sent: texts, then an empty one.
struct Mechanisms {
    std::string_view raw;
    bool has(std::string_view mechanism) const;
};

struct Authentication {
    enum class Kind : std::uint32_t {
        ok = 0,
        kerberos = 2,
        cleartext = 3,
        md5 = 5,
        gss = 7,
        gss_continue = 8,
        sspi = 9,
        sasl = 10,
        sasl_continue = 11,
        sasl_final = 12,
    };
    Kind kind = Kind::ok;
    Mechanisms mechanisms;  ///< sasl
    std::string_view data;  ///< md5: 4 bytes of salt; gss_continue, sasl_continue, sasl_final: for the mechanism
};
Result<Authentication> read_authentication(std::string_view body);

struct NegotiateProtocolVersion {
    std::uint32_t version = 0;  ///< as a whole number: 196608 for 3.0
    std::vector<std::string_view> refused;
};
Result<NegotiateProtocolVersion> read_negotiate_protocol_version(std::string_view body);

struct Field {
    std::string_view name;
    std::uint32_t table = 0;
    std::uint16_t column = 0;
    std::uint32_t type = 0;
    std::uint16_t type_size = 0;
    std::uint32_t type_modifier = 0;
    std::uint16_t format = 0;  ///< 0: text
};
Result<std::vector<Field>> read_row_description(std::string_view body);

using Values = std::vector<std::optional<std::string_view>>;
Result<Values> read_data_row(std::string_view body);

/// OIDs of a statement's parameters.
Result<std::vector<std::uint32_t>> read_parameter_description(std::string_view body);

struct Notification {
    std::uint32_t process_id = 0;
    std::string_view channel;
    std::string_view payload;
};
Result<Notification> read_notification(std::string_view body);

}  // namespace pgkeel::pgwire::backend
