#pragma once

namespace pgkeel {

/// "0.1.0"
const char* version();

/// The Patroni whose contract the agent keeps; members compare it (patroni's documentation, "REST API").
const char* patroni_version();

}  // namespace pgkeel
