#include "store/services.h"

namespace postback::store {

Services::Services() : impl_(std::make_unique<Impl>()) {}
Services::~Services() = default;

base::Status Services::keep_in(const std::string& data_dir) {
  return impl_->known.keep_in(data_dir);
}

}  // namespace postback::store
