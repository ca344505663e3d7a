#include "auth/saslprep.hpp"

#include "base/handles.hpp"

#include <unicode/unorm2.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace pgkeel::auth {

namespace {

using Profile = std::unique_ptr<UStringPrepProfile, FreeWith<usprep_close>>;
using Utf16 = std::vector<UChar, WipingAllocator<UChar>>;

/// The profile of RFC 4505: the checks of SASLprep without its mapping and normalisation. Opened once: ICU's profiles
/// may be used by several threads. Null when ICU has no data.
const UStringPrepProfile* profile() {
    static const Profile opened = [] {
        UErrorCode status = U_ZERO_ERROR;
        Profile profile(usprep_openByType(USPREP_RFC4505_TRACE, &status));
        return U_SUCCESS(status) ? std::move(profile) : Profile();
    }();
    return opened.get();
}

std::optional<Utf16> from_utf8(std::string_view text) {
    Utf16 result(text.size());  // UTF-16 never takes more units than UTF-8
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = 0;
    u_strFromUTF8(result.data(), static_cast<int32_t>(result.size()), &length, text.data(),
                  static_cast<int32_t>(text.size()), &status);
    if (U_FAILURE(status)) return {};
    result.resize(static_cast<std::size_t>(length));
    return result;
}

std::optional<SecretText> to_utf8(const Utf16& text) {
    std::vector<char, WipingAllocator<char>> result(text.size() * 3);
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = 0;
    u_strToUTF8(result.data(), static_cast<int32_t>(result.size()), &length, text.data(),
                static_cast<int32_t>(text.size()), &status);
    if (U_FAILURE(status)) return {};
    return SecretText(std::string_view(result.data(), static_cast<std::size_t>(length)));
}

/// RFC 3454 C.1.2, spaces that become a space. U+200B is in B.1 too; PostgreSQL looks here first.
bool is_foreign_space(UChar unit) {
    return unit == 0x00A0 || unit == 0x1680 || (unit >= 0x2000 && unit <= 0x200B) || unit == 0x202F || unit == 0x205F ||
           unit == 0x3000;
}

/// RFC 3454 B.1, what is commonly mapped to nothing.
bool is_nothing(UChar unit) {
    return unit == 0x00AD || unit == 0x034F || unit == 0x1806 || (unit >= 0x180B && unit <= 0x180D) || unit == 0x200C ||
           unit == 0x200D || unit == 0x2060 || (unit >= 0xFE00 && unit <= 0xFE0F) || unit == 0xFEFF;
}

/// Step 1 of RFC 4013.
Utf16 mapped(const Utf16& text) {
    Utf16 result;
    for (const UChar unit : text)
        if (!is_nothing(unit)) result.push_back(is_foreign_space(unit) ? UChar(' ') : unit);
    return result;
}

/// RFC 3454 C.7, the one table that the profile below lacks.
bool is_ideographic_description(UChar unit) {
    return unit >= 0x2FF0 && unit <= 0x2FFB;
}

/// Steps 3 to 5: forbidden and unassigned characters, and the direction of writing.
bool is_permitted(const Utf16& text) {
    if (profile() == nullptr || text.empty() || std::ranges::any_of(text, is_ideographic_description)) return false;
    Utf16 unchanged(text.size() + 1);
    UErrorCode status = U_ZERO_ERROR;
    usprep_prepare(profile(), text.data(), static_cast<int32_t>(text.size()), unchanged.data(),
                   static_cast<int32_t>(unchanged.size()), USPREP_DEFAULT, nullptr, &status);
    return U_SUCCESS(status);
}

/// Step 2.
std::optional<Utf16> normalised(const Utf16& text) {
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2* nfkc = unorm2_getNFKCInstance(&status);
    Utf16 result(text.size() * 18 + 1);  // no character grows by more than this
    const int32_t length = unorm2_normalize(nfkc, text.data(), static_cast<int32_t>(text.size()), result.data(),
                                            static_cast<int32_t>(result.size()), &status);
    if (U_FAILURE(status)) return {};
    result.resize(static_cast<std::size_t>(length));
    return result;
}

/// PostgreSQL judges what it has not normalised yet, unlike RFC 4013 and ICU's own profile of it: a Hebrew letter with
/// its point in one character passes here, and would fail as the two that it becomes.
std::optional<SecretText> prepared(std::string_view password) {
    const auto given = from_utf8(password);
    if (!given) return {};
    const Utf16 text = mapped(*given);
    if (!is_permitted(text)) return {};
    const auto result = normalised(text);
    return result ? to_utf8(*result) : std::nullopt;
}

}  // namespace

SecretText saslprep(std::string_view password) {
    const bool ascii = std::ranges::all_of(password, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!ascii)
        if (auto result = prepared(password)) return *std::move(result);
    return SecretText(password);
}

}  // namespace pgkeel::auth
