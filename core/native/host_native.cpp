#include "core/native/host_native.hpp"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/assert.hpp"
#include "core/base/host.hpp"
#include "core/native/keccak.hpp"
#include "core/native/recover.hpp"

namespace provenue {

namespace native {
namespace {

// One call into the program, on this thread.
struct Call {
    std::jmp_buf back;
    const char* rule = "";
    int line = 0;
    uint32_t fail_at_call = 0;
};
thread_local Call* current = nullptr;

// Runs `function` and returns whether it came to its end. No object with a destructor may live
// between the setjmp and the longjmp.
bool run(Call& call, void (*function)(void*), void* argument) {
    if (setjmp(call.back) != 0) {
        current = nullptr;
        return false;
    }
    current = &call;
    function(argument);
    current = nullptr;
    return true;
}

void count_host_call() {
    if (current && current->fail_at_call != 0 && --current->fail_at_call == 0)
        assert_failed("failure asked for by the host", __LINE__);
}

struct ApplyArguments {
    const ProgramTable* table;
    Context* context;
    const MessageInput* message;
    uint32_t code;
};

}  // namespace

uint32_t guarded_apply(const ProgramTable& table, Context& context, const MessageInput& message,
                       uint32_t fail_at_call) {
    ApplyArguments arguments{&table, &context, &message, 0};
    Call call;
    call.fail_at_call = fail_at_call;
    const auto apply = [](void* p) {
        auto* a = static_cast<ApplyArguments*>(p);
        a->code = a->table->apply(*a->context, *a->message);
    };
    if (!run(call, apply, &arguments)) {
        table.undo_message(context);
        throw EngineFault(call.rule, call.line);
    }
    return arguments.code;
}

void guarded_call(void (*function)(void*), void* argument) {
    Call call;
    if (!run(call, function, argument)) throw EngineFault(call.rule, call.line);
}

}  // namespace native

void assert_failed(const char* what, int line) {
    native::Call* call = native::current;
    if (!call) {  // outside of any call there is nobody to tell
        std::fprintf(stderr, "provenue: assertion failed: %s (line %d)\n", what, line);
        std::abort();
    }
    call->rule = what;
    call->line = line;
    std::longjmp(call->back, 1);
}

void host_keccak(const uint8_t* block, uint32_t length, uint8_t out[32]) {
    native::count_host_call();
    if (length > kHashBlockBytes) assert_failed("keccak of more than a block", __LINE__);
    const native::Digest digest = native::keccak256(block, length);
    std::memcpy(out, digest.data(), digest.size());
}

void host_recover(const uint8_t* block, uint8_t out[32]) {
    native::count_host_call();
    if (!native::secp256k1_loaded()) assert_failed("no secp256k1 library is loaded", __LINE__);
    uint8_t in[128];  // `out` may lie in the block
    std::memcpy(in, block, sizeof in);
    native::recover(in, out);
}

}  // namespace provenue
