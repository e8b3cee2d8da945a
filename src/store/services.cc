#include "store/services.h"

namespace postback::store {

Services::Services() : impl_(std::make_unique<Impl>()) {}
Services::~Services() = default;

}  // namespace postback::store
