// Assertions are on in production: a bug stops the message before a bad root exists, never after.
// In the guest a failure traps; natively the host's assert_failed leaves the program (it throws or
// jumps), after which undo_message restores the image exactly (P4).
#pragma once

namespace provenue {

#if defined(PROVENUE_GUEST)
// The literal stays out of the ELF, and so does the place: the hash must not depend on either.
[[noreturn]] inline void assert_failed(const char*, int) {
    asm volatile("ebreak");
    __builtin_unreachable();
}
#else
// Supplied by the host (core/native). It must not return. The program holds no locks and owns no
// resources, so leaving it by an exception or by longjmp is safe at any assertion.
[[noreturn]] void assert_failed(const char* what, int line);
#endif

}  // namespace provenue

// `what` is a short literal that says which rule is broken.
#define ASSERT(condition, what)                                                \
    do {                                                                       \
        if (!(condition)) [[unlikely]]                                         \
            ::provenue::assert_failed(what, __LINE__);                         \
    } while (false)
