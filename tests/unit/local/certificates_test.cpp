#include "local/certificates.hpp"

#include "local/files.hpp"
#include "scratch_directory.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

namespace pgkeel::local {

namespace {
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using Store = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;

CertificateHandle load(const std::string& path) {
    const std::string text = read_file(path).value();
    const Bio memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    return CertificateHandle(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
}

/// Whether a peer that trusts only `authority` accepts the certificate for `purpose`.
bool verifies(X509* leaf, X509* authority, int purpose) {
    const Store store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), authority);
    const StoreContext context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr);
    X509_STORE_CTX_set_purpose(context.get(), purpose);
    return X509_verify_cert(context.get()) == 1;
}

const CertificateRequest request{.common_name = "pg-a", .dns_names = {"localhost"}, .addresses = {"127.0.0.1"}};
}  // namespace

TEST(authority, issues_what_servers_and_clients_accept) {
    const ScratchDirectory scratch;
    const auto authority = Authority::open_or_create(scratch.path(), "test authority");
    ASSERT_TRUE(authority) << authority.error().line();
    ASSERT_TRUE(authority->issue(request, scratch / "a.crt", scratch / "a.key"));
    const auto root = load(scratch / "ca.crt");
    const auto leaf = load(scratch / "a.crt");
    EXPECT_TRUE(verifies(leaf.get(), root.get(), X509_PURPOSE_SSL_SERVER));
    EXPECT_TRUE(verifies(leaf.get(), root.get(), X509_PURPOSE_SSL_CLIENT));
    EXPECT_EQ(X509_check_ip_asc(leaf.get(), "127.0.0.1", 0), 1);
    EXPECT_EQ(X509_check_host(leaf.get(), "localhost", 0, 0, nullptr), 1);
    EXPECT_NE(X509_check_ip_asc(leaf.get(), "127.0.0.2", 0), 1);
    EXPECT_EQ(X509_check_ca(leaf.get()), 0);
}

TEST(authority, of_another_cluster_is_not_trusted) {
    const ScratchDirectory ours;
    const ScratchDirectory theirs;
    const auto authority = Authority::open_or_create(ours.path(), "test authority");
    ASSERT_TRUE(authority);
    ASSERT_TRUE(Authority::open_or_create(theirs.path(), "test authority"));
    ASSERT_TRUE(authority->issue(request, ours / "a.crt", ours / "a.key"));
    EXPECT_FALSE(verifies(load(ours / "a.crt").get(), load(theirs / "ca.crt").get(), X509_PURPOSE_SSL_SERVER));
}

TEST(authority, goes_on_with_the_files_it_finds) {
    const ScratchDirectory scratch;
    ASSERT_TRUE(Authority::open_or_create(scratch.path(), "test authority"));
    const std::string before = read_file(scratch / "ca.crt").value();
    const auto again = Authority::open_or_create(scratch.path(), "another name");
    ASSERT_TRUE(again);
    EXPECT_EQ(read_file(scratch / "ca.crt").value(), before);
    ASSERT_TRUE(again->issue(request, scratch / "a.crt", scratch / "a.key"));
    EXPECT_TRUE(verifies(load(scratch / "a.crt").get(), load(scratch / "ca.crt").get(), X509_PURPOSE_SSL_SERVER));
}

TEST(authority, keys_are_private_and_serials_differ) {
    const ScratchDirectory scratch;
    const auto authority = Authority::open_or_create(scratch.path(), "test authority");
    ASSERT_TRUE(authority);
    ASSERT_TRUE(authority->issue(request, scratch / "a.crt", scratch / "a.key"));
    ASSERT_TRUE(authority->issue(request, scratch / "b.crt", scratch / "b.key"));
    for (const char* key : {"ca.key", "a.key"}) {
        struct stat status{};
        ASSERT_EQ(::stat((scratch / key).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << key;
    }
    const auto a = load(scratch / "a.crt");
    const auto b = load(scratch / "b.crt");
    EXPECT_NE(ASN1_INTEGER_cmp(X509_get_serialNumber(a.get()), X509_get_serialNumber(b.get())), 0);
}

TEST(authority, refuses_a_certificate_without_its_key) {
    const ScratchDirectory scratch;
    const ScratchDirectory other;
    ASSERT_TRUE(Authority::open_or_create(scratch.path(), "test authority"));
    ASSERT_TRUE(Authority::open_or_create(other.path(), "test authority"));
    ASSERT_TRUE(write_file(scratch / "ca.key", read_file(other / "ca.key").value()));
    const auto mixed = Authority::open_or_create(scratch.path(), "test authority");
    ASSERT_FALSE(mixed);
    EXPECT_EQ(mixed.error().code, Errc::invalid_input);
    ASSERT_EQ(::unlink((scratch / "ca.key").c_str()), 0);
    EXPECT_FALSE(Authority::open_or_create(scratch.path(), "test authority"));
}

}  // namespace pgkeel::local
