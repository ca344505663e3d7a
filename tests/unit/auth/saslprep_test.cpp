#include "auth/saslprep.hpp"
#include "auth/scram.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

using namespace pgkeel::auth;

namespace {

struct Case {
    std::string_view what;
    std::string_view password;
    std::string_view verifier;  ///< made by PostgreSQL 15's own code (libpq's PQencryptPasswordConn)
};

constexpr std::array cases = std::to_array<Case>({
    {"a soft hyphen is dropped",
     "I"
     "\xc2\xad"
     "X",
     "SCRAM-SHA-256$4096:aO5tvnF67eacvMPqJeKeJA==$f1uwPVY/"
     "e6yDgKmxmIPvegmq9NogRzC+XbYabepPCmI=:KGO0xoIyatqKPT5t9YuRnPoIUhCB/IjM9qHrYF3Q3k0="},
    {"a Roman numeral is IX",
     ""
     "\xe2\x85\xa8"
     "",
     "SCRAM-SHA-256$4096:/HH7phrswAXz+Oh67iRT4A==$G04SF/"
     "QU8Ihv1xnPMwDaa1EZucNy2SjCDaOjOJclcfo=:EWVU8kLXMUIfKq8oKPNjpxGII71KjVEQi40+dtO/D88="},
    {"a no-break space is a space",
     "pass"
     "\xc2\xa0"
     "word",
     "SCRAM-SHA-256$4096:Dz6GdNPIHNU+dzNb1OkJpQ==$hTitOhHuXWIiz7hujpmqFPqV2E6Ce1lVaTfwf50OF+U=:cTW/"
     "dOr4m1PnBHlPYXQzfqLu07VMiRSU0w2Aa7BL6gM="},
    {"not UTF-8",
     ""
     "\xff\xfe"
     "",
     "SCRAM-SHA-256$4096:NF5CqOfYnU+Z2VmqdZ1nLg==$V/HzIa2qlD9Fzvv/AjY/"
     "9UFjQ12aoSxhqp6Swu+XUdU=:2rLpsHsaMVwbcPnha3P8ymo1qerMkT7RBnW70481GsY="},
    {"Arabic that ends with a digit",
     ""
     "\xd8\xa7"
     "1",
     "SCRAM-SHA-256$4096:KZm0KHMxjZNptupWAkYAUw==$xs0Y8GvcphU9Tj/"
     "nV5P0sIoJhsPyHOhAlbfcQfDCaMQ=:4kq3ilrwHpdZjpbhK+kBLCStJH4aHpF2klR5gNBCPQw="},
    {"a deprecated tone mark",
     ""
     "\xc2\xaa\xcd\x80"
     "",
     "SCRAM-SHA-256$4096:azpAeeLDsRLcmIoG8Iv+Dw==$hfzYTljTm+ZI8a2N58DfHPpuDRscI90Hq0yMCFw6GQA=:hFwtNLBbUdZQlhu2Vll+"
     "8uVAxiZYykn8wYlr28hUngA="},
    {"unassigned in Unicode 3.2",
     ""
     "\xc8\xa1"
     "x",
     "SCRAM-SHA-256$4096:unT/1FiDpuFKhcflZA4PgQ==$yEnn7I8Lr6LY+qnC0K1vzPieEjEVAXAGwPwheYluqDw=:6ly7TE14XHi1+k6iEj/"
     "9LxsCUUEZic/ygtv7rO2KdC0="},
    {"nothing would be left",
     ""
     "\xc2\xad"
     "",
     "SCRAM-SHA-256$4096:ig1fWvwRBUMqad4bOiG/ZA==$OMkjSterbaJCaVgj3j2wHClOrAk/m/"
     "9tYhCoNzXS1xY=:YHlGWfjSRaYSBYiKSTaTFuckNBGq9Bqw51vCLobS8hE="},
    {"one code point",
     "p"
     "\xc3\xa4"
     "ss",
     "SCRAM-SHA-256$4096:Pe0lqq6aXSKCUmiMHyIYnQ==$keu8TCJqGC0mYXPpqP/CygD+UgXXYnTkmscGO9sPWws=:mT2B9yuIpnt0x/JGhJBKN/"
     "aBWm16OGDFZpSiDTZOUSo="},
    {"the same in two",
     "pa"
     "\xcc\x88"
     "ss",
     "SCRAM-SHA-256$4096:8YFDqIcf+sRyp5eqeHPkyg==$f7QC9qfrwag3lyqlmUpYt1cXPQuCdljQ4EbwA30AGV8=:"
     "Wl5XbHi29tQl8R0WiPt0x7y4msm8a3Ns4cT8FErW9RU="},
    {"a Latin letter with a Hebrew symbol",
     "a"
     "\xe2\x84\xb5"
     "",
     "SCRAM-SHA-256$4096:Mz508ITjjd5J3biRs4bUDQ==$Q3ocEIsWZ9HFLJXruFM2MUd8zTIbMavTfTDZ0S9ZBMQ=:e40B6noUZk/+cBEy748/"
     "oKgBDmLpY+mWAGO1OHa/ks4="},
    {"a Hebrew letter with its point",
     ""
     "\xef\xac\xaa"
     "",
     "SCRAM-SHA-256$4096:ka5ofLo66KjpuiG1eqon9w==$ufOP6d1chwsu00eCVg4P4bi5+zu7PIXyWWOJok32ra4=:jSjGQrGfiWq6GWjMa/"
     "LCGJUk3wedaRmVR38rOeYQfvs="},
    {"a space and an Arabic mark",
     "a"
     "\xef\xb1\x9f"
     "",
     "SCRAM-SHA-256$4096:47fIQQr5kV+DhavhlyAyXQ==$FjCO6bcBIsLEv+/"
     "Z1zCrayCeMBFSd8v2fq2QHRaaVNM=:uj1EWDJOOONEyrw6Q4tyS1CbkUU2pYhvRoGMeDKS19U="},
    {"a zero width space",
     "a"
     "\xe2\x80\x8b"
     "b",
     "SCRAM-SHA-256$4096:BnK2T8ntbYKL89i0Ib1toQ==$UEm99KoahEETMJJGa6NJzpTkMAgMHPtl5MNf9p3VT0E=:"
     "BKr3s9do2RYQtqwVwAFoJdJqLBowwEL7wvbuYIZpMpQ="},
    {"an ideographic description",
     "a"
     "\xe2\xbf\xb0"
     "",
     "SCRAM-SHA-256$4096:kbrW6H9xXlpepYQRJ0hbMg==$SSGF0eMkMCF1SnEHktc92ADwUTnAg0xdMsluEEIGx5I=:"
     "iW97LRUnoZO0rdz2OzTN4xkHGBbDCqPQ8AB1bujJ6/M="},
    {"beyond the first plane",
     ""
     "\xf0\x9d\x90\x80"
     "",
     "SCRAM-SHA-256$4096:Pcc1l2OO47/"
     "S1M9bwbwFgw==$PY3szNvP2dTlAjrH276C5aWNYcg0H6S8lEzeZVRtl1o=:Bc7YdSsxKEPBYvs1ew8AmSfC71QuWW3aH7KhqxuIhPM="},
});

std::string prepared(std::string_view password) {
    return std::string(saslprep(password).reveal());
}

}  // namespace

TEST(saslprep, makes_the_verifiers_that_postgres_makes) {
    for (const Case& each : cases) {
        const auto verifier = ScramVerifier::parse(each.verifier);
        ASSERT_TRUE(verifier) << each.what;
        EXPECT_TRUE(verifier_matches(*verifier, each.password)) << each.what;
        EXPECT_FALSE(verifier_matches(*verifier, std::string(each.password) + "x")) << each.what;
    }
}

// RFC 4013 §3.
TEST(saslprep, prepares_the_examples_of_rfc_4013) {
    EXPECT_EQ(prepared("I\xc2\xad"
                       "X"),
              "IX");
    EXPECT_EQ(prepared("user"), "user");
    EXPECT_EQ(prepared("USER"), "USER");
    EXPECT_EQ(prepared("\xc2\xaa"), "a");
    EXPECT_EQ(prepared("\xe2\x85\xa8"), "IX");
}

TEST(saslprep, leaves_alone_what_it_cannot_prepare) {
    EXPECT_EQ(prepared("\x07"), "\x07") << "PostgreSQL does not look at ASCII";
    EXPECT_EQ(prepared("\xd8\xa7"
                       "1"),
              "\xd8\xa7"
              "1");
    EXPECT_EQ(prepared("\xff\xfe"), "\xff\xfe");
    EXPECT_EQ(prepared("\xc2"), "\xc2");
    EXPECT_EQ(prepared("\xed\xa0\x80"), "\xed\xa0\x80") << "a surrogate";
    EXPECT_EQ(prepared(""), "");
}

TEST(saslprep, has_room_for_what_grows) {
    // U+FDFA becomes 18 characters.
    std::string once = prepared("\xef\xb7\xba");
    EXPECT_EQ(once.size(), 33U);
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "\xef\xb7\xba";
    EXPECT_EQ(prepared(many).size(), 33000U);
}
