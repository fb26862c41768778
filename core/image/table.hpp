// A fixed-capacity table of the image. Reading goes through const references and is free; the only
// way to a writable record is `edit`, which records the undo entry first, so that a write that is
// not marked dirty does not compile.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/base/assert.hpp"
#include "core/image/undo.hpp"

namespace provenue {

template <typename T, uint64_t kOffset, uint32_t kCount>
class Table {
    static_assert(std::has_unique_object_representations_v<T>);  // P9
    static_assert(kOffset % 4096 == 0);

public:
    Table(uint8_t* image, UndoLog& undo) : image_(image), undo_(&undo) {}

    static constexpr uint32_t count() { return kCount; }

    const T& operator[](uint64_t index) const {
        ASSERT(index < kCount, "table index");
        return *reinterpret_cast<const T*>(image_ + kOffset + index * sizeof(T));
    }

    // Consecutive records, to be read.
    const T* records(uint64_t index, uint64_t count) const {
        ASSERT(count <= kCount && index <= kCount - count, "table index");
        return reinterpret_cast<const T*>(image_ + kOffset + index * sizeof(T));
    }

    // The whole record, writable. For records of one or two leaves.
    T& edit(uint64_t index) {
        static_assert(sizeof(T) <= 2 * kUndoLeafBytes, "edit the field, not the whole record");
        ASSERT(index < kCount, "table index");
        const uint64_t at = kOffset + index * sizeof(T);
        undo_->record(image_, at);
        if constexpr (sizeof(T) > kUndoLeafBytes) undo_->record(image_, at + kUndoLeafBytes);
        return *reinterpret_cast<T*>(image_ + at);
    }

    // One field of a record, writable.
    template <typename F, typename R>
    F& edit(uint64_t index, F R::*field) {
        F& place = at(index).*field;
        record(&place, sizeof(F));
        return place;
    }

    // One element of an array field, writable.
    template <typename F, typename R>
    typename F::value_type& edit(uint64_t index, F R::*field, uint64_t element) {
        F& array = at(index).*field;
        ASSERT(element < array.size(), "array index");
        typename F::value_type& place = array[element];
        record(&place, sizeof(place));
        return place;
    }

private:
    T& at(uint64_t index) {
        ASSERT(index < kCount, "table index");
        return *reinterpret_cast<T*>(image_ + kOffset + index * sizeof(T));
    }

    void record(const void* place, uint64_t bytes) {
        const auto offset = static_cast<uint64_t>(static_cast<const uint8_t*>(place) - image_);
        undo_->record_range(image_, offset, bytes);
    }

    uint8_t* image_;
    UndoLog* undo_;
};

}  // namespace provenue
