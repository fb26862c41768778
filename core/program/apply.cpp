// Framing, time and dispatch (chapter 2). Every byte string is a message (P4).
#include "core/base/generated/wire.hpp"
#include "core/program/amending.hpp"
#include "core/program/authorise.hpp"
#include "core/program/bounds.hpp"
#include "core/program/custody.hpp"
#include "core/program/leaving.hpp"
#include "core/program/listing.hpp"
#include "core/program/prices.hpp"
#include "core/program/run.hpp"
#include "core/program/sweep.hpp"
#include "core/program/trading.hpp"

namespace provenue {

namespace PROVENUE_PRESET_NAMESPACE {

namespace {

struct Frame {
    bool known;
    bool from_inbox;
    uint32_t size;        // of a fixed kind, or of a list kind without its entries
    uint32_t entry_size;  // 0 for a fixed kind
    uint32_t count_at;    // of a list kind: where its count stands
    uint32_t stamp_at;    // 0 when the kind has no stamp
};

template <typename W>
constexpr Frame fixed_frame() {
    if constexpr (requires { W::kStampMs; })
        return {true, W::kFromInbox, W::kSize, 0, 0, W::kStampMs};
    else
        return {true, W::kFromInbox, W::kSize, 0, 0, 0};
}

template <typename W>
constexpr Frame list_frame(uint32_t stamp_at) {
    return {true, W::kFromInbox, W::kSizeWithoutEntries, W::kEntrySize, W::kCount, stamp_at};
}

constexpr Frame frame_of(Kind kind) {
    switch (kind) {
        case Kind::kPlace: return fixed_frame<PlaceWire>();
        case Kind::kCancel: return fixed_frame<CancelWire>();
        case Kind::kCancelAll: return fixed_frame<CancelAllWire>();
        case Kind::kWithdraw: return fixed_frame<WithdrawWire>();
        case Kind::kSetKey: return fixed_frame<SetKeyWire>();
        case Kind::kCancelLabel: return fixed_frame<CancelLabelWire>();
        case Kind::kAmend: return fixed_frame<AmendWire>();
        case Kind::kReplace: return fixed_frame<ReplaceWire>();
        case Kind::kPrices: return list_frame<PricesWire>(PricesWire::kStampMs);
        case Kind::kTick: return fixed_frame<TickWire>();
        case Kind::kContinue: return fixed_frame<ContinueWire>();
        case Kind::kGenesis: return fixed_frame<GenesisWire>();
        case Kind::kListAsset: return fixed_frame<ListAssetWire>();
        case Kind::kListInstrument: return fixed_frame<ListInstrumentWire>();
        case Kind::kSetSigners: return list_frame<SetSignersWire>(0);
        case Kind::kDeposit: return fixed_frame<DepositWire>();
        case Kind::kForcedWithdraw: return fixed_frame<ForcedWithdrawWire>();
        case Kind::kForcedCancel: return fixed_frame<ForcedCancelWire>();
        case Kind::kForcedClose: return fixed_frame<ForcedCloseWire>();
        case Kind::kForcedRevoke: return fixed_frame<ForcedRevokeWire>();
    }
    return {};
}

bool has_right_length(const MessageInput& message, const Frame& frame) {
    if (frame.entry_size == 0) return message.size == frame.size;
    if (message.size <= frame.count_at) return false;
    return message.size == frame.size + frame.entry_size * message.data[frame.count_at];
}

Code check_frame(const State& state, const MessageInput& message, Frame& frame) {
    if (message.size == 0) return Code::kEmptyMessage;
    const Kind kind = static_cast<Kind>(message.data[0]);
    frame = frame_of(kind);
    if (!frame.known) return Code::kUnknownKind;
    if (frame.from_inbox != message.from_inbox) return Code::kWrongSource;
    if (!has_right_length(message, frame)) return Code::kBadLength;
    const bool configured = state.globals().configured != 0;
    if (!configured && kind != Kind::kGenesis) return Code::kNotConfigured;
    if (configured && kind == Kind::kGenesis) return Code::kAlreadyConfigured;
    return Code::kOk;
}

// 2.3: never back, and inside the bounds of the batch header.
uint64_t time_of(const State& state, const MessageInput& message, const Frame& frame) {
    const uint64_t now_ms = state.globals().now_ms;
    if (static_cast<Kind>(message.data[0]) == Kind::kContinue) return now_ms;
    uint64_t stamp_ms = message.stamp_min_ms;
    if (frame.stamp_at != 0) stamp_ms = load_big<uint64_t>(message.data + frame.stamp_at);
    if (stamp_ms < message.stamp_min_ms) stamp_ms = message.stamp_min_ms;
    if (stamp_ms > message.stamp_max_ms) stamp_ms = message.stamp_max_ms;
    return stamp_ms > now_ms ? stamp_ms : now_ms;
}

Code dispatch(Run& run, Kind kind) {
    switch (kind) {
        case Kind::kPlace: return run_signed<PlaceWire>(run, place);
        case Kind::kCancel: return run_signed<CancelWire>(run, cancel);
        case Kind::kCancelAll: return run_signed<CancelAllWire>(run, cancel_all);
        case Kind::kWithdraw: return run_signed<WithdrawWire>(run, withdraw);
        case Kind::kSetKey: return run_signed<SetKeyWire>(run, set_key);
        case Kind::kCancelLabel: return run_signed<CancelLabelWire>(run, cancel_label);
        case Kind::kAmend: return run_signed<AmendWire>(run, amend);
        case Kind::kReplace: return run_signed<ReplaceWire>(run, replace);
        case Kind::kPrices: return prices(run);
        case Kind::kTick: return tick(run);
        case Kind::kContinue: return resume(run);
        case Kind::kGenesis: return genesis(run);
        case Kind::kListAsset: return list_asset(run);
        case Kind::kListInstrument: return list_instrument(run);
        case Kind::kSetSigners: return set_signers(run);
        case Kind::kDeposit: return deposit(run);
        case Kind::kForcedWithdraw: return forced_withdraw(run);
        case Kind::kForcedCancel: return forced_cancel(run);
        case Kind::kForcedClose: return forced_close(run);
        case Kind::kForcedRevoke: return forced_revoke(run);
    }
    return Code::kUnknownKind;
}

Code run_message(Run& run, const MessageInput& message) {
    Frame frame{};
    const Code framing = check_frame(run.state, message, frame);
    if (framing != Code::kOk) return framing;
    run.now_ms = time_of(run.state, message, frame);
    const Code code = dispatch(run, static_cast<Kind>(message.data[0]));
    if (code == Code::kOk && run.state.globals().now_ms != run.now_ms)
        run.state.edit_globals(&GlobalsRecord::now_ms) = run.now_ms;
    return code;
}

}  // namespace

uint32_t apply(Context& context, const MessageInput& message) {
    context.undo.clear();
    context.event_count = 0;
    Run run(context, message);
    const Code code = run_message(run, message);
    if (code != Code::kOk) {
        context.undo.rollback(context.image, run.reject_mark);
        context.event_count = 0;
    }
    return static_cast<uint32_t>(code);
}

void undo_message(Context& context) {
    context.undo.rollback(context.image, 0);
    context.event_count = 0;
}

}  // namespace PROVENUE_PRESET_NAMESPACE

const ProgramTable PROVENUE_PROGRAM_TABLE = {
    PROVENUE_PRESET_NAME, PROVENUE_PRESET_NAMESPACE::kImageBytes,
    sizeof(Context),      alignof(Context),
    PROVENUE_PRESET_NAMESPACE::apply, PROVENUE_PRESET_NAMESPACE::undo_message,
};

}  // namespace provenue
