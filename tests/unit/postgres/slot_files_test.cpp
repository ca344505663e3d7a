#include "postgres/slot_files.hpp"

#include "temporary_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace pgkeel::postgres {
namespace {

TEST(slot_files, a_slot_is_made_and_replaced_whole) {
    const TemporaryDirectory directory;
    const std::string all = directory.path + "/pg_replslot";
    std::filesystem::create_directory(all);
    const std::string bytes("\x00\x01\xff", 3);
    ASSERT_TRUE(write_slot_file(directory.path, "l_1", bytes, {}));
    EXPECT_EQ(read_file(all + "/l_1/state").value(), bytes);
    ASSERT_TRUE(write_file(all + "/l_1/snap", "old", 0600));
    ASSERT_TRUE(write_slot_file(directory.path, "l_1", "new", {}));
    EXPECT_EQ(read_file(all + "/l_1/state").value(), "new");
    EXPECT_FALSE(file_exists(all + "/l_1/snap")) << "what the old slot had left is not the new one's";
    EXPECT_FALSE(file_exists(all + "/l_1.tmp"));
    struct stat about{};
    ASSERT_EQ(stat((all + "/l_1").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0700U);
}

TEST(slot_files, a_name_leads_nowhere_else) {
    const TemporaryDirectory directory;
    for (const char* name : {"", "..", "../x", "a/b", "A"})
        EXPECT_EQ(write_slot_file(directory.path, name, "", {}).error().code, Errc::invalid_input) << name;
}

TEST(slot_files, bytes_come_as_hex) {
    EXPECT_EQ(bytes_of_hex("00fF10"), std::string("\x00\xff\x10", 3));
    EXPECT_EQ(bytes_of_hex(""), "");
    EXPECT_EQ(bytes_of_hex("0"), std::nullopt);
    EXPECT_EQ(bytes_of_hex("zz"), std::nullopt);
}

}  // namespace
}  // namespace pgkeel::postgres
