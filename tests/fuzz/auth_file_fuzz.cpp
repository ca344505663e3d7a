#include "auth/auth_file.hpp"
#include "require.hpp"

#include <cstdint>
#include <string_view>

// userlist.txt: an error that names a line, or users that can be written and read again.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgkeel;
    using namespace pgkeel::auth;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto users = parse_auth_file(text, "file");
    if (!users) {
        REQUIRE(users.error().code == Errc::invalid_input && users.error().text.starts_with("file line "));
        return 0;
    }
    SecretText written;
    for (const auto& [name, secret] : *users) {
        REQUIRE(!name.empty());
        written.append(auth_file_line(name, secret).reveal());
    }
    const auto again = parse_auth_file(written.reveal(), "written");
    REQUIRE(again.has_value() && again->size() == users->size());
    for (const auto& [name, secret] : *users) {
        REQUIRE(again->contains(name));
        const Secret& read = again->at(name);
        REQUIRE(read.kind() == secret.kind() && read.text().reveal() == secret.text().reveal());
    }
    return 0;
}
