// Accounts that meet in one bucket: whoever has an account is found, nobody else is, while indexes
// are taken, reclaimed and taken again.
//   core_clearing_accounts_test [seed]
#include "core/clearing/accounts.hpp"

#include <memory>
#include <optional>
#include <vector>

#include "core/base/test.hpp"

using namespace provenue;
using namespace provenue::PROVENUE_PRESET_NAMESPACE;

namespace {

constexpr uint32_t kHeads = kAccountBucketsCount * 8;

struct Owner {
    uint8_t bytes[kAddressBytes] = {};
    uint8_t subaccount = 0;
    Holder holder() const { return {bytes, subaccount}; }
};

void hash_of(const Owner& owner, uint8_t (&hash)[32]) {
    uint8_t block[64] = {};
    std::memcpy(block + 12, owner.bytes, kAddressBytes);
    block[63] = owner.subaccount;
    test::keccak(block, sizeof(block), hash);
}

// Owners of one bucket whose hashes also agree in the first `shared_bits` that the tree looks at.
std::vector<Owner> owners_that_meet(test::Random& random, uint32_t count, uint32_t shared_bits) {
    std::vector<Owner> found;
    const uint64_t head = random.below(kHeads);
    const uint64_t mask = (uint64_t{1} << shared_bits) - 1;
    const uint64_t bits = random.next() & mask;
    for (uint64_t number = 0; found.size() < count; ++number) {
        Owner owner;
        store_big(owner.bytes + 12, number);
        owner.subaccount = static_cast<uint8_t>(number % 3);
        uint8_t hash[32];
        hash_of(owner, hash);
        if (load_big<uint64_t>(hash) % kHeads == head && (hash[8] & mask) == bits)
            found.push_back(owner);
    }
    return found;
}

class World {
public:
    World() { open_house(state_); }
    State& state() { return state_; }
    Hasher& hasher() { return hasher_; }
    // The undo log takes one message; each step is one.
    void next() { undo_->clear(); }
    // Somebody who is not empty is not reclaimed.
    void give(uint32_t account, int64_t units) { state_.edit_balance(account, 0) = units; }

private:
    struct alignas(1024) Block {
        uint8_t bytes[1024];
    };
    std::vector<uint8_t> image_ = std::vector<uint8_t>(kImageBytes);
    std::unique_ptr<UndoLog> undo_{new UndoLog{}};
    std::unique_ptr<Block> block_{new Block{}};
    State state_{image_.data(), *undo_};
    Hasher hasher_{block_->bytes};
};

void check_found(World& world, const std::vector<Owner>& owners,
                 const std::vector<std::optional<uint32_t>>& accounts) {
    for (size_t i = 0; i < owners.size(); ++i) {
        const uint32_t link = find_account(world.state(), world.hasher(), owners[i].holder());
        CHECK(link == (accounts[i] ? link_to(*accounts[i]) : kNoLink));
    }
}

void test_who_has_an_account_is_found(test::Random& random, uint32_t shared_bits) {
    World world;
    const std::vector<Owner> owners = owners_that_meet(random, 3 * kAccountsMax, shared_bits);
    std::vector<std::optional<uint32_t>> accounts(owners.size());
    std::vector<uint32_t> generations(kAccountsMax);
    uint32_t reclaimed = 0;
    for (test::round = 0; test::round < 300; ++test::round) {
        world.next();
        const size_t who = random.below(owners.size());
        if (accounts[who]) {
            world.give(*accounts[who], random.one_in(2) ? 1 : 0);
            continue;
        }
        const uint32_t link = open_account(world.state(), world.hasher(), owners[who].holder());
        if (link == kNoLink) continue;
        const uint32_t account = linked_index(link);
        CHECK(account != kHouse && account < kAccountsMax);
        for (auto& other : accounts)
            if (other == account) {
                other.reset();
                reclaimed += 1;
            }
        accounts[who] = account;
        generations[account] += 1;
        CHECK(world.state().accounts[account].generation == generations[account]);
        check_found(world, owners, accounts);
    }
    CHECK(reclaimed > 20);
}

void test_an_account_that_is_not_empty_is_not_reclaimed(test::Random& random) {
    World world;
    const std::vector<Owner> owners = owners_that_meet(random, kAccountsMax, 0);
    for (uint32_t i = 0; i + 1 < kAccountsMax; ++i) {
        const uint32_t link = open_account(world.state(), world.hasher(), owners[i].holder());
        CHECK(link == link_to(i + 1));
        world.give(i + 1, 7);
    }
    world.next();
    const Owner& late = owners.back();
    CHECK(open_account(world.state(), world.hasher(), late.holder()) == kNoLink);
    world.give(2, 0);
    CHECK(open_account(world.state(), world.hasher(), late.holder()) == link_to(2));
    CHECK(find_account(world.state(), world.hasher(), owners[1].holder()) == kNoLink);
    CHECK(find_account(world.state(), world.hasher(), owners[0].holder()) == link_to(1));
}

}  // namespace

int main(int argc, char** argv) {
    test::Random random(test::seed_of(argc, argv));
    for (uint32_t shared_bits = 0; shared_bits <= 6; ++shared_bits)
        test_who_has_an_account_is_found(random, shared_bits);
    test_an_account_that_is_not_empty_is_not_reclaimed(random);
    return test::finish();
}
