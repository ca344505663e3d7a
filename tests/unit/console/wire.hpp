#pragma once
#include "pgwire/backend_readers.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/framing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::console {

/// A literal with the NULs inside, without the one that C++ adds.
template <std::size_t size>
std::string bytes(const char (&literal)[size]) {
    return {literal, size - 1};
}

struct Message {
    char type = 0;
    std::string body;
};

/// What a client receives.
inline std::vector<Message> messages(std::string_view stream) {
    std::vector<Message> all;
    const pgwire::Scanner scanner(pgwire::Origin::backend);
    while (!stream.empty()) {
        const pgwire::Front front = scanner.look(stream);
        if (front.kind != pgwire::Front::Kind::whole) {
            ADD_FAILURE() << "no whole message: " << stream;
            return all;
        }
        all.push_back({front.head.type, std::string(front.body(stream))});
        stream.remove_prefix(front.bytes);
    }
    return all;
}

/// One word for each message: a row's values with bars, NULL as ~; an error's SQLSTATE and text; a tag.
inline std::vector<std::string> told(std::string_view stream) {
    namespace backend = pgwire::backend;
    std::vector<std::string> words;
    for (const Message& message : messages(stream)) {
        std::string word(1, message.type);
        if (message.type == 'T')
            for (const auto& field : *backend::read_row_description(message.body))
                word += " " + std::string(field.name) + ":" + std::to_string(field.type) + (field.format ? "b" : "");
        if (message.type == 'D')
            for (const auto& value : *backend::read_data_row(message.body))
                word += "|" + std::string(value.value_or("~"));
        if (message.type == 'C') word += " " + std::string(*backend::read_command_complete(message.body));
        if (message.type == 'E' || message.type == 'N') {
            const auto fields = backend::read_error_fields(message.body);
            word += " " + std::string(fields->sqlstate) + " " + std::string(fields->message);
        }
        words.push_back(word);
    }
    return words;
}

using Words = std::vector<std::string>;

}  // namespace pgkeel::console
